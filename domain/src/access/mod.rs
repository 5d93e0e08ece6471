//! Who sees what: callers, and the table compiled into masks.

mod blocked;
mod explain;
mod policy;

pub use blocked::BlockedUsers;
pub use explain::MaskedBy;
pub use policy::{AccessRules, InvalidAccess, Policy, ViewerRules};

use crate::id::UserId;
use crate::table::LeafSet;

/// The properties of a caller that masks depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// The citizen, who reads their own profile.
    SelfCitizen(UserId),
    /// An engine or consumer.
    Service {
        /// The scope `profile:read`.
        profile_read: bool,
        /// The scope `third_party`: the service sees only users who consented to third parties.
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
        /// The user for whom it acts (`act` claim).
        citizen: UserId,
        /// The leaves that its `section:` scopes allow.
        sections: LeafSet,
    },
    /// An auditor: no profile.
    Auditor,
}

impl Viewer {
    /// Returns whether there is a consent under which this viewer sees something of `user`, unless the user is blocked. For
    /// all other users [`Policy::visibility`] is always [`Visibility::Hidden`].
    pub fn may_ever_see(&self, user: &UserId) -> bool {
        match self {
            Self::SelfCitizen(citizen) | Self::Agent { citizen, .. } => citizen == user,
            Self::Service { profile_read, .. } | Self::Admin { profile_read } => *profile_read,
            Self::Auditor => false,
        }
    }

    /// Returns whether this viewer may not even learn that some users exist, because they have not consented to third
    /// parties.
    pub const fn existence_may_be_hidden(&self) -> bool {
        matches!(self, Self::Service { third_party: true, .. })
    }
}

/// The parts of the citizen's consent that masks depend on. Without any record, the least consent applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Consent {
    /// How much of the profile is shared.
    pub level: SharingLevel,
    /// Whether third parties may know of the profile.
    pub third_party_sharing: bool,
}

impl Consent {
    /// Returns the consent that allows only what both allow.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        Self {
            level: self.level.min(other.level),
            third_party_sharing: self.third_party_sharing && other.third_party_sharing,
        }
    }
}

/// How much of the profile the citizen shares: `consent.data_sharing_level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub enum SharingLevel {
    /// The least: few fields.
    #[default]
    Minimal,
    /// More than minimal.
    Standard,
    /// The most: everything that a table row opens.
    Full,
}

/// The part of one user's profile that a viewer may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Nothing, not even that the user exists.
    Hidden,
    /// The envelope and these leaves.
    Mask(LeafSet),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_never_see_is_always_met_by_hidden() {
        let policy = Policy::compile(&AccessRules::default()).expect("an empty table");
        let user = |id: &str| UserId::parse(id).expect("a user id");
        let (one, other) = (user("usr_7Qm2Xr9TzKpA"), user("usr_SomebodyElse01"));
        let mut viewers = vec![Viewer::SelfCitizen(one), Viewer::SelfCitizen(other), Viewer::Auditor];
        viewers.extend([one, other].map(|citizen| Viewer::Agent { citizen, sections: LeafSet::ALL }));
        viewers.extend([true, false].map(|profile_read| Viewer::Admin { profile_read }));
        for bits in 0..8 {
            let [profile_read, third_party, ai_context] = [1, 2, 4].map(|bit| bits & bit != 0);
            viewers.push(Viewer::Service { profile_read, third_party, ai_context });
        }
        for viewer in viewers {
            let consents =
                [false, true].map(|third_party_sharing| Consent { third_party_sharing, ..Consent::default() });
            let sees = consents.map(|consent| policy.visibility(&viewer, &one, consent) != Visibility::Hidden);
            assert_eq!(viewer.may_ever_see(&one), sees.contains(&true), "{viewer:?}");
            if sees == [false, true] {
                assert!(viewer.existence_may_be_hidden(), "{viewer:?}");
            }
        }
    }
}
