//! Ports: the traits through which the domain and the actors reach storage, clock and randomness.

pub mod audit;
pub mod audit_trail;
pub mod clock;
pub mod dead_letters;
pub mod erasure;
pub mod journal;
pub mod keyring_backup;
pub mod log;
pub mod memory;
pub mod projection;
pub mod registry;
pub mod retention;
pub mod store;
pub mod table;
