//! The address of everything that is held about a citizen.

use actix_web::http::Method;

use crate::http::export_data;
use crate::http::operation::{Answer, Content, Operation, Tag};
use crate::http::request::caller::Role;
use crate::http::request::limits::LimitClass;
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, Route};

/// The address, on the public listener.
pub(super) static EXPORT_DATA: [Route; 1] = [Route {
    path: "/api/v2/profile/{user_id}/export-data",
    name: "export_data",
    methods: &[Method::GET],
    access: Access::Callers(
        Requirements::new(
            Callers::ViewersInRole(&[Role::SelfCitizen, Role::Admin]),
            LimitClass::Sensitive,
            AuditRule::History("profile.export_data"),
        ),
        |admission| admission.to(export_data::get),
    ),
    summary: "everything that is held about a citizen, as one JSON document",
    operation: Operation::new(
        Tag::Rights,
        &[Answer::new(200, &[Content::json("ExportData")]).headers(&["Content-Disposition"])],
    ),
}];
