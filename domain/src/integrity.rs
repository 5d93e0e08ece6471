//! `profile_hash`: a salted hash tree over the RFC 8785 forms of the members.
//!
//! - leaf(member) = SHA-256(salt ‖ canonical value)
//! - salt = first 16 bytes of HMAC-SHA-256(integrity key, name ‖ revision of the last change, 8 bytes big-endian ‖ salt
//!   count, 4 bytes big-endian)
//! - root = SHA-256 of the canonical {member → hex leaf}

use std::sync::{Arc, OnceLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::id::ProfileId;
use crate::profile::{Profile, SCHEMA_VERSION, push_hex};
use crate::table::{LeafSet, Member, MemberSet};

/// A SHA-256 digest: 32 bytes.
pub type Hash = [u8; 32];

/// The inputs of a profile's hash tree besides its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Salts {
    /// The user's integrity key.
    pub key: [u8; 16],
    /// Grows with every change of consent or policy, so that a salt is never reused for another audience.
    pub count: u32,
    /// The first revision of the generation, with which the constant members are salted.
    pub first_revision: u64,
    /// The revision of each member's last change, by `Member as usize`.
    pub changed_at: [u64; Member::COUNT],
}

/// A member of the hash tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberProof {
    /// The name of the member in the profile.
    pub name: &'static str,
    /// The hash of the salt and the member's canonical form.
    pub hash: Hash,
    /// The salt, for viewers who see the member whole. Without it the values that a member may have cannot be tried.
    pub salt: Option<[u8; 16]>,
}

/// A profile that can be hashed.
#[derive(Clone, Copy)]
pub(crate) struct Hashed<'a> {
    pub(crate) profile_id: ProfileId,
    pub(crate) salts: &'a Salts,
    pub(crate) profile: &'a Profile,
}

/// The hash tree of a profile, which is computed when its root is first asked for: most revisions of a busy user are
/// never looked at. A tree that was computed for an earlier revision is brought up to date.
#[derive(Debug, Clone, Default)]
pub(crate) struct LazyTree {
    computed: OnceLock<Arc<HashTree>>,
    /// The tree of an earlier revision, and the members that changed since.
    earlier: Option<(Arc<HashTree>, MemberSet)>,
}

impl LazyTree {
    /// Returns the tree of the next revision, which changed these members and uses the same salt count.
    pub(crate) fn after(&self, changed: MemberSet) -> Self {
        let earlier = match (self.computed.get(), &self.earlier) {
            (Some(tree), _) => Some((Arc::clone(tree), changed)),
            (None, Some((tree, before))) => Some((Arc::clone(tree), before.or(changed))),
            (None, None) => None,
        };
        Self { computed: OnceLock::new(), earlier }
    }

    /// Returns the root of the tree of `hashed`, which must be the profile that this belongs to.
    pub(crate) fn root(&self, hashed: Hashed<'_>) -> Hash {
        self.tree(hashed).root
    }

    fn tree(&self, hashed: Hashed<'_>) -> &HashTree {
        let compute = || {
            Arc::new(match &self.earlier {
                Some((tree, changed)) => tree.update(hashed, *changed),
                None => HashTree::new(hashed),
            })
        };
        self.computed.get_or_init(compute)
    }

    /// Returns the members of the tree of `hashed`, in the order of their names, with the salts of those that a viewer with
    /// the mask `seen` sees whole.
    pub(crate) fn proofs(&self, hashed: Hashed<'_>, seen: LeafSet) -> Vec<MemberProof> {
        let tree = self.tree(hashed);
        let salter = Salter::new(hashed.salts);
        let constant =
            |name, hash| MemberProof { name, hash, salt: Some(salter.salt(name, hashed.salts.first_revision)) };
        let mut proofs = vec![constant("profile_id", tree.profile_id), constant("schema_version", tree.schema_version)];
        proofs.extend(hashed.profile.present().members().map(|member| {
            let changed_at = hashed.salts.changed_at[member as usize];
            let is_whole = member.leaves().without(seen) == LeafSet::EMPTY;
            let salt = is_whole.then(|| salter.salt(member.name(), changed_at));
            MemberProof { name: member.name(), hash: tree.leaves[member as usize], salt }
        }));
        proofs.sort_unstable_by_key(|proof| proof.name);
        proofs
    }

    /// Returns the bytes of memory that the tree takes besides itself.
    pub(crate) fn bytes(&self) -> usize {
        self.computed.get().map_or(0, |_| size_of::<HashTree>())
    }
}

/// The leaves of the tree, and its root.
#[derive(Debug, Clone, PartialEq)]
struct HashTree {
    leaves: [Hash; Member::COUNT],
    profile_id: Hash,
    schema_version: Hash,
    root: Hash,
}

impl HashTree {
    fn new(hashed: Hashed<'_>) -> Self {
        let salter = Salter::new(hashed.salts);
        let constant = |name: &str, value: String| {
            let hash = Sha256::new().chain_update(salter.salt(name, hashed.salts.first_revision));
            hash.chain_update(format!("\"{value}\"")).finalize().into()
        };
        let empty = Self {
            leaves: [[0; 32]; Member::COUNT],
            profile_id: constant("profile_id", hashed.profile_id.to_string()),
            schema_version: constant("schema_version", SCHEMA_VERSION.to_owned()),
            root: [0; 32],
        };
        empty.update(hashed, MemberSet::ALL)
    }

    /// Returns the tree after these members changed.
    fn update(&self, hashed: Hashed<'_>, changed: MemberSet) -> Self {
        let Hashed { salts, profile, .. } = hashed;
        let salter = Salter::new(salts);
        let mut tree = self.clone();
        for member in changed.iter() {
            if let Some(section) = profile.section(member) {
                let salt = salter.salt(member.name(), salts.changed_at[member as usize]);
                let mut hash = Sha256::new().chain_update(salt);
                section.write(LeafSet::ALL, |piece| hash.update(piece));
                tree.leaves[member as usize] = hash.finalize().into();
            }
        }
        tree.root = tree.compute_root(profile);
        tree
    }

    /// Returns the root over the members that are present.
    fn compute_root(&self, profile: &Profile) -> Hash {
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

/// Makes the salts of one profile. The key's part of the HMAC is computed once.
struct Salter {
    keyed: Hmac<Sha256>,
    count: u32,
}

impl Salter {
    fn new(salts: &Salts) -> Self {
        let keyed = Hmac::<Sha256>::new_from_slice(&salts.key).unwrap_or_else(|_| unreachable!("any key length works"));
        Self { keyed, count: salts.count }
    }

    /// Returns the salt of a member that changed last in `revision`.
    fn salt(&self, member: &str, revision: u64) -> [u8; 16] {
        let mut mac = self.keyed.clone();
        mac.update(member.as_bytes());
        mac.update(&revision.to_be_bytes());
        mac.update(&self.count.to_be_bytes());
        let mut salt = [0; 16];
        salt.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        salt
    }
}
