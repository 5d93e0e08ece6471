//! Who sees what: callers, and the table compiled into masks.

mod policy;

pub use policy::{AccessRules, InvalidAccess, Policy, ViewerRules};

use crate::id::UserId;
use crate::table::LeafSet;

/// What a caller is, as far as masks depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// The citizen.
    SelfCitizen(UserId),
    /// An engine or consumer.
    Service {
        /// The scope `profile:read`.
        profile_read: bool,
        /// The scope `third_party`: it sees only those who consented to it.
        third_party: bool,
        /// The scope `ai_context`.
        ai_context: bool,
    },
    /// An administrator, with or without the scope `profile:read`.
    Admin {
        /// The scope `profile:read`.
        profile_read: bool,
    },
    /// A tool acting for a citizen, narrowed to the sections of its scopes.
    Agent {
        /// For whom it acts (`act` claim).
        citizen: UserId,
        /// What its `section:` scopes leave.
        sections: LeafSet,
    },
    /// An auditor: no profile.
    Auditor,
}

/// The citizen's consent, as far as masks depend on it. Nothing on record is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Consent {
    /// How much of the profile is shared.
    pub level: SharingLevel,
    /// Whether third parties may know of the profile.
    pub third_party_sharing: bool,
}

/// `consent.data_sharing_level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub enum SharingLevel {
    /// The least.
    #[default]
    Minimal,
    /// The middle.
    Standard,
    /// The most.
    Full,
}

/// What a viewer may see of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Nothing, not even that the user exists.
    Hidden,
    /// The envelope and these leaves.
    Mask(LeafSet),
}
