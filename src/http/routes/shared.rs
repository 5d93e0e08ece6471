//! The addresses of both listeners.

use actix_web::web;

use crate::http::operation::{Answer, Content, Operation, Tag};
use crate::http::pages::problems;
use crate::http::problem::Code;
use crate::http::route::{Access, HEALTH, READ, Route};
use crate::http::{health, openapi};

/// The addresses of both listeners.
pub(super) static SHARED: [Route; 6] = [
    Route {
        path: "/api/v2/openapi.json",
        name: "openapi",
        methods: READ,
        access: Access::Open(|| web::to(openapi::document)),
        summary: "the description of this API, as an OpenAPI 3.1 document",
        operation: Operation::new(Tag::Reference, &[Answer::new(200, &[Content::json("OpenApiDocument")])]).etag(),
    },
    Route {
        path: "/api/docs",
        name: "api_docs",
        methods: READ,
        access: Access::Open(|| web::to(openapi::page)),
        summary: "the description of this API, as a page",
        operation: Operation::page(&[Code::NotAcceptable]),
    },
    Route {
        path: "/problems",
        name: "problems",
        methods: READ,
        access: Access::Open(|| web::to(problems::list)),
        summary: "what every error means and what to do about it",
        operation: Operation::page(&[Code::NotAcceptable]),
    },
    Route {
        path: "/problems/{code}",
        name: "problems",
        methods: READ,
        access: Access::Open(|| web::to(problems::get)),
        summary: "what an error means and what to do about it",
        operation: Operation::page(&[Code::NotAcceptable, Code::UnknownResource]),
    },
    Route {
        path: "/health/live",
        name: HEALTH,
        methods: READ,
        access: Access::Open(|| web::to(health::live)),
        summary: "whether the server answers",
        operation: Operation::new(Tag::Operations, &[Answer::new(200, &[Content::new("text/plain", "PlainText")])]),
    },
    Route {
        path: "/health/ready",
        name: HEALTH,
        methods: READ,
        access: Access::Open(|| web::to(health::ready)),
        summary: "whether the server can serve requests",
        operation: Operation::new(
            Tag::Operations,
            &[
                Answer::new(200, &[Content::new("text/plain", "PlainText")]),
                Answer::new(503, &[Content::new("text/plain", "PlainText")]),
            ],
        ),
    },
];
