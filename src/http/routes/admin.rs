//! The addresses of the admin listener.

use actix_web::http::Method;
use actix_web::web;

use crate::http::admin;
use crate::http::pages::home;
use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};

/// The addresses of the admin listener only.
pub(super) static ADMIN: [Route; 12] = [
    Route {
        path: "/metrics",
        name: "metrics",
        methods: READ,
        access: Access::Open(|| web::to(admin::metrics)),
        summary: Some("metrics in the text format of Prometheus"),
    },
    Route {
        path: "/version",
        name: "version",
        methods: READ,
        access: Access::Open(|| web::to(admin::version)),
        summary: Some("the version of the server and of its schemas"),
    },
    Route {
        path: "/admin/revocations",
        name: "revocations",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("credential.revoke"),
            )
            .with_reason_and_second_factor()
            // In an incident one operator revokes many.
            .uncounted(),
            |admission| admission.to(admin::revocations::post),
        ),
        summary: Some("revokes a token, the tokens of a subject, or a key"),
    },
    Route {
        path: "/admin/allowlist",
        name: "allowlist",
        methods: READ,
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Read("allowlist.list"),
            ),
            |admission| admission.to(admin::allowlist::get),
        ),
        summary: Some("callers and addresses that the rate limits do not apply to"),
    },
    Route {
        path: "/admin/allowlist",
        name: "allowlist",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("allowlist.add"),
            )
            .with_reason_and_second_factor(),
            |admission| admission.to(admin::allowlist::post),
        ),
        summary: Some("exempts a caller or an address from the rate limits"),
    },
    Route {
        path: "/admin/allowlist",
        name: "allowlist",
        methods: &[Method::DELETE],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("allowlist.remove"),
            )
            .with_reason_and_second_factor(),
            |admission| admission.to(admin::allowlist::delete),
        ),
        summary: Some("ends an exemption"),
    },
    Route {
        path: "/admin/keys",
        name: "keys",
        methods: READ,
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Read("keys.list"),
            ),
            |admission| admission.to(admin::keys::get),
        ),
        summary: Some("the ages of keys and credentials, and how far a rotation is"),
    },
    Route {
        path: "/admin/keys/rotate",
        name: "keys_rotate",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("keys.rotate"),
            )
            .with_reason_and_second_factor(),
            |admission| admission.to(admin::keys::rotate),
        ),
        summary: Some("rotates the master key or the ring key"),
    },
    Route {
        path: "/admin/limits/reset",
        name: "limits_reset",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("limits.reset"),
            )
            .with_reason_and_second_factor(),
            |admission| admission.to(admin::limits::reset),
        ),
        summary: Some("forgets what the rate limits have counted for a caller or an address"),
    },
    Route {
        path: "/admin/passivate",
        name: "passivate",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("user.passivate"),
            )
            .with_reason(),
            |admission| admission.to(admin::users::passivate),
        ),
        summary: Some("ends the actor of a user"),
    },
    Route {
        path: "/admin/reload",
        name: "reload",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("config.reload"),
            )
            .with_reason(),
            |admission| admission.to(admin::reload::post),
        ),
        summary: Some("reads access.toml and limits.toml now"),
    },
    Route { path: "/", name: "home", methods: READ, access: Access::Open(|| web::to(home::get)), summary: None },
];
