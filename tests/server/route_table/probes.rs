//! What the contract says about each route.

use serde_json::{Value, json};

use super::callers::{Caller, OTHER};
use crate::test_server::{NOW, USER, example};

/// The id of an export that nobody has started.
const NO_JOB: &str = "exp_00000000000000000000000000000000";
/// The id of a snapshot that does not exist.
const NO_SNAPSHOT: &str = "snap_00000000-0000-7000-8000-000000000000";
/// The key of a user who is not in quarantine.
const NO_KEY: &str = "00000000000000000000000000000000";

/// A request for a route, and what the answer is for those who are admitted.
pub(crate) struct Probe {
    pub(crate) rule: Rule,
    pub(crate) path: String,
    pub(crate) body: Option<(&'static str, String)>,
    /// The status of the answer to those who are admitted; 0 if it depends on the caller.
    pub(crate) admitted: u16,
    /// Whether the call is admitted and recorded, and fails then.
    pub(crate) fails_late: bool,
}

/// Who is admitted.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    /// Everyone.
    All,
    /// Every caller with a token or session.
    Authenticated,
    /// Callers who see the user; for others there is no such user.
    Viewers,
    /// Callers who see the user under some consent; for others there is no such user.
    PossibleViewers,
    /// The citizen; for others there is no such user.
    Citizen,
    /// The citizen and administrators, as far as they see the user.
    Explained,
    /// The citizen and administrators, as far as they see the user, and services that the access table names: here none.
    Verifiers,
    /// Administrators, as far as they see the user.
    SeeingAdmins,
    /// Nobody: the user does not exist. It is said to the citizen and to administrators, and others are not asked who they are.
    Erasers,
    /// The citizen, administrators, and services with `simulate`, as far as they see the user.
    Simulators,
    /// Services with the scope of the feed.
    Feed,
    /// Services with the scope of the feed, and administrators with `operate`.
    FeedOrOperators,
    /// Services and administrators with `events:read`.
    Followers,
    /// Administrators with `operate`.
    Operators,
    /// Administrators with `export`.
    Exporters,
    /// Auditors, and citizens for what is about themselves.
    Auditing,
}

