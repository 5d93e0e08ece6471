//! The route table as data, for tests that walk it.

use super::{ADMIN, SHARED, public};
use crate::http::request::requirements::Requirements;
use crate::http::route::{Access, Route};

/// A row of the route table.
#[derive(Debug, Clone)]
pub struct ListedRoute {
    /// Whether the address is on the admin listener.
    pub is_admin: bool,
    /// The path, with placeholders such as `{user_id}`.
    pub path: &'static str,
    /// The methods, in upper case.
    pub methods: Vec<&'static str>,
    /// What the row requires of callers; `None` if everyone may call.
    pub requirements: Option<ListedRequirements>,
}

/// What a row requires of its callers, and what it owes for each call.
#[derive(Debug, Clone)]
pub struct ListedRequirements {
    /// The name of the rule for the audit log: `refusals`, `read`, `reads`, `subscribe` or `write`.
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

/// Returns all rows of both listeners. An address of both listeners is there once for each.
pub fn route_table() -> Vec<ListedRoute> {
    let public = public().map(|row| listed(row, false));
    public.chain(ADMIN.iter().chain(&SHARED).map(|row| listed(row, true))).collect()
}

fn listed(row: &Route, is_admin: bool) -> ListedRoute {
    let requirements = match &row.access {
        Access::Open(_) | Access::OpenCounted(..) => None,
        Access::Callers(requirements, _) => Some(required(requirements)),
    };
    ListedRoute {
        is_admin,
        path: row.path,
        methods: row.methods.iter().map(|method| method.as_str()).collect(),
        requirements,
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
