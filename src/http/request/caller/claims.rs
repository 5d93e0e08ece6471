//! The claims of a token, and the caller that they describe.

use domain::access::Viewer;
use domain::id::UserId;
use serde::{Deserialize, Serialize};

use super::account::Accounts;
use super::identity::{Caller, TokenFacts};
use super::key_set::KeyName;
use super::lifetime::Lifetime;
use super::numeric_date::NumericDate;
use super::role::Role;
use super::scopes::{Scope, Scopes};
use super::token_error::TokenError;
use crate::json_object::JsonObject;

/// The tenant of a token without the claim `tenant`, which is the only one.
pub(super) const DEFAULT_TENANT: &str = "0";

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
    /// Returns the caller that these claims describe; the token has been verified. `key` is the key that has signed it.
    ///
    /// # Errors
    /// The error names the claim that is not valid.
    pub(crate) fn into_caller(
        self,
        accounts: &Accounts,
        lifetime: Lifetime,
        key: Option<KeyName>,
    ) -> Result<Caller, TokenError> {
        let role = Role::parse(&self.role).ok_or(TokenError("the claim `role` is not a known role"))?;
        if self.sub.strip_prefix(role.subject_prefix()).is_none_or(str::is_empty) {
            return Err(TokenError("the prefix of the claim `sub` does not match the claim `role`"));
        }
        let scopes = Scopes::parse(&self.scope);
        let viewer = self.viewer(role, scopes)?;
        let token = TokenFacts {
            id: self.jti,
            lifetime,
            second_factor: self.amr.iter().any(|method| matches!(method.as_str(), "mfa" | "otp")),
            authenticated_at: self.auth_time.map(NumericDate::micros),
            // Verification has refused all others.
            tenant: 0,
            key,
        };
        Ok(Caller::new(accounts.get(&self.sub), role, viewer, scopes, token))
    }

    /// Checks whether the claims describe a caller.
    ///
    /// # Errors
    /// As [`Self::into_caller`].
    pub(crate) fn check(&self) -> Result<(), TokenError> {
        let lifetime = Lifetime { made_from: 0, starts_at: 0, ends_at: i64::MAX };
        self.clone().into_caller(&Accounts::new([0; 16]), lifetime, None).map(drop)
    }

    fn viewer(&self, role: Role, scopes: Scopes) -> Result<Viewer, TokenError> {
        Ok(match role {
            Role::SelfCitizen => Viewer::SelfCitizen(
                UserId::parse(&self.sub).map_err(|_| TokenError("the claim `sub` is not a user id"))?,
            ),
            Role::Service => Viewer::Service {
                profile_read: scopes.has(Scope::ProfileRead),
                third_party: scopes.has(Scope::ThirdParty),
                ai_context: scopes.has(Scope::AiContext),
            },
            Role::Admin => Viewer::Admin { profile_read: scopes.has(Scope::ProfileRead) },
            Role::Auditor => Viewer::Auditor,
            Role::Agent => Viewer::Agent { citizen: self.citizen()?, sections: scopes.sections() },
        })
    }

    fn citizen(&self) -> Result<UserId, TokenError> {
        let JsonObject(act) = self.act.as_ref().ok_or(TokenError("an agent's token needs the claim `act`"))?;
        UserId::parse(&act.sub).map_err(|_| TokenError("the claim `act` does not contain a user id"))
    }
}
