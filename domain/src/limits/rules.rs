//! The limits in force: a quota for each class of operations and each kind of caller.

use std::collections::BTreeMap;

use crate::named_enum;

named_enum! {
    /// The class of a rate limit. Calls of all operations of a class count together.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum LimitClass {
        /// Tickets, tokens and sessions.
        Auth => "auth",
        /// Reads of history, provenance, everything held about a citizen, and the audit log.
        Sensitive => "sensitive",
        /// Differences of two revisions, which count as sensitive, too.
        Diff => "diff",
        /// Reads of profiles.
        Read => "read",
        /// Changes by a person.
        Write => "write",
        /// Snapshots that are taken, which count as writes, too.
        Snapshots => "snapshots",
        /// Assemblies that are asked for by a person, which count as writes, too.
        Assemble => "assemble",
        /// Feeds.
        Feed => "feed",
        /// Bulk exports.
        Export => "export",
        /// Assemblies that are asked for by a service.
        Internal => "internal",
    }
}

impl LimitClass {
    /// Returns the class that also counts the calls of this one.
    #[must_use]
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::Diff => Some(Self::Sensitive),
            Self::Snapshots | Self::Assemble => Some(Self::Write),
            _ => None,
        }
    }
}

/// How many calls are allowed within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Maximum number of calls within the window.
    pub limit: u32,
    /// The length of the window, in seconds.
    pub window_s: u32,
    /// Maximum number of calls within one second; `None` if only the window counts.
    pub burst: Option<u32>,
}

impl Quota {
    /// Returns a quota per minute.
    #[must_use]
    pub const fn per_minute(limit: u32) -> Self {
        Self { limit, window_s: 60, burst: None }
    }

    /// Returns the length of the window in microseconds.
    #[must_use]
    pub const fn window(&self) -> u64 {
        self.window_s as u64 * 1_000_000
    }
}

/// The quota of each class for one caller; `None` where nothing is counted.
pub type Quotas = [Option<Quota>; LimitClass::COUNT];

/// The limits of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassRules {
    /// The quota of each caller; `None` if the calls are not counted.
    pub quota: Option<Quota>,
    /// The limit of each service, in place of the limit of the quota.
    pub service_limit: Option<u32>,
    /// The limit of all callers of an address together.
    pub address_limit: Option<u32>,
}

/// All limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRules {
    /// The limits of each class.
    pub classes: [ClassRules; LimitClass::COUNT],
    /// Limits of single services by their subject, such as `svc:name`.
    pub services: BTreeMap<String, BTreeMap<LimitClass, u32>>,
    /// The quota of each address for calls without an accepted credential.
    pub failures: Quota,
    /// The quota of each address for calls that need no credential.
    pub anonymous: Quota,
    /// Maximum number of requests per second of all clients together; 0 for no limit.
    pub flood_per_second: u32,
}

impl LimitRules {
    /// Returns the limits of a class.
    #[must_use]
    pub const fn class(&self, class: LimitClass) -> &ClassRules {
        &self.classes[class as usize]
    }

    /// Returns the quotas of a caller who is not a service.
    #[must_use]
    pub fn for_person(&self) -> Quotas {
        self.classes.map(|rules| rules.quota)
    }

    /// Returns the quotas of the service with this subject.
    #[must_use]
    pub fn for_service(&self, subject: &str) -> Quotas {
        let own = self.services.get(subject);
        LimitClass::ALL.map(|class| {
            let rules = self.class(class);
            let limit = own.and_then(|own| own.get(&class)).copied().or(rules.service_limit);
            match (rules.quota, limit) {
                (Some(quota), limit) => Some(Quota { limit: limit.unwrap_or(quota.limit), ..quota }),
                // A class that is not counted may have a limit for one service.
                (None, limit) => limit.map(Quota::per_minute),
            }
        })
    }
}