/// Returns the probe of a route. A route that is not here fails the test: add what the contract says about it.
///
/// `parameter` is the parameter of the query that decides which requirements apply.
pub(crate) fn probe(method: &str, path: &str, parameter: Option<&str>) -> Probe {
    let get =
        |rule, path: &str, admitted| Probe { rule, path: path.to_owned(), body: None, admitted, fails_late: false };
    let json = |rule, path: &str, body: Value, admitted| Probe {
        rule,
        path: path.to_owned(),
        body: Some(("application/json", body.to_string())),
        admitted,
        fails_late: false,
    };
    let profile = format!("/api/v2/profile/{USER}");
    match (method, path) {
        ("GET" | "HEAD", "/api/v2/profile/{user_id}") if parameter.is_some() => match parameter {
            Some("revision") => get(Rule::Viewers, &format!("{profile}?revision=1"), 200),
            // All revisions are of the server's fixed time.
            Some("as_of") => get(Rule::Viewers, &format!("{profile}?as_of={NOW}"), 200),
            Some("include") => get(Rule::Viewers, &format!("{profile}?include=provenance"), 200),
            other => panic!("the parameter {other:?} is not in this table: say what it asks for"),
        },
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/history") => get(Rule::Viewers, &format!("{profile}/history"), 200),
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/delta") => {
            get(Rule::Viewers, &format!("{profile}/delta?since=1"), 200)
        }
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/diff") => {
            get(Rule::Viewers, &format!("{profile}/diff?from=1&to=2"), 200)
        }
        ("GET" | "HEAD", "/api/v2/profile/{user_id}") => get(Rule::Viewers, &profile, 200),
        // Fewer callers see the completeness; `tests/server/access.rs` says who.
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/completeness") => {
            get(Rule::Viewers, &format!("{profile}/completeness"), 0)
        }
        ("PUT", "/api/v2/profile/{user_id}/consent") => {
            json(Rule::Citizen, &format!("{profile}/consent"), json!({"analytics_opt_in": true}), 200)
        }
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/summary") => get(Rule::Viewers, &format!("{profile}/summary"), 200),
        ("POST", "/api/v2/profile/{user_id}/simulate") => {
            let event = example().remove(1).1;
            json(Rule::Simulators, &format!("{profile}/simulate"), json!([event]), 200)
        }
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/access") => get(Rule::Viewers, &format!("{profile}/access"), 200),
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/integrity") => {
            get(Rule::Verifiers, &format!("{profile}/integrity"), 200)
        }
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/explain") => {
            get(Rule::Explained, &format!("{profile}/explain?path=/demographics/state"), 200)
        }
        // No id is read, so no read is recorded; `tests/server/derived_reads.rs` says what is recorded of reads.
        ("POST", "/api/v2/profiles/batch-get") => json(Rule::Authenticated, path, json!({"user_ids": []}), 422),
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/snapshots") => {
            get(Rule::Viewers, &format!("{profile}/snapshots"), 200)
        }
        ("POST", "/api/v2/profile/{user_id}/snapshots") => {
            json(Rule::Explained, &format!("{profile}/snapshots"), json!({"trigger": "manual"}), 201)
        }
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/snapshots/{id}") => {
            get(Rule::Viewers, &format!("{profile}/snapshots/{NO_SNAPSHOT}"), 404)
        }
        ("DELETE", "/api/v2/profile/{user_id}/snapshots/{id}") => {
            let path = format!("{profile}/snapshots/{NO_SNAPSHOT}");
            Probe { fails_late: true, ..get(Rule::SeeingAdmins, &path, 404) }
        }
        // Nobody is erased here; `tests/server/erasure.rs` says what is answered then.
        ("DELETE", "/api/v2/profile/{user_id}") => match parameter {
            Some("retain_days") => get(Rule::Explained, &format!("{profile}?retain_days=31"), 400),
            None => get(Rule::Erasers, "/api/v2/profile/usr_NobodyAtAll01", 404),
            other => panic!("the parameter {other:?} is not in this table: say what it asks for"),
        },
        ("DELETE", "/api/v2/profile/{user_id}/erasure") => get(Rule::Explained, &format!("{profile}/erasure"), 404),
        // A request that is admitted fails for another reason, so that no stream begins. That comes before the user is
        // looked up.
        ("GET", "/api/v2/profile/{user_id}/events") if parameter == Some("include") => {
            get(Rule::PossibleViewers, &format!("{profile}/events?include=provenance&schema_version=9"), 406)
        }
        ("GET", "/api/v2/profile/{user_id}/events") => {
            get(Rule::PossibleViewers, &format!("{profile}/events?schema_version=9"), 406)
        }
        ("GET", "/api/v2/events") => get(Rule::Followers, "/api/v2/events?types=nonsense", 400),
        ("GET", "/api/v2/live") => get(Rule::Authenticated, "/api/v2/live", 426),
        ("POST", "/api/v2/feeds/{source}") => json(Rule::Feed, "/api/v2/feeds/identity", json!({}), 415),
        ("POST", "/api/v2/live/ticket") => get(Rule::Authenticated, "/api/v2/live/ticket", 201),
        ("POST", "/api/v2/session") => json(Rule::All, "/api/v2/session", json!({}), 400),
        ("GET" | "HEAD", "/api/v2/session") => get(Rule::Authenticated, "/api/v2/session", 200),
        ("DELETE", "/api/v2/session") => get(Rule::Authenticated, "/api/v2/session?id=none", 404),
        ("GET" | "HEAD", "/api/v2/profile/{user_id}/access-log") => {
            get(Rule::Citizen, &format!("{profile}/access-log"), 200)
        }
        ("GET" | "HEAD", "/api/v2/audit" | "/api/v2/audit/tree-head") => get(Rule::Auditing, path, 200),
        // The first entry is about the consent that the citizen has changed before.
        ("GET" | "HEAD", "/api/v2/audit/inclusion") => get(Rule::Auditing, &format!("{path}?leaf=0&size=1"), 200),
        ("GET" | "HEAD", "/api/v2/audit/consistency") => get(Rule::Auditing, &format!("{path}?from=0&to=1"), 200),
        ("POST", "/admin/revocations") => json(Rule::Operators, "/admin/revocations", json!({"jti": "nobody's"}), 201),
        ("GET" | "HEAD", "/api/v2/operations" | "/admin/allowlist") => get(Rule::Operators, path, 200),
        ("GET" | "HEAD", "/admin/keys") => get(Rule::Operators, path, 200),
        ("POST", "/admin/keys/rotate") => json(Rule::Operators, path, json!({"key": "master"}), 200),
        ("POST", "/admin/allowlist") => {
            let entry = json!({"caller": "svc:nobody", "reason": "a test", "expires_at": "2099-01-01T00:00:00Z"});
            json(Rule::Operators, path, entry, 201)
        }
        ("DELETE", "/admin/allowlist") => {
            Probe { fails_late: true, ..get(Rule::Operators, "/admin/allowlist?caller=svc:unknown", 404) }
        }
        ("POST", "/admin/limits/reset") => json(Rule::Operators, path, json!({"caller": "svc:nobody"}), 204),
        ("POST", "/api/v2/profiles/bulk-export") => json(Rule::Exporters, path, json!({"columns": ["gender"]}), 202),
        ("GET" | "HEAD", "/api/v2/exports" | "/api/v2/exports/feasibility") => get(Rule::Exporters, path, 200),
        // Nobody has such a job.
        (
            "GET" | "HEAD",
            "/api/v2/exports/{job}" | "/api/v2/exports/{job}/events" | "/api/v2/exports/{job}/download",
        ) => get(Rule::Exporters, &path.replace("{job}", NO_JOB), 404),
        ("DELETE", "/api/v2/exports/{job}") => {
            Probe { fails_late: true, ..get(Rule::Exporters, &path.replace("{job}", NO_JOB), 404) }
        }
        ("GET", "/api/v2/profile/{user_id}/export-data") => {
            get(Rule::Explained, &format!("{profile}/export-data"), 200)
        }
        ("GET" | "HEAD", "/api/v2/feeds/{source}/rejected") => {
            get(Rule::FeedOrOperators, "/api/v2/feeds/identity/rejected", 200)
        }
        ("POST", "/api/v2/feeds/{source}/rejected/{id}/retry") => {
            get(Rule::FeedOrOperators, &format!("/api/v2/feeds/identity/rejected/rej_{NO_KEY}/retry"), 404)
        }
        ("GET" | "HEAD", "/admin/quarantine") => get(Rule::Operators, path, 200),
        ("GET" | "HEAD" | "POST", "/admin/quarantine/{key}" | "/admin/quarantine/{key}/retry") => {
            get(Rule::Operators, &path.replace("{key}", NO_KEY), 404)
        }
        ("POST", "/admin/quarantine/{key}/restore") => get(Rule::Operators, &path.replace("{key}", NO_KEY), 404),
        ("DELETE", "/admin/quarantine/{key}") => {
            get(Rule::Operators, &format!("/admin/quarantine/{NO_KEY}?confirm={NO_KEY}"), 404)
        }
        ("GET" | "HEAD", "/") => get(Rule::All, path, 200),
        ("GET" | "HEAD", "/problems/{code}") => get(Rule::All, "/problems/busy", 200),
        // Requests that are admitted fail for another reason, so that no backup begins.
        ("GET", "/admin/backup") => get(Rule::Operators, "/admin/backup?bytes_per_second=1", 400),
        ("GET", "/admin/backup/{id}") => get(Rule::Operators, &format!("/admin/backup/{NO_KEY}?from=0"), 404),
        ("POST", "/admin/keyring-backup") => json(Rule::Operators, path, json!({"keep_until": "soon"}), 400),
        ("POST", "/admin/passivate") => json(Rule::Operators, path, json!({"user_id": OTHER}), 200),
        ("POST", "/admin/reload") => json(Rule::Operators, path, json!({}), 200),
        ("GET" | "HEAD", "/api/v2/schemas/{version}") => get(Rule::All, "/api/v2/schemas/2.0", 200),
        ("GET" | "HEAD", "/docs/{name}") => get(Rule::All, "/docs/http", 200),
        (
            "GET" | "HEAD",
            "/problems"
            | "/health/live"
            | "/health/ready"
            | "/metrics"
            | "/version"
            | "/api/v2/schemas"
            | "/api/docs"
            | "/api/v2/openapi.json",
        ) => get(Rule::All, path, 200),
        _ => panic!("`{method} {path}` is not in this table: say who may call it"),
    }
}

