//! The addresses of backups.

use actix_web::http::Method;

use crate::http::backup;
use crate::http::credential_state::MAX_OPERATOR_BODY;
use crate::http::operation::{Answer, BodyDescription, Content, Operation, Tag};
use crate::http::problem::Code;
use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::{BYTES_PER_SECOND, FROM_BYTE};
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, Route};

/// Returns what a backup requires: an operator, who has authenticated with a second factor just now.
const fn backing_up(action: &'static str) -> Requirements {
    Requirements::new(Callers::WithScope(&[Role::Admin], Scope::Operate), LimitClass::Write, AuditRule::Write(action))
        .with_second_factor()
}

/// The addresses of backups, on the admin listener.
pub(super) static BACKUP: [Route; 3] = [
    Route {
        path: "/admin/backup",
        name: "backup",
        methods: &[Method::GET],
        access: Access::Callers(backing_up("backup.make"), |admission| admission.to(backup::data)),
        summary: "a backup of the data as of now, without the keyring",
        operation: Operation::new(
            Tag::Backups,
            &[Answer::new(200, &[Content::new("application/octet-stream", "Bytes")]).headers(&[
                "Content-Disposition",
                "X-Estimated-Bytes",
                "X-Backup-Id",
            ])],
        )
        .query(&[&BYTES_PER_SECOND]),
    },
    Route {
        path: "/admin/backup/{id}",
        name: "backup_rest",
        methods: &[Method::GET],
        access: Access::Callers(backing_up("backup.continue"), |admission| admission.to(backup::continue_one)),
        summary: "the rest of a backup whose connection broke within the last ten minutes",
        operation: Operation::new(
            Tag::Backups,
            &[Answer::new(200, &[Content::new("application/octet-stream", "Bytes")])
                .headers(&["Content-Disposition", "X-Backup-Id"])],
        )
        .query(&[&FROM_BYTE])
        .problems(&[Code::UnknownResource]),
    },
    Route {
        path: "/admin/keyring-backup",
        name: "keyring_backup",
        methods: &[Method::POST],
        access: Access::Callers(backing_up("keyring.back_up"), |admission| admission.to(backup::keyring)),
        summary: "a backup of the keyring, with the end of its retention",
        operation: Operation::new(
            Tag::Backups,
            &[Answer::new(200, &[Content::new("application/octet-stream", "Bytes")]).headers(&["Content-Disposition"])],
        )
        .body(BodyDescription::new(&[Content::json("KeyringBackupRequest")], MAX_OPERATOR_BODY)),
    },
];
