//! Durable memory: journal, sled checkpoints and history, sealing, keyring.
//!
//! An acknowledgement is the journal's word alone: [`open`] recovers it, appends seal and sync, and a
//! checkpoint folds what was appended into sled, after which the journal may let go of it.
//! Bodies are opaque here: the domain says what a record holds and how records fold into a state.

mod options;
pub use options::{MasterKey, StoreOptions};
mod error;
pub use error::OpenError;
mod open;
pub use open::{Closer, Store, open};
mod dead_letters;
pub use dead_letters::DeadLetterStore;
mod status;
pub use status::{StoreHealth, StoreStatus};

mod append;
mod bytes;
mod checkpoint;
mod checkpoint_trigger;
mod engine;
mod first_start;
mod journal;
mod journal_log;
mod keyring;
mod load;
mod permissions;
mod reserve;
mod retention_clock;
mod seal;
mod signal;
mod sled_store;
mod upkeep;
mod user_hash;

pub mod disk;
pub mod metric;
mod sync_shim;
#[cfg(test)]
mod test_kit;
