//! The kinds of callers.

use serde_json::json;

use crate::test_server::USER;
use crate::token::{Token, now};

pub(super) const OTHER: &str = "usr_SomebodyElse01";

/// A caller, and what the contract says about it.
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    pub(crate) token: Option<Token>,
}

impl Caller {
    pub(crate) fn claim(&self, name: &str) -> &str {
        self.token.as_ref().and_then(|token| token.claims[name].as_str()).unwrap_or_default()
    }

    pub(super) fn has(&self, scope: &str) -> bool {
        self.claim("scope").split(' ').any(|held| held == scope)
    }

    /// Whether the caller sees something of [`USER`], who has or has not consented to third parties.
    pub(super) fn sees(&self, shares: bool) -> bool {
        match self.claim("role") {
            "self" => self.claim("sub") == USER,
            "agent" => self.token.as_ref().is_some_and(|token| token.claims["act"]["sub"] == USER),
            "service" => self.has("profile:read") && (shares || !self.has("third_party")),
            "admin" => self.has("profile:read"),
            _ => false,
        }
    }
}

pub(crate) fn callers() -> Vec<Caller> {
    let caller = |name, role: &str, subject: &str, scope: &str| Caller {
        name,
        token: Some(Token::new(role, subject, scope).with("amr", json!(["mfa"])).with("auth_time", now())),
    };
    let agent = |name, citizen: &str| {
        let token = Token::new("agent", "agt:a", "section:family operate feed:identity events:read profile:read");
        Caller { name, token: Some(token.with("act", json!({ "sub": citizen }))) }
    };
    let all = "profile:read live:many events:read feed:identity operate simulate export ai_context";
    vec![
        Caller { name: "nobody", token: None },
        caller("the citizen", "self", USER, ""),
        caller("the citizen with scopes", "self", USER, all),
        caller("another citizen", "self", OTHER, all),
        caller("a service", "service", "svc:a", ""),
        caller("a reading service", "service", "svc:a", "profile:read"),
        caller("a third party", "service", "svc:a", "profile:read third_party"),
        caller("a feed", "service", "svc:a", "feed:identity"),
        caller("another feed", "service", "svc:a", "feed:metadata"),
        caller("a service with all scopes", "service", "svc:a", all),
        caller("an admin", "admin", "adm:a", ""),
        caller("a reading admin", "admin", "adm:a", "profile:read"),
        caller("an operator", "admin", "adm:a", "operate"),
        caller("an admin with all scopes", "admin", "adm:a", all),
        caller("an auditor", "auditor", "aud:a", ""),
        caller("an auditor with scopes", "auditor", "aud:a", all),
        agent("the citizen's agent", USER),
        agent("another's agent", OTHER),
    ]
}
