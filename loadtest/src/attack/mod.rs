//! What the scenarios of attacks share: who attacks, with what, and who is measured beside it.

pub(crate) mod burst;
pub(crate) mod fat;
pub(crate) mod feeder;
pub(crate) mod probe;
pub(crate) mod sockets;
pub(crate) mod threshold;
