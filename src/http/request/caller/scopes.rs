//! The scopes of a caller, as sets.

use domain::source::Source;
use domain::table::{LeafSet, Member};

/// A scope without a parameter. Its number is its bit in [`Scopes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Reading profiles.
    ProfileRead,
    /// The caller is a third party, which sees only citizens who consented to third parties.
    ThirdParty,
    /// The row `ai_context` of the access table.
    AiContext,
    /// More than one user on a socket.
    LiveMany,
    /// Following the events of all users.
    EventsRead,
    /// Bulk exports.
    Export,
    /// Operating the server: administration and the operator's view.
    Operate,
    /// Simulating events.
    Simulate,
}

impl Scope {
    /// All scopes without a parameter.
    pub(crate) const ALL: [Self; 8] = [
        Self::ProfileRead,
        Self::ThirdParty,
        Self::AiContext,
        Self::LiveMany,
        Self::EventsRead,
        Self::Export,
        Self::Operate,
        Self::Simulate,
    ];

    /// Returns the name in the claim `scope`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ProfileRead => "profile:read",
            Self::ThirdParty => "third_party",
            Self::AiContext => "ai_context",
            Self::LiveMany => "live:many",
            Self::EventsRead => "events:read",
            Self::Export => "export",
            Self::Operate => "operate",
            Self::Simulate => "simulate",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The scopes of a token. Names that the server does not know are left out: they open nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scopes {
    plain: u32,
    /// The sources of the scopes `feed:…`, a bit for each place in [`Source::ALL`].
    feeds: u32,
    /// The leaves of the sections that the scopes `section:…` name.
    sections: LeafSet,
}

impl Scopes {
    /// Returns the scopes in the claim `scope`, which separates them by spaces.
    pub(crate) fn parse(claim: &str) -> Self {
        let mut scopes = Self { plain: 0, feeds: 0, sections: LeafSet::EMPTY };
        for name in claim.split_ascii_whitespace() {
            scopes.insert(name);
        }
        scopes
    }

    fn insert(&mut self, name: &str) {
        if let Some(scope) = Scope::ALL.into_iter().find(|scope| scope.name() == name) {
            self.plain |= scope.bit();
        } else if let Some(source) = name.strip_prefix("feed:").and_then(Source::parse) {
            self.feeds |= feed_bit(source);
        } else if let Some(member) = name.strip_prefix("section:").and_then(Member::parse) {
            self.sections = self.sections.or(member.leaves());
        }
    }

    /// Whether the scope is among them.
    pub(crate) const fn has(self, scope: Scope) -> bool {
        self.plain & scope.bit() != 0
    }

    /// Whether the scope `feed:{source}` is among them.
    pub(crate) fn has_feed(self, source: Source) -> bool {
        self.feeds & feed_bit(source) != 0
    }

    /// Returns the leaves of the sections that the scopes `section:…` name; none without such a scope.
    pub(crate) const fn sections(self) -> LeafSet {
        self.sections
    }
}

fn feed_bit(source: Source) -> u32 {
    let place = Source::ALL.iter().position(|known| *known == source);
    place.map_or(0, |place| 1 << place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_is_found_and_no_other() {
        for scope in Scope::ALL {
            let scopes = Scopes::parse(&format!("x:y {} profile", scope.name()));
            assert!(Scope::ALL.into_iter().all(|other| scopes.has(other) == (other == scope)), "{scope:?}");
        }
        for source in Source::ALL {
            let scopes = Scopes::parse(&format!("feed:{}", source.name()));
            assert!(Source::ALL.into_iter().all(|other| scopes.has_feed(other) == (other == source)), "{source:?}");
        }
        let scopes = Scopes::parse("section:family  section:nothing feed:nothing PROFILE:READ");
        assert_eq!(scopes, Scopes { plain: 0, feeds: 0, sections: Member::Family.leaves() });
        assert_eq!(Scopes::parse(""), Scopes { plain: 0, feeds: 0, sections: LeafSet::EMPTY });
    }
}
