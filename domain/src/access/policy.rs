//! The access table, checked and compiled.

use super::{BlockedUsers, Consent, Viewer, Visibility};
use crate::table::{FIELDS, LeafSet, Member};

/// The access table as it is written: for each viewer the paths that each level adds to the one below.
#[derive(Debug, Clone, Default)]
pub struct AccessRules {
    /// The leaves of their own profile that a citizen sees.
    pub self_citizen: ViewerRules,
    /// A service with `profile:read`.
    pub service: ViewerRules,
    /// The leaves that the scope `ai_context` adds to the row of services.
    pub ai_context: ViewerRules,
    /// An agent, before its scopes narrow it.
    pub agent: ViewerRules,
    /// An administrator with `profile:read`.
    pub admin: ViewerRules,
    /// The names of services that may read the leaves of the hash tree of a profile that they see.
    pub integrity_services: Vec<String>,
}

/// Exact dotted paths, `section.*`, or `*`; by the level of consent that adds them.
#[derive(Debug, Clone, Default)]
pub struct ViewerRules {
    /// Seen at every level.
    pub minimal: Vec<String>,
    /// Paths that are added at the level standard.
    pub standard: Vec<String>,
    /// Paths that are added at the level full.
    pub full: Vec<String>,
}

/// The error for a path of the access table that names no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path of the profile: give a field's dotted path, `section.*` or `*`")]
pub struct InvalidAccess {
    /// The path as it was written.
    pub path: String,
}

/// The compiled table: a few set operations per question.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Changes with the table; a cached view of another version is stale.
    pub version: u32,
    pub(super) self_citizen: [LeafSet; 3],
    pub(super) service: [LeafSet; 3],
    pub(super) ai_context: [LeafSet; 3],
    pub(super) agent: [LeafSet; 3],
    pub(super) admin: [LeafSet; 3],
    pub(super) integrity_services: Vec<String>,
    pub(super) blocked: BlockedUsers,
}

impl Policy {
    /// Compiles a table.
    ///
    /// # Errors
    /// A path names no field; the error holds the first one.
    pub fn compile(rules: &AccessRules) -> Result<Self, InvalidAccess> {
        let [self_citizen, service, ai_context, agent, admin] =
            [&rules.self_citizen, &rules.service, &rules.ai_context, &rules.agent, &rules.admin].map(levels);
        let mut policy = Self {
            version: 0,
            self_citizen: self_citizen?,
            service: service?,
            ai_context: ai_context?,
            agent: agent?,
            admin: admin?,
            integrity_services: rules.integrity_services.clone(),
            blocked: BlockedUsers::default(),
        };
        policy.version = policy.fingerprint();
        Ok(policy)
    }

    /// Returns what `viewer` may see of `user` under this consent: nothing while the user is blocked.
    pub fn visibility(&self, viewer: &Viewer, user: &crate::id::UserId, consent: Consent) -> Visibility {
        if self.blocked.has(user) { Visibility::Hidden } else { self.unblocked_visibility(viewer, user, consent) }
    }

    /// Returns what `viewer` may see of `user` under this consent, whether the user is blocked or not: who may know of a user
    /// is told that it was erased.
    pub fn unblocked_visibility(&self, viewer: &Viewer, user: &crate::id::UserId, consent: Consent) -> Visibility {
        let level = consent.level as usize;
        match viewer {
            Viewer::SelfCitizen(citizen) if citizen == user => Visibility::Mask(self.self_citizen[level]),
            Viewer::Agent { citizen, sections } if citizen == user => {
                Visibility::Mask(self.agent[level].and(*sections))
            }
            Viewer::Service { third_party: true, .. } if !consent.third_party_sharing => Visibility::Hidden,
            Viewer::Service { profile_read: true, ai_context, .. } => {
                let extra = if *ai_context { self.ai_context[level] } else { LeafSet::EMPTY };
                Visibility::Mask(self.service[level].or(extra))
            }
            Viewer::Admin { profile_read: true } => Visibility::Mask(self.admin[level]),
            _ => Visibility::Hidden,
        }
    }

    /// Returns whether a service may read the leaves of the hash tree. `name` is the subject of its token without `svc:`.
    pub fn shows_integrity(&self, name: &str) -> bool {
        self.integrity_services.iter().any(|service| service == name)
    }

    fn fingerprint(&self) -> u32 {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        for set in [self.self_citizen, self.service, self.ai_context, self.agent, self.admin].concat() {
            hash.update(set.numbers().to_be_bytes());
        }
        let digest = hash.finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}

fn levels(rules: &ViewerRules) -> Result<[LeafSet; 3], InvalidAccess> {
    let minimal = parse_paths(&rules.minimal)?;
    let standard = minimal.or(parse_paths(&rules.standard)?);
    let full = standard.or(parse_paths(&rules.full)?);
    Ok([minimal, standard, full])
}

fn parse_paths(paths: &[String]) -> Result<LeafSet, InvalidAccess> {
    paths.iter().try_fold(LeafSet::EMPTY, |set, path| Ok(set.or(parse_path(path)?)))
}

/// Returns the leaves that a path of the table names: one leaf, or a subtree with `.*`.
fn parse_path(path: &str) -> Result<LeafSet, InvalidAccess> {
    let found = match path.strip_suffix(".*") {
        _ if path == "*" => Some(LeafSet::ALL),
        Some(section) => Member::parse(section).filter(|member| !member.is_leaf()).map(Member::leaves),
        None => FIELDS.iter().find(|field| field.path == path).map(|field| LeafSet::only(field.leaf)),
    };
    found.ok_or_else(|| InvalidAccess { path: path.to_owned() })
}
