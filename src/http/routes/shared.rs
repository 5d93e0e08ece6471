//! The addresses of both listeners.

use actix_web::web;

use crate::http::health;
use crate::http::pages::problems;
use crate::http::route::{Access, HEALTH, READ, Route};

/// The addresses of both listeners.
pub(super) static SHARED: [Route; 4] = [
    Route {
        path: "/problems",
        name: "problems",
        methods: READ,
        access: Access::Open(|| web::to(problems::list)),
        summary: Some("what every error means and what to do about it"),
    },
    Route {
        path: "/problems/{code}",
        name: "problems",
        methods: READ,
        access: Access::Open(|| web::to(problems::get)),
        summary: None,
    },
    Route {
        path: "/health/live",
        name: HEALTH,
        methods: READ,
        access: Access::Open(|| web::to(health::live)),
        summary: Some("whether the server answers"),
    },
    Route {
        path: "/health/ready",
        name: HEALTH,
        methods: READ,
        access: Access::Open(|| web::to(health::ready)),
        summary: Some("whether the server can serve requests"),
    },
];
