//! Which limits a request counts for that do not depend on its caller: by its path and method.

use actix_web::http::Method;

use super::request::limits::LimitClass;
use super::route::{Access, HEALTH, Route};

/// Which limits requests count for, besides those of their callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// None, since a probe of the server's health must not fail because of others.
    Never,
    /// That of all clients together.
    AsRequest,
    /// Also that of calls that need no credential, by address.
    AsAnonymous,
    /// Also that of the class, by address.
    AsClass(LimitClass),
}

impl Counted {
    fn for_row(row: &Route) -> Self {
        match row.access {
            Access::Open(_) if row.name == HEALTH => Self::Never,
            Access::Open(_) => Self::AsAnonymous,
            Access::OpenCounted(class, _) => Self::AsClass(class),
            // Its caller counts the call, or its address the refusal.
            Access::Callers(..) => Self::AsRequest,
        }
    }
}

/// What the requests of a path count for, by their method.
pub(super) struct CountedMethods {
    of_rows: Vec<(&'static Method, Counted)>,
    /// What the preflight requests of pages count for (`OPTIONS`).
    preflight: Counted,
    /// What methods count for that are refused.
    others: Counted,
}

impl CountedMethods {
    /// Returns those of the rows of a path.
    pub(super) fn for_rows(rows: &[&'static Route]) -> Self {
        let of_row = |row: &&'static Route| {
            let counted = Counted::for_row(row);
            row.methods.iter().map(move |method| (method, counted))
        };
        let of_rows: Vec<_> = rows.iter().flat_map(of_row).collect();
        let is = |counted: Counted| of_rows.iter().any(|(_, other)| *other == counted);
        let others = if is(Counted::Never) { Counted::Never } else { Counted::AsAnonymous };
        // A preflight belongs to a call with a credential, which browsers do not send with it. If it counted by address, people
        // behind one address would lock each other out.
        let preflight = if is(Counted::AsRequest) { Counted::AsRequest } else { others };
        Self { of_rows, preflight, others }
    }

    /// Returns those of addresses without a route.
    pub(super) fn unknown() -> Self {
        Self { of_rows: Vec::new(), preflight: Counted::AsAnonymous, others: Counted::AsAnonymous }
    }

    /// Returns what a request with this method counts for.
    pub(super) fn of(&self, method: &Method) -> Counted {
        let found = self.of_rows.iter().find(|(of, _)| *of == method);
        let other = || if *method == Method::OPTIONS { self.preflight } else { self.others };
        found.map_or_else(other, |(_, counted)| *counted)
    }
}
