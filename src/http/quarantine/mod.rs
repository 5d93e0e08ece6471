//! `/admin/quarantine…`: users whose frames could not be folded are listed and inspected, and leave the quarantine. Users appear
//! by a keyed hash, and nothing of a profile is shown.

mod changes;
mod look;
mod state;

pub(super) use changes::{drop_frames, retry};
pub(super) use look::{inspect, list};
pub(crate) use state::QuarantineState;
