//! The addresses of bulk exports.

use actix_web::http::Method;

use crate::http::exports;
use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};

/// Administrators with the scope `export`, which opens no profile.
const EXPORTERS: Callers = Callers::WithScope(&[Role::Admin], Scope::Export);

/// Returns what a look at jobs requires. It shows no data of a citizen, so it needs no reason; one that is given is recorded.
const fn looking(action: &'static str) -> Requirements {
    Requirements::new(EXPORTERS, LimitClass::Read, AuditRule::Read(action)).without_reason()
}

/// The addresses of bulk exports, on the public listener.
pub(super) static EXPORTS: [Route; 7] = [
    Route {
        path: "/api/v2/profiles/bulk-export",
        name: "export_start",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(EXPORTERS, LimitClass::Export, AuditRule::Write("export.start")).with_second_factor(),
            |admission| admission.to(exports::start),
        ),
        summary: Some("starts an export of anonymised records or aggregates"),
    },
    Route {
        path: "/api/v2/exports",
        name: "exports",
        methods: READ,
        access: Access::Callers(looking("export.list"), |admission| admission.to(exports::list)),
        summary: Some("the caller's exports, the newest first"),
    },
    Route {
        path: "/api/v2/exports/feasibility",
        name: "export_feasibility",
        methods: READ,
        access: Access::Callers(looking("export.feasibility"), |admission| admission.to(exports::feasibility)),
        summary: Some("which levels of generalisation an export would need now"),
    },
    Route {
        path: "/api/v2/exports/{job}",
        name: "export",
        methods: READ,
        access: Access::Callers(looking("export.read"), |admission| admission.to(exports::get)),
        summary: Some("the status of an export"),
    },
    Route {
        path: "/api/v2/exports/{job}",
        name: "export",
        methods: &[Method::DELETE],
        access: Access::Callers(
            Requirements::new(EXPORTERS, LimitClass::Write, AuditRule::Write("export.cancel")),
            |admission| admission.to(exports::cancel),
        ),
        summary: Some("cancels an export, or deletes its file"),
    },
    Route {
        path: "/api/v2/exports/{job}/events",
        name: "export_events",
        methods: &[Method::GET],
        access: Access::Callers(looking("export.watch"), |admission| admission.to(exports::progress)),
        summary: Some("the status of an export as it changes, as Server-Sent Events"),
    },
    Route {
        path: "/api/v2/exports/{job}/download",
        name: "export_download",
        methods: &[Method::GET],
        access: Access::Callers(
            Requirements::new(EXPORTERS, LimitClass::Read, AuditRule::Write("export.download")),
            |admission| admission.to(exports::download),
        ),
        summary: Some("the file of an export, or a part of it"),
    },
];
