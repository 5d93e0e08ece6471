//! The addresses of bulk exports.

use actix_web::http::Method;

use crate::http::exports;
use crate::http::operation::{Answer, BodyDescription, Content, Operation, Tag};
use crate::http::problem::Code;
use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::{CURSOR, K, L, LIMIT};
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};

/// Administrators with the scope `export`, which opens no profile.
const EXPORTERS: Callers = Callers::WithScope(&[Role::Admin], Scope::Export);

/// The forms of a file.
const FILES: &[Content] = &[
    Content::new("application/vnd.apache.parquet", "Bytes"),
    Content::new("application/vnd.apache.arrow.file", "Bytes"),
    Content::new("application/x-ndjson", "Bytes"),
];
const FILE_HEADERS: &[&str] = &["ETag", "Accept-Ranges", "Content-Disposition"];
const PART_HEADERS: &[&str] = &["ETag", "Accept-Ranges", "Content-Disposition", "Content-Range"];

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
        summary: "starts an export of anonymised records or aggregates",
        operation: Operation::new(
            Tag::Exports,
            &[Answer::new(202, &[Content::json("StartedExport")]).headers(&["Location"])],
        )
        .body(BodyDescription::new(&[Content::json("ExportRequest")], exports::MAX_BODY))
        .problems(&[Code::Invalid, Code::PrivacyBudgetSpent])
        .event_problems(),
    },
    Route {
        path: "/api/v2/exports",
        name: "exports",
        methods: READ,
        access: Access::Callers(looking("export.list"), |admission| admission.to(exports::list)),
        summary: "the caller's exports, the newest first",
        operation: Operation::new(Tag::Exports, &[Answer::new(200, &[Content::json("ExportPage")])])
            .query(&[&LIMIT, &CURSOR]),
    },
    Route {
        path: "/api/v2/exports/feasibility",
        name: "export_feasibility",
        methods: READ,
        access: Access::Callers(looking("export.feasibility"), |admission| admission.to(exports::feasibility)),
        summary: "which levels of generalisation an export would need now",
        operation: Operation::new(Tag::Exports, &[Answer::new(200, &[Content::json("Feasibility")])]).query(&[&K, &L]),
    },
    Route {
        path: "/api/v2/exports/{job}",
        name: "export",
        methods: READ,
        access: Access::Callers(looking("export.read"), |admission| admission.to(exports::get)),
        summary: "the status of an export",
        operation: Operation::new(Tag::Exports, &[Answer::new(200, &[Content::json("ExportJob")])])
            .problems(&[Code::UnknownResource]),
    },
    Route {
        path: "/api/v2/exports/{job}",
        name: "export",
        methods: &[Method::DELETE],
        access: Access::Callers(
            Requirements::new(EXPORTERS, LimitClass::Write, AuditRule::Write("export.cancel")),
            |admission| admission.to(exports::cancel),
        ),
        summary: "cancels an export, or deletes its file",
        operation: Operation::new(Tag::Exports, &[Answer::new(204, &[])]).problems(&[Code::UnknownResource]),
    },
    Route {
        path: "/api/v2/exports/{job}/events",
        name: "export_events",
        methods: &[Method::GET],
        access: Access::Callers(looking("export.watch"), |admission| admission.to(exports::progress)),
        summary: "the status of an export as it changes, as Server-Sent Events",
        operation: Operation::new(
            Tag::Exports,
            &[Answer::new(200, &[Content::stream("text/event-stream", "ExportJob")])],
        )
        .problems(&[Code::NotAcceptable, Code::UnknownResource]),
    },
    Route {
        path: "/api/v2/exports/{job}/download",
        name: "export_download",
        methods: &[Method::GET],
        access: Access::Callers(
            Requirements::new(EXPORTERS, LimitClass::Read, AuditRule::Write("export.download")).with_second_factor(),
            |admission| admission.to(exports::download),
        ),
        summary: "the file of an export, or a part of it",
        operation: Operation::new(
            Tag::Exports,
            &[Answer::new(200, FILES).headers(FILE_HEADERS), Answer::new(206, FILES).headers(PART_HEADERS)],
        )
        .headers(&["Range", "If-Range"])
        .problems(&[Code::UnknownResource, Code::NotReady, Code::ExportGone, Code::RangeNotSatisfiable]),
    },
];
