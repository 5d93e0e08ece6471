//! `profile_hash`: a salted hash tree over the RFC 8785 forms of the members.
//!
//! - leaf(member) = SHA-256(salt ‖ canonical value)
//! - salt = first 16 bytes of HMAC-SHA-256(integrity key, name ‖ revision of the last change, 8 bytes big-endian ‖ salt
//!   count, 4 bytes big-endian)
//! - root = SHA-256 of the canonical {member → hex leaf}

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::id::ProfileId;
use crate::profile::{Profile, SCHEMA_VERSION, push_hex};
use crate::table::{LeafSet, Member};

/// A SHA-256 digest: 32 bytes.
pub type Hash = [u8; 32];

/// The inputs of a user's salts besides the member.
#[derive(Clone, Copy)]
pub struct Salting<'a> {
    /// The user's integrity key.
    pub key: &'a [u8; 16],
    /// The user's salt count.
    pub count: u32,
}

impl Salting<'_> {
    /// Returns the salt of a member that changed last in `revision`.
    pub fn salt(&self, member: &str, revision: u64) -> [u8; 16] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key).unwrap_or_else(|_| unreachable!("any key length works"));
        mac.update(member.as_bytes());
        mac.update(&revision.to_be_bytes());
        mac.update(&self.count.to_be_bytes());
        let mut salt = [0; 16];
        salt.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        salt
    }
}

/// The leaves of the tree, and the revisions in which the members changed last.
#[derive(Debug, Clone, PartialEq)]
pub struct HashTree {
    leaves: [Hash; Member::COUNT],
    profile_id: Hash,
    schema_version: Hash,
}

impl HashTree {
    /// Hashes every member that is present.
    pub fn new(
        salting: Salting<'_>,
        profile_id: ProfileId,
        first_revision: u64,
        profile: &Profile,
        changed_at: &[u64; Member::COUNT],
    ) -> Self {
        let constant = |name: &str, value: String| {
            let hash = Sha256::new().chain_update(salting.salt(name, first_revision));
            hash.chain_update(format!("\"{value}\"")).finalize().into()
        };
        let mut tree = Self {
            leaves: [[0; 32]; Member::COUNT],
            profile_id: constant("profile_id", profile_id.to_string()),
            schema_version: constant("schema_version", SCHEMA_VERSION.to_owned()),
        };
        for member in Member::ALL {
            tree.update(salting, profile, *member, changed_at[*member as usize]);
        }
        tree
    }

    /// Hashes one member again, after it changed.
    pub fn update(&mut self, salting: Salting<'_>, profile: &Profile, member: Member, changed_at: u64) {
        if let Some(section) = profile.section(member) {
            let mut hash = Sha256::new().chain_update(salting.salt(member.name(), changed_at));
            section.write(LeafSet::ALL, |piece| hash.update(piece));
            self.leaves[member as usize] = hash.finalize().into();
        }
    }

    /// Returns the root over the members that are present.
    pub fn root(&self, profile: &Profile) -> Hash {
        let mut text = String::with_capacity(1400);
        let mut open = '{';
        let mut push = |name: &str, leaf: &Hash| {
            text.push(open);
            open = ',';
            text.push('"');
            text.push_str(name);
            text.push_str("\":\"");
            push_hex(&mut text, leaf);
            text.push('"');
        };
        let mut constants =
            [("profile_id", &self.profile_id), ("schema_version", &self.schema_version)].into_iter().peekable();
        for member in profile.present().members() {
            while let Some((name, leaf)) = constants.next_if(|(name, _)| *name < member.name()) {
                push(name, leaf);
            }
            push(member.name(), &self.leaves[member as usize]);
        }
        for (name, leaf) in constants {
            push(name, leaf);
        }
        text.push('}');
        Sha256::digest(text).into()
    }
}
