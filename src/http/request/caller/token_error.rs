//! Why a token is refused.

use crate::http::problem::{Code, Problem};

/// Why a token is not accepted, as text for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenError(pub(crate) &'static str);

impl From<TokenError> for Problem {
    fn from(refusal: TokenError) -> Self {
        Self::new(Code::InvalidToken, refusal.0)
    }
}
