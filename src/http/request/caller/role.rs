//! The roles of callers.

/// The role of a caller, named by the claim `role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A citizen, who reads and consents for themselves.
    SelfCitizen,
    /// An engine that posts events, or a consumer of profiles.
    Service,
    /// An administrator.
    Admin,
    /// An auditor.
    Auditor,
    /// A tool that acts for a citizen.
    Agent,
}

impl Role {
    /// All roles. The name `legal` is reserved for a later one.
    pub(crate) const ALL: [Self; 5] = [Self::SelfCitizen, Self::Service, Self::Admin, Self::Auditor, Self::Agent];

    /// Returns the role with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Returns the name in the claim `role`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SelfCitizen => "self",
            Self::Service => "service",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Agent => "agent",
        }
    }

    /// Returns the prefix that the claim `sub` must have.
    pub(crate) const fn subject_prefix(self) -> &'static str {
        match self {
            Self::SelfCitizen => "usr_",
            Self::Service => "svc:",
            Self::Admin => "adm:",
            Self::Auditor => "aud:",
            Self::Agent => "agt:",
        }
    }
}