/// Whether the handler is called for a caller, if the user shares everything.
pub(crate) fn is_admitted(probe: &Probe, caller: &Caller) -> bool {
    match probe.rule {
        // The handler says that there is no such user.
        Rule::Erasers => caller.claim("role") == "admin" && caller.has("profile:read"),
        rule => refusal(rule, caller, true).is_none(),
    }
}

/// Returns the status and the problem that the contract gives a caller; `None` for the answer to those admitted.
pub(super) fn refusal(rule: Rule, caller: &Caller, shares: bool) -> Option<(u16, &'static str)> {
    let role = caller.claim("role");
    match rule {
        Rule::All => None,
        _ if caller.token.is_none() => Some((401, "unauthenticated")),
        Rule::Authenticated => None,
        Rule::Viewers => (!caller.sees(shares)).then_some((404, "unknown-user")),
        Rule::PossibleViewers => (!caller.sees(true)).then_some((404, "unknown-user")),
        Rule::SeeingAdmins if role != "admin" => Some((403, "forbidden")),
        Rule::SeeingAdmins => (!caller.sees(shares)).then_some((404, "unknown-user")),
        Rule::Citizen => (role != "self" || caller.claim("sub") != USER).then_some((404, "unknown-user")),
        Rule::Explained | Rule::Verifiers => match role {
            "self" | "admin" => (!caller.sees(shares)).then_some((404, "unknown-user")),
            "service" if matches!(rule, Rule::Verifiers) && !caller.sees(true) => Some((404, "unknown-user")),
            _ => Some((403, "forbidden")),
        },
        Rule::Erasers if matches!(role, "self" | "admin") => Some((404, "unknown-user")),
        Rule::Erasers => Some((403, "forbidden")),
        Rule::Simulators => match role {
            "self" | "admin" => (!caller.sees(shares)).then_some((404, "unknown-user")),
            "service" if caller.has("simulate") => (!caller.sees(shares)).then_some((404, "unknown-user")),
            _ => Some((403, "missing-scope")),
        },
        Rule::FeedOrOperators if role == "admin" => (!caller.has("operate")).then_some((403, "missing-scope")),
        Rule::Feed | Rule::FeedOrOperators => {
            (role != "service" || !caller.has("feed:identity")).then_some((403, "missing-scope"))
        }
        Rule::Followers if !matches!(role, "service" | "admin") => Some((403, "forbidden")),
        Rule::Followers => (!caller.has("events:read")).then_some((403, "missing-scope")),
        Rule::Auditing => (!matches!(role, "auditor" | "self")).then_some((403, "forbidden")),
        Rule::Operators | Rule::Exporters if role != "admin" => Some((403, "forbidden")),
        Rule::Exporters => (!caller.has("export")).then_some((403, "missing-scope")),
        Rule::Operators => (!caller.has("operate")).then_some((403, "missing-scope")),
    }
}
