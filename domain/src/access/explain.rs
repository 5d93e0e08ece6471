//! Why a viewer may not see a leaf.

use super::{Consent, Policy, SharingLevel, Viewer};
use crate::named_enum;
use crate::table::{FIELDS, Leaf, LeafSet};

named_enum! {
    /// What keeps a leaf from a viewer.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum MaskedBy {
        /// No consent and no scope opens it to this role.
        Role => "role",
        /// The citizen's consent: a higher level would open it.
        Consent => "consent",
        /// The scopes of the token: another one would open it.
        Scope => "scope",
    }
}

impl Policy {
    /// Returns each leaf of the schema with what masks it for `viewer` under this consent; `None` if the viewer may see it.
    /// The answer depends on nothing but the table, the viewer and the level of consent. The viewer may know of the user.
    pub fn explain(&self, viewer: &Viewer, consent: Consent) -> Vec<(Leaf, Option<MaskedBy>)> {
        let (now, highest) = (consent.level as usize, SharingLevel::Full as usize);
        let (seen, by_consent, by_scope) = match viewer {
            Viewer::SelfCitizen(_) => (self.self_citizen[now], self.self_citizen[highest], LeafSet::EMPTY),
            Viewer::Agent { sections, .. } => {
                (self.agent[now].and(*sections), self.agent[highest].and(*sections), self.agent[highest])
            }
            Viewer::Service { ai_context, .. } => {
                let with_scope = |level: usize| self.service[level].or(self.ai_context[level]);
                let level = |level: usize| if *ai_context { with_scope(level) } else { self.service[level] };
                (level(now), level(highest), with_scope(highest))
            }
            Viewer::Admin { .. } => (self.admin[now], self.admin[highest], LeafSet::EMPTY),
            Viewer::Auditor => (LeafSet::EMPTY, LeafSet::EMPTY, LeafSet::EMPTY),
        };
        let masked_by = |leaf| match leaf {
            leaf if seen.has(leaf) => None,
            leaf if by_consent.has(leaf) => Some(MaskedBy::Consent),
            leaf if by_scope.has(leaf) => Some(MaskedBy::Scope),
            _ => Some(MaskedBy::Role),
        };
        FIELDS.iter().map(|field| (field.leaf, masked_by(field.leaf))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{AccessRules, ViewerRules, Visibility};
    use crate::id::UserId;
    use crate::table::Member;

    fn policy() -> Policy {
        let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        let service = ViewerRules {
            minimal: paths(&["demographics.state"]),
            standard: paths(&["eligibility.*"]),
            full: paths(&["deadlines.*"]),
        };
        let ai_context = ViewerRules { standard: paths(&["trust.*"]), ..Default::default() };
        let everything = ViewerRules { minimal: paths(&["*"]), ..Default::default() };
        let rules =
            AccessRules { service, ai_context, agent: everything.clone(), admin: everything, ..Default::default() };
        Policy::compile(&rules).expect("the table names fields")
    }

    #[test]
    fn each_leaf_is_seen_or_masked_by_what_would_open_it() {
        let policy = policy();
        let service = |ai_context| Viewer::Service { profile_read: true, third_party: false, ai_context };
        let consent = |level| Consent { level, third_party_sharing: false };
        let why = |viewer: &Viewer, level, leaf| {
            let leaves = policy.explain(viewer, consent(level));
            leaves.into_iter().find(|(found, _)| *found == leaf).expect("each leaf is there").1
        };
        let (minimal, standard) = (SharingLevel::Minimal, SharingLevel::Standard);
        assert_eq!(why(&service(false), minimal, Leaf::DemographicsState), None);
        assert_eq!(why(&service(false), minimal, Leaf::EligibilityTotalEligible), Some(MaskedBy::Consent));
        assert_eq!(why(&service(false), standard, Leaf::TrustSourceTrace), Some(MaskedBy::Scope));
        assert_eq!(why(&service(true), minimal, Leaf::TrustSourceTrace), Some(MaskedBy::Consent));
        assert_eq!(why(&service(true), standard, Leaf::IdentityDisplayName), Some(MaskedBy::Role));
        let citizen = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
        let agent = Viewer::Agent { citizen, sections: Member::Family.leaves() };
        assert_eq!(why(&agent, minimal, Leaf::FamilyDependents), None);
        assert_eq!(why(&agent, minimal, Leaf::EconomicBplStatus), Some(MaskedBy::Scope));
    }

    #[test]
    fn what_is_said_to_be_seen_is_the_mask() {
        let policy = policy();
        let citizen = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
        let agent = Viewer::Agent { citizen, sections: Member::Family.leaves().or(Member::Trust.leaves()) };
        let services =
            [false, true].map(|ai_context| Viewer::Service { profile_read: true, third_party: true, ai_context });
        let viewers = [agent, Viewer::SelfCitizen(citizen), Viewer::Admin { profile_read: true }];
        for viewer in viewers.into_iter().chain(services) {
            for level in [SharingLevel::Minimal, SharingLevel::Standard, SharingLevel::Full] {
                let consent = Consent { level, third_party_sharing: true };
                let told = policy.explain(&viewer, consent).into_iter().filter(|(_, why)| why.is_none());
                let told: LeafSet = told.map(|(leaf, _)| leaf).collect();
                assert_eq!(policy.visibility(&viewer, &citizen, consent), Visibility::Mask(told), "{viewer:?}");
            }
        }
    }
}
