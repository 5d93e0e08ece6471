//! Checking a log offline: with the public key alone, or with the chain keys, too.
//!
//! With the public key: the signatures of tree heads, stubs and anchors, the tree over the compliance entries at every tree
//! head, the numbers of all entries, and the chain values, counts and digests that the heads state. So a change of any entry
//! that a head covers is found; outside the tree it is known between which two heads the changed entry is. With the chain
//! keys: every chain value, so that a changed entry is named exactly, also one that no head covers yet.

mod category;
mod heads;
mod report;
mod tree;

use std::path::PathBuf;

use domain::port::audit::AuditCategory;
use ed25519_dalek::VerifyingKey;

pub use report::{VerifyFault, VerifyReport};

use super::keys::AuditKeys;
use category::check_category;
use heads::SignedHeads;
use tree::TreeCheck;

/// What is checked, and against what.
pub struct VerifyOptions<'a> {
    /// The directory of the log.
    pub directory: PathBuf,
    /// The public key of the log.
    pub public_key: [u8; 32],
    /// The keys of the log, if chains are to be checked.
    pub keys: Option<&'a AuditKeys>,
    /// Anchor files.
    pub anchors: Vec<PathBuf>,
}

/// Checks a log, and returns what was checked.
///
/// # Errors
/// The first fault that was found.
pub fn verify(options: &VerifyOptions<'_>) -> Result<VerifyReport, VerifyFault> {
    let key = VerifyingKey::from_bytes(&options.public_key)
        .map_err(|_| VerifyFault::new(options.directory.clone(), "the public key is not one of Ed25519".to_owned()))?;
    let mut report = VerifyReport { chains_checked: options.keys.is_some(), ..VerifyReport::default() };
    let heads = SignedHeads::read(options, &mut report)?;
    let mut tree = TreeCheck::new(&options.directory, &heads);
    for category in AuditCategory::ALL {
        check_category(options, &key, category, &heads, &mut tree, &mut report)?;
    }
    tree.finish(&mut report)?;
    Ok(report)
}
