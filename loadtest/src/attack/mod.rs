//! The parts of attack scenarios: events, streams and sockets of the attacker, and the requests of others.

pub(crate) mod burst;
pub(crate) mod event;
pub(crate) mod feeder;
pub(crate) mod large_user;
pub(crate) mod probe;
pub(crate) mod sockets;
pub(crate) mod threshold;
