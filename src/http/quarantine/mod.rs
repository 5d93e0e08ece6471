//! `/admin/quarantine…`: users whose frames could not be folded are listed and inspected, and leave the quarantine. Users appear
//! by a keyed hash, and nothing of a profile is shown. An operator who asks for a user by id is recorded.

mod changes;
mod look;
mod restore;
mod state;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};

pub(super) use changes::{drop_frames, retry};
pub(super) use look::{inspect, list};
pub(super) use restore::restore;
pub(crate) use state::QuarantineState;

/// Returns an answer that no cache keeps.
fn no_store() -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    answer
}
