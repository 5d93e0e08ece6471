//! What the description says of a row that follows from the row itself: its parameters, who may call, what a call counts for and
//! leaves in the audit log, and the problems that come before and around the handler.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use domain::event::EventProblem;
use serde_json::{Value, json};

use super::components::reference;
use crate::http::problem::Code;
use crate::http::request::caller::{Role, Scope};
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, Route};

/// A kind of problem: its name and its title.
pub(super) type ProblemKind = (&'static str, &'static str);

/// The problems of any request.
const OF_ALL: &[Code] = &[
    Code::MalformedRequest,
    Code::RequestTimeout,
    Code::UriTooLong,
    Code::RateLimitExceeded,
    Code::HeadersTooLarge,
    Code::Internal,
    Code::Busy,
    Code::Unavailable,
];
/// The problems of a body.
const OF_BODIES: &[Code] = &[Code::MalformedBody, Code::TooLarge, Code::UnsupportedMediaType];
/// The problems of requests with a caller: of headers that may be given once, and of credentials.
const OF_CALLERS: &[Code] = &[Code::InvalidRequest, Code::InvalidParameter, Code::Unauthenticated, Code::InvalidToken];
/// The problems of requests that open a socket.
const OF_SOCKETS: &[Code] = &[Code::InvalidTicket, Code::Forbidden];
/// The problems of requests about a user.
const OF_USERS: &[Code] = &[Code::UnknownUser, Code::Erased, Code::ErasurePending, Code::Timeout];

/// Returns the requirements of a row, with those that depend on the query; none if everyone may call.
pub(super) fn requirements(route: &Route) -> Vec<&Requirements> {
    match &route.access {
        Access::Open(_) | Access::OpenCounted(..) => Vec::new(),
        Access::Callers(requirements, _) => {
            let by_query = requirements.by_query.iter().map(|by| by.requirements);
            std::iter::once(requirements).chain(by_query).collect()
        }
    }
}

/// Returns the placeholders of a path.
pub(super) fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

/// Returns what a placeholder of a path stands for, and its schema.
pub(super) fn placeholder(path: &str, name: &str) -> (&'static str, Value) {
    let text = || json!({ "type": "string" });
    match name {
        "user_id" => ("The citizen.", reference("schemas", "UserId")),
        "source" => ("The feed.", reference("schemas", "Source")),
        "job" => ("The export.", reference("schemas", "ExportJobId")),
        "key" => ("The user.", reference("schemas", "UserKey")),
        "version" => ("A schema version, or `export-data`.", text()),
        "name" => ("The name of the guide; `/` lists them.", text()),
        "code" => ("The name of the problem; `/problems` lists them.", text()),
        "id" if path.contains("/snapshots/") => ("The `snapshot_id`.", text()),
        "id" if path.contains("/backup/") => ("The header `X-Backup-Id` of the backup.", text()),
        "id" if path.contains("/rejected/") => ("The `id` of the dead letter.", text()),
        _ => ("", text()),
    }
}

/// Returns the headers that the operation reads, by their names in `components.json`.
pub(super) fn headers(route: &Route, method: &Method) -> Vec<&'static str> {
    let requirements = requirements(route);
    let mut headers = vec!["X-Request-Id"];
    if requirements.iter().any(|one| one.needs_reason()) {
        headers.push("X-Access-Reason");
    } else if requirements.iter().any(|one| !matches!(one.audit, AuditRule::Refusals(_))) {
        headers.push("X-Access-Reason-Optional");
    }
    if !requirements.is_empty() {
        headers.push("X-Purpose");
        headers.extend((!is_read(method)).then_some("X-CSRF-Token"));
    }
    headers.extend(route.operation.has_etag.then_some("If-None-Match"));
    headers.extend(is_read(method).then_some("If-Match"));
    headers.extend(route.operation.headers);
    headers
}

/// Returns the security requirements: the alternatives, each with the scopes that it needs.
pub(super) fn security(route: &Route) -> Value {
    let requirements = requirements(route);
    let Some(first) = requirements.first() else { return json!([]) };
    let scopes: Vec<String> = match first.callers {
        Callers::FeedOfPath => vec!["feed:{source}".to_owned()],
        Callers::WithScope(_, scope) => vec![scope.name().to_owned()],
        _ => Vec::new(),
    };
    let mut security = vec![json!({ "bearer": scopes }), json!({ "session": scopes })];
    if first.opens_socket {
        security.push(json!({ "ticket": [] }));
    }
    security.into()
}

/// Returns what there is to say about the row, in Markdown.
pub(super) fn description(route: &Route) -> String {
    let operation = &route.operation;
    let mut sentences = vec![callers(&route.access)];
    match &route.access {
        Access::Open(_) => {}
        Access::OpenCounted(class, _) => {
            sentences.push(format!("Counts for the limit `{}`, by the address of the client.", class.name()));
        }
        Access::Callers(requirements, _) => {
            sentences.extend(demands(requirements));
            sentences.extend(demands_by_query(requirements));
        }
    }
    sentences.insert(0, operation.details.to_owned());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences.join(" ")
}

