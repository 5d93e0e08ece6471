//! The claims of a token, and the caller that they describe.

use domain::access::Viewer;
use domain::id::UserId;
use domain::source::Source;
use domain::table::{LeafSet, Member};
use serde::{Deserialize, Serialize};

use super::numeric_date::NumericDate;
use super::{Caller, Role, TokenError};
use crate::json_object::JsonObject;

/// The claims of an access token (RFC 9068).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: Audience,
    pub(crate) sub: String,
    pub(crate) role: String,
    #[serde(default)]
    pub(crate) scope: String,
    pub(crate) exp: NumericDate,
    pub(crate) nbf: NumericDate,
    pub(crate) iat: NumericDate,
    pub(crate) jti: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) amr: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth_time: Option<NumericDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<JsonObject<Act>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
}

/// One audience or several (RFC 7519, section 4.1.3).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// Whether `audience` is among the audiences.
    pub(super) fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(name) => name == audience,
            Self::Several(names) => names.iter().any(|name| name == audience),
        }
    }
}

/// The citizen that an agent acts for (RFC 8693, section 4.1).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Act {
    pub(crate) sub: String,
}

impl Claims {
    /// Returns the caller that these claims describe; the token has been verified. `ends_at` is the second after which
    /// the token is no longer accepted.
    ///
    /// # Errors
    /// The error names the claim that is not valid.
    pub(crate) fn into_caller(self, ends_at: i64) -> Result<Caller, TokenError> {
        let role = Role::parse(&self.role).ok_or(TokenError("the claim `role` is not a known role"))?;
        if self.sub.strip_prefix(role.subject_prefix()).is_none_or(str::is_empty) {
            return Err(TokenError("the prefix of the claim `sub` does not match the claim `role`"));
        }
        let has = |scope: &str| self.scope.split_ascii_whitespace().any(|held| held == scope);
        let viewer = match role {
            Role::SelfCitizen => Viewer::SelfCitizen(
                UserId::parse(&self.sub).map_err(|_| TokenError("the claim `sub` is not a user id"))?,
            ),
            Role::Service => Viewer::Service {
                profile_read: has("profile:read"),
                third_party: has("third_party"),
                ai_context: has("ai_context"),
            },
            Role::Admin => Viewer::Admin { profile_read: has("profile:read") },
            Role::Auditor => Viewer::Auditor,
            Role::Agent => Viewer::Agent { citizen: self.citizen()?, sections: self.sections() },
        };
        // Only services post events: the token of a person opens no feed, whatever its scopes.
        let feeds = match role {
            Role::Service => Source::ALL.into_iter().filter(|source| has(&format!("feed:{}", source.name()))).collect(),
            _ => Vec::new(),
        };
        let live_many = role == Role::Service && has("live:many");
        let events_read = matches!(role, Role::Service | Role::Admin) && has("events:read");
        Ok(Caller { subject: self.sub, role, viewer, feeds, live_many, events_read, ends_at })
    }

    fn citizen(&self) -> Result<UserId, TokenError> {
        let JsonObject(act) = self.act.as_ref().ok_or(TokenError("an agent's token needs the claim `act`"))?;
        UserId::parse(&act.sub).map_err(|_| TokenError("the claim `act` does not contain a user id"))
    }

    /// Returns the leaves of the sections that the `section:` scopes name; none without such a scope.
    fn sections(&self) -> LeafSet {
        let scopes = self.scope.split_ascii_whitespace();
        let members = scopes.filter_map(|scope| scope.strip_prefix("section:")).filter_map(Member::parse);
        members.fold(LeafSet::EMPTY, |sections, member| sections.or(member.leaves()))
    }
}
