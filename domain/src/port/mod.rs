//! Ports: the few traits behind which the outside stands.

pub mod clock;
pub mod dead_letters;
pub mod journal;
pub mod log;
pub mod store;
