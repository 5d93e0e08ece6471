//! State of the handlers of erasures, and what they share.

use actix_web::http::header::{self, HeaderValue};

use crate::erasure::{ErasureError, Erasures};
use crate::http::problem::{Code, Problem};

/// Seconds after which a caller asks again for an erasure that is not finished.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// State of the handlers of erasures.
pub(crate) struct ErasureState {
    pub(crate) erasures: Erasures,
}

impl From<ErasureError> for Problem {
    fn from(error: ErasureError) -> Self {
        let later = |code, detail| Self::new(code, detail).with_header(header::RETRY_AFTER, RETRY_AFTER);
        match error {
            ErasureError::Unknown => Self::unknown_user(),
            ErasureError::NotBegun(cause) => {
                tracing::error!(error = cause, "an erasure did not begin");
                later(Code::Unavailable, "the erasure did not begin, and nothing has changed: try again")
            }
            ErasureError::TooMany => later(
                Code::Busy,
                "too many erasures are scheduled: try again later, or without `retain_days` to erase at once",
            ),
            ErasureError::Unfinished => later(
                Code::Unavailable,
                "the erasure has begun and goes on by itself, and nobody reads the profile any more: repeat the request for the receipt",
            ),
        }
    }
}
