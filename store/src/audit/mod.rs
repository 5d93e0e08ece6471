//! The audit log: what was done to citizens' data, in files that cannot be rewritten unnoticed.
//!
//! | Word | Meaning |
//! |---|---|
//! | entry | one record, a canonical JSON object on a line |
//! | chain | each entry of a category carries an HMAC over the one before and itself |
//! | segment | the file of a category's entries of one month |
//! | stub | a signed line in place of a segment that was removed for its age |
//! | tree | the Merkle tree over the compliance entries |
//! | tree head | a signed statement of the tree and of the chains at a moment |
//! | anchor | a tree head in a file elsewhere, by which a truncation is found |
//! | digest | SHA-256 over all lines of a category up to one of them, which a check needs no key for |
//! | index | which lines of a segment are about which subject |
//! | run | a part of the index of a segment |
//!
//! One thread writes entries. Operations that need an entry wait for it in groups, so that they share their syncs. A second
//! thread writes and merges indexes, and a third one appends to the anchor file, so that neither holds up entries.

mod anchors;
mod catalogue;
mod category_log;
mod copy;
mod entry_batch;
mod entry_text;
mod erasures;
mod files;
mod head_log;
mod index;
mod index_work;
mod indexer;
mod keys;
mod line_digest;
mod line_scan;
mod log;
mod merkle;
mod metrics;
mod month;
mod open;
mod options;
mod parsed_line;
mod queue;
mod read;
mod recover;
mod retention;
mod segment;
mod segment_header;
mod start_check;
mod stub;
mod tree_head;
mod tree_writer;
mod verify;
mod wait;
mod writer;

use std::path::{Path, PathBuf};

pub(crate) use copy::{files_to_copy, is_copied_name};
pub(crate) use erasures::{Erasure, KnownErasures, erasures};
pub(crate) use files::DIRECTORY;
pub use keys::AuditKeys;
pub use log::AuditStore;
pub use merkle::{TreeHash, leaf_hash, verify_consistency, verify_inclusion};
pub use open::open;
pub use options::AuditOptions;
pub use tree_head::{ChainHead, SignedTreeHead, TreeHead, log_id};
pub use verify::{VerifyFault, VerifyOptions, VerifyReport, verify};

/// Returns where the log of a data directory is.
pub fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join(files::DIRECTORY)
}

/// Returns the anchor file of a data directory, if no other is configured.
pub fn default_anchor_file(data_dir: &Path) -> PathBuf {
    data_dir.join(options::ANCHOR_FILE)
}
