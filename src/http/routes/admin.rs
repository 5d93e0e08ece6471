//! The addresses of the admin listener.

use actix_web::http::Method;
use actix_web::web;

use crate::http::admin::{self, REVOKE_ACTION};
use crate::http::credential_state::MAX_OPERATOR_BODY;
use crate::http::operation::{Answer, BodyDescription, Content, Operation, Tag};
use crate::http::pages::home;
use crate::http::problem::Code;
use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::{ALLOWLIST_ADDRESS, ALLOWLIST_CALLER};
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};

/// The addresses of the admin listener only.
pub(super) static ADMIN: [Route; 12] = [
    Route {
        path: "/metrics",
        name: "metrics",
        methods: READ,
        access: Access::Open(|| web::to(admin::metrics)),
        summary: "metrics in the text format of Prometheus",
        operation: Operation::new(
            Tag::Operations,
            &[Answer::new(200, &[Content::new("text/plain;version=0.0.4", "PlainText")])],
        ),
    },
    Route {
        path: "/version",
        name: "version",
        methods: READ,
        access: Access::Open(|| web::to(admin::version)),
        summary: "the version of the server and of its schemas",
        operation: Operation::new(Tag::Operations, &[Answer::new(200, &[Content::json("Version")])]),
    },
    Route {
        path: "/admin/revocations",
        name: "revocations",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write(REVOKE_ACTION),
            )
            .with_reason_and_second_factor()
            // In an incident one operator revokes many.
            .uncounted(),
            |admission| admission.to(admin::revocations::post),
        ),
        summary: "revokes a token, the tokens of a subject, or a key",
        operation: Operation::new(Tag::Administration, &[Answer::new(201, &[Content::json("RevocationInForce")])])
            .body(BodyDescription::new(&[Content::json("Revocation")], MAX_OPERATOR_BODY)),
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
        summary: "callers and addresses that the rate limits do not apply to",
        operation: Operation::new(Tag::Administration, &[Answer::new(200, &[Content::json("Exemptions")])]),
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
        summary: "exempts a caller or an address from the rate limits",
        operation: Operation::new(Tag::Administration, &[Answer::new(201, &[Content::json("Exemption")])])
            .body(BodyDescription::new(&[Content::json("NewExemption")], MAX_OPERATOR_BODY))
            .problems(&[Code::Invalid]),
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
        summary: "ends an exemption",
        operation: Operation::new(Tag::Administration, &[Answer::new(204, &[])])
            .query(&[&ALLOWLIST_CALLER, &ALLOWLIST_ADDRESS])
            .problems(&[Code::UnknownResource]),
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
        summary: "the ages of keys and credentials, and how far a rotation is",
        operation: Operation::new(Tag::Administration, &[Answer::new(200, &[Content::json("KeyStatus")])]),
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
        summary: "rotates the master key or the ring key",
        operation: Operation::new(
            Tag::Administration,
            &[Answer::new(200, &[Content::json("KeyStatus")]), Answer::new(202, &[Content::json("KeyStatus")])],
        )
        .body(BodyDescription::new(&[Content::json("RotationRequest")], MAX_OPERATOR_BODY))
        .problems(&[Code::Invalid]),
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
        summary: "forgets what the rate limits have counted for a caller or an address",
        operation: Operation::new(Tag::Administration, &[Answer::new(204, &[])])
            .body(BodyDescription::new(&[Content::json("LimitReset")], MAX_OPERATOR_BODY)),
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
        summary: "ends the actor of a user",
        operation: Operation::new(Tag::Administration, &[Answer::new(200, &[Content::json("Passivated")])])
            .body(BodyDescription::new(&[Content::json("PassivateRequest")], MAX_OPERATOR_BODY))
            .problems(&[Code::UnknownUser]),
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
        summary: "reads access.toml and limits.toml now",
        operation: Operation::new(Tag::Administration, &[Answer::new(200, &[Content::json("ReloadedFiles")])]),
    },
    Route {
        path: "/",
        name: "home",
        methods: READ,
        access: Access::Open(|| web::to(home::get)),
        summary: "what this listener serves",
        operation: Operation::home(),
    },
];