/// Returns what calls with some parameters of the query need and owe beside other calls.
fn demands_by_query(requirements: &Requirements) -> Vec<String> {
    let common: Vec<_> = demands(requirements).collect();
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for by in requirements.by_query {
        let own: Vec<_> = demands(by.requirements).filter(|demand| !common.contains(demand)).collect();
        let (own, name) = (own.join(" "), format!("`{}`", by.parameter.name));
        match groups.iter_mut().find(|(demands, _)| *demands == own) {
            Some((_, names)) => names.push(name),
            None => groups.push((own, vec![name])),
        }
    }
    groups.into_iter().map(|(demands, names)| format!("With {}: {demands}", names.join(" or "))).collect()
}

/// Returns what a call needs besides its caller, and what it owes.
fn demands(requirements: &Requirements) -> impl Iterator<Item = String> {
    let second_factor = requirements.fresh_second_factor;
    let second_factor = second_factor.then(|| "Needs a second factor of the last five minutes.".to_owned());
    let reason = requirements.needs_reason().then(|| "Administrators give a reason.".to_owned());
    let limit = requirements.limit.map(|class| format!("Counts for the limit `{}`.", class.name()));
    let audit = Some(format!("Its action in the audit log is `{}`.", requirements.audit.action()));
    second_factor.into_iter().chain(reason).chain(limit).chain(audit)
}

fn callers(access: &Access) -> String {
    let Access::Callers(requirements, _) = access else { return "For everyone.".to_owned() };
    let names = |roles: &[Role]| roles.iter().map(|role| format!("`{}`", role.name())).collect::<Vec<_>>().join(", ");
    let scope = |scope: &Scope| format!("the scope `{}`", scope.name());
    match &requirements.callers {
        Callers::All => "For every caller.".to_owned(),
        Callers::ViewersOfUser => "For callers who may see the profile: for others there is none.".to_owned(),
        Callers::CitizenOfPath => "For the citizen: for others there is no such profile.".to_owned(),
        Callers::FeedOfPath => "For services with the scope `feed:{source}`.".to_owned(),
        Callers::FeedOfPathOrAdmins(needed) => {
            format!("For services with the scope `feed:{{source}}`, and administrators with {}.", scope(needed))
        }
        Callers::WithRole(roles) => format!("For the roles {}.", names(roles)),
        Callers::WithScope(roles, needed) => format!("For the roles {} with {}.", names(roles), scope(needed)),
        Callers::ViewersInRole(roles) => {
            format!("For the roles {}, if they may see the profile: for others there is none.", names(roles))
        }
        Callers::ViewersOrServices(roles, needed) => format!(
            "For the roles {}, and services with {}, if they may see the profile: for others there is none.",
            names(roles),
            scope(needed)
        ),
    }
}

/// Returns the problems that the operation may answer with, by status.
pub(super) fn problems(route: &Route, method: &Method) -> BTreeMap<u16, BTreeSet<ProblemKind>> {
    let operation = &route.operation;
    let mut codes: Vec<Code> = OF_ALL.iter().chain(operation.problems).copied().collect();
    if is_read(method) {
        codes.push(Code::PreconditionFailed);
    }
    if !operation.query.is_empty() {
        codes.push(Code::InvalidParameter);
    }
    if operation.body.is_some() {
        codes.extend(OF_BODIES);
    }
    for requirements in requirements(route) {
        codes.extend(OF_CALLERS);
        // A write of a session without its CSRF token.
        codes.extend((!is_read(method)).then_some(Code::Forbidden));
        codes.extend(of_callers(&requirements.callers));
        codes.extend(requirements.needs_reason().then_some(Code::AccessReasonMissing));
        codes.extend(requirements.fresh_second_factor.then_some(Code::SecondFactorNeeded));
        codes.extend(OF_SOCKETS.iter().filter(|_| requirements.opens_socket));
    }
    let of_http = codes.iter().map(|code| (code.status().as_u16(), (code.name(), code.title())));
    let of_events = EventProblem::ALL.into_iter().filter(|_| operation.has_event_problems);
    let of_events = of_events.map(|problem| (problem.status(), (problem.name(), problem.title())));
    let mut problems: BTreeMap<u16, BTreeSet<ProblemKind>> = BTreeMap::new();
    for (status, kind) in of_http.chain(of_events) {
        problems.entry(status).or_default().insert(kind);
    }
    problems
}

/// Returns the problems of callers who are not admitted.
fn of_callers(callers: &Callers) -> Vec<Code> {
    match callers {
        Callers::All => Vec::new(),
        Callers::WithRole(_) => vec![Code::Forbidden],
        Callers::FeedOfPath | Callers::FeedOfPathOrAdmins(_) => vec![Code::MissingScope, Code::UnknownResource],
        Callers::WithScope(..) => vec![Code::Forbidden, Code::MissingScope],
        Callers::ViewersOfUser | Callers::CitizenOfPath => OF_USERS.to_vec(),
        Callers::ViewersInRole(_) => [OF_USERS, &[Code::Forbidden]].concat(),
        Callers::ViewersOrServices(..) => [OF_USERS, &[Code::MissingScope]].concat(),
    }
}

pub(super) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
