//! The HTTP server: the route table, the layer around all requests, and a file for each resource.
//!
//! Read `routes` first. Handlers build on `request` and `problem` and are independent of each other. `transport` is the
//! layer below.

mod admin;
pub(crate) mod audit;
mod backup;
mod batch_get;
mod completeness;
mod consent;
mod cors;
mod counted;
mod credential_state;
mod erasure;
mod events;
mod export_data;
mod exports;
mod feed;
mod health;
mod history;
mod openapi;
mod operation;
mod operations;
mod origin;
mod pages;
pub(crate) mod problem;
mod profile;
mod quarantine;
mod read_state;
pub(crate) mod request;
mod request_head;
mod request_id;
mod request_layer;
mod route;
mod route_metrics;
mod routes;
mod schemas;
mod session;
mod simulate;
mod snapshots;
mod summary;
pub(crate) mod transport;

pub(crate) use admin::{AdminState, REVOKE_ACTION};
pub(crate) use audit::{AuditState, ChangeOrigin, ConfigChanges, Denials, ServiceReads};
pub(crate) use backup::BackupState;
pub(crate) use batch_get::BatchGetState;
pub(crate) use consent::ConsentState;
pub(crate) use credential_state::CredentialState;
pub(crate) use erasure::ErasureState;
pub(crate) use events::EventsState;
pub(crate) use export_data::{ExportDataState, ExportPermits};
pub(crate) use exports::ExportState;
pub(crate) use feed::{FeedLimits, FeedMetrics, FeedState, RejectedState, SPOOL_FILES, SpoolSpace};
pub(crate) use health::Readiness;
pub(crate) use operations::OperationsHistory;
pub(crate) use quarantine::QuarantineState;
pub(crate) use read_state::ProfileReadState;
pub(crate) use routes::{HandlerStates, Routes};
pub use routes::{ListedRequirements, ListedRoute, route_table};
pub(crate) use simulate::SimulateState;
pub(crate) use snapshots::SnapshotState;
