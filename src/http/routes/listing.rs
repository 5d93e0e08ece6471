//! The route table as data, for tests that walk it.

use super::{admin, public};
use crate::http::request::requirements::Requirements;
use crate::http::route::{Access, Route};

/// A row of the route table.
#[derive(Debug, Clone)]
pub struct ListedRoute {
    /// Whether the address is on the admin listener.
    pub is_admin: bool,
    /// The path, with placeholders such as `{user_id}`.
    pub path: &'static str,
    /// The parameter of the query that makes the requirements apply; `None` for calls without such a parameter.
    pub parameter: Option<&'static str>,
    /// The methods, in upper case.
    pub methods: Vec<&'static str>,
    /// What the row requires of callers; `None` if everyone may call.
    pub requirements: Option<ListedRequirements>,
}

/// What a row requires of its callers, and what it owes for each call.
#[derive(Debug, Clone)]
pub struct ListedRequirements {
    /// The name of the rule for the audit log: `refusals`, `read`, `listing`, `reads`, `history`, `subscribe` or `write`.
    pub rule: &'static str,
    /// The action of its entries.
    pub action: &'static str,
    /// The name of the class of rate limits; `None` if calls are not counted.
    pub limit: Option<&'static str>,
    /// Whether an administrator must give a reason.
    pub needs_reason: bool,
    /// Whether the caller must have authenticated with a second factor in the last five minutes.
    pub needs_second_factor: bool,
}

/// Returns all rows of both listeners. An address of both listeners is there once for each, and one whose requirements depend
/// on the query once for each of its parameters, too.
pub fn route_table() -> Vec<ListedRoute> {
    let public = public().flat_map(|row| listed(row, false));
    public.chain(admin().flat_map(|row| listed(row, true))).collect()
}

fn listed(row: &Route, is_admin: bool) -> Vec<ListedRoute> {
    let listed = |parameter, requirements: Option<&Requirements>| ListedRoute {
        is_admin,
        path: row.path,
        parameter,
        methods: row.methods.iter().map(|method| method.as_str()).collect(),
        requirements: requirements.map(required),
    };
    match &row.access {
        Access::Open(_) | Access::OpenCounted(..) => vec![listed(None, None)],
        Access::Callers(requirements, _) => {
            let by_query = requirements.by_query.iter();
            let by_query = by_query.map(|by| listed(Some(by.parameter.name), Some(by.requirements)));
            std::iter::once(listed(None, Some(requirements))).chain(by_query).collect()
        }
    }
}

fn required(requirements: &Requirements) -> ListedRequirements {
    ListedRequirements {
        rule: requirements.audit.name(),
        action: requirements.audit.action(),
        limit: requirements.limit.map(|class| class.name()),
        needs_reason: requirements.needs_reason(),
        needs_second_factor: requirements.fresh_second_factor,
    }
}
