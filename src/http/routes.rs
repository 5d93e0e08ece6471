//! The route table, with one row for each address.

mod admin;
mod backup;
mod erasure;
mod export_data;
mod exports;
mod history;
mod listing;
mod profiles;
mod public;
mod quarantine;
mod rejected;
mod shared;
mod snapshots;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use actix_web::web::{Data, ServiceConfig};
use metrics_exporter_prometheus::PrometheusHandle;

use super::admin::AdminState;
use super::audit::{AuditState, ServiceReads};
use super::backup::BackupState;
use super::batch_get::BatchGetState;
use super::consent::ConsentState;
use super::cors::Cors;
use super::credential_state::CredentialState;
use super::erasure::ErasureState;
use super::events::EventsState;
use super::export_data::ExportDataState;
use super::exports::ExportState;
use super::feed::{FeedState, RejectedState};
use super::health::Readiness;
use super::openapi::ApiDescription;
use super::operations::OperationsHistory;
use super::pages::home::HomePage;
use super::quarantine::QuarantineState;
use super::read_state::ProfileReadState;
use super::request::access_control::AccessControl;
use super::request::limits::Limits;
use super::request_layer::RequestLayer;
use super::route::{Route, allow};
use super::simulate::SimulateState;
use super::snapshots::SnapshotState;
use crate::live::LiveState;
use admin::ADMIN;
use backup::BACKUP;
use erasure::ERASURE;
use export_data::EXPORT_DATA;
use exports::EXPORTS;
use history::HISTORY;
pub use listing::{ListedRequirements, ListedRoute, route_table};
use profiles::PROFILES;
use public::PUBLIC;
use quarantine::QUARANTINE;
use rejected::REJECTED;
use shared::SHARED;
use snapshots::SNAPSHOTS;

/// The state of each feature's handlers.
#[derive(Clone)]
pub(crate) struct HandlerStates {
    pub(crate) access_control: Data<AccessControl>,
    pub(crate) credentials: Data<CredentialState>,
    pub(crate) profile_reads: Data<ProfileReadState>,
    pub(crate) batch_gets: Data<BatchGetState>,
    pub(crate) simulations: Data<SimulateState>,
    pub(crate) consent: Data<ConsentState>,
    pub(crate) feed: Data<FeedState>,
    pub(crate) rejected: Data<RejectedState>,
    pub(crate) live: Data<LiveState>,
    pub(crate) events: Data<EventsState>,
    pub(crate) admin: Data<AdminState>,
    pub(crate) quarantine: Data<QuarantineState>,
    pub(crate) backups: Data<BackupState>,
    pub(crate) operations: Data<OperationsHistory>,
    pub(crate) audit: Data<AuditState>,
    pub(crate) exports: Data<ExportState>,
    pub(crate) snapshots: Data<SnapshotState>,
    pub(crate) erasures: Data<ErasureState>,
    pub(crate) export_data: Data<ExportDataState>,
    /// Counts the reads of services, on each worker.
    pub(crate) service_reads: Arc<ServiceReads>,
    pub(crate) readiness: Data<Readiness>,
    pub(crate) prometheus: Data<PrometheusHandle>,
}

/// The routes of both listeners. Each worker registers them for itself.
#[derive(Clone)]
pub(crate) struct Routes {
    states: HandlerStates,
    cors: Arc<Cors>,
    public_home: Data<HomePage>,
    admin_home: Data<HomePage>,
    public_description: Data<ApiDescription>,
    admin_description: Data<ApiDescription>,
    start: u64,
}

impl Routes {
    /// Returns the routes for these states. Pages of `cors_origins` may read answers. `start` differs from one start of
    /// the server to the next and is part of request ids.
    pub(crate) fn new(states: HandlerStates, cors_origins: Vec<String>, start: u64) -> Self {
        Self {
            states,
            cors: Arc::new(Cors::new(cors_origins)),
            public_home: Data::new(HomePage::public(public())),
            admin_home: Data::new(HomePage::admin(admin())),
            public_description: Data::new(ApiDescription::new("Profile server", public())),
            admin_description: Data::new(ApiDescription::new("Profile server: administration", admin())),
            start,
        }
    }

    /// Registers the routes of the public listener.
    pub(crate) fn register_public(&self, config: &mut ServiceConfig) {
        let states = self.states.clone();
        config.app_data(states.credentials);
        config.app_data(states.profile_reads).app_data(states.batch_gets).app_data(states.simulations);
        config.app_data(states.consent).app_data(states.feed).app_data(states.rejected);
        config.app_data(states.live).app_data(states.events).app_data(states.readiness);
        config.app_data(states.operations).app_data(states.prometheus);
        config.app_data(states.snapshots).app_data(states.erasures).app_data(states.export_data);
        config.app_data(states.audit).app_data(states.exports).app_data(self.public_home.clone());
        config.app_data(self.public_description.clone());
        states.service_reads.start_worker();
        let limits = Arc::clone(&self.states.access_control.limits);
        self.register(public(), Some(limits), config);
    }

    /// Registers the routes of the admin listener.
    pub(crate) fn register_admin(&self, config: &mut ServiceConfig) {
        let states = self.states.clone();
        config.app_data(states.credentials);
        config.app_data(states.admin).app_data(states.quarantine).app_data(states.backups);
        config.app_data(states.readiness).app_data(states.prometheus).app_data(self.admin_home.clone());
        config.app_data(self.admin_description.clone());
        self.register(admin(), None, config);
    }

    fn register(
        &self,
        routes: impl Iterator<Item = &'static Route>,
        limits: Option<Arc<Limits>>,
        config: &mut ServiceConfig,
    ) {
        let layer = RequestLayer::new(self.start, Arc::clone(&self.cors), limits);
        config.app_data(layer.ids());
        for rows in by_path(routes) {
            config.service(layer.resource(&rows, &self.states.access_control));
        }
        config.service(layer.unknown_addresses());
        config.default_service(layer.without_address(server_methods()));
    }
}

/// Returns the rows of the public listener.
pub(super) fn public() -> impl Iterator<Item = &'static Route> + Clone {
    let groups: [&'static [Route]; 9] =
        [&PUBLIC, &PROFILES, &HISTORY, &SNAPSHOTS, &ERASURE, &EXPORT_DATA, &EXPORTS, &REJECTED, &SHARED];
    groups.into_iter().flatten()
}

/// Returns the rows of the admin listener.
pub(super) fn admin() -> impl Iterator<Item = &'static Route> + Clone {
    let groups: [&'static [Route]; 4] = [&ADMIN, &QUARANTINE, &BACKUP, &SHARED];
    groups.into_iter().flatten()
}

/// Returns the rows of each path, in the order of the paths' first rows.
fn by_path(routes: impl Iterator<Item = &'static Route>) -> Vec<Vec<&'static Route>> {
    let mut paths: Vec<Vec<&Route>> = Vec::new();
    for route in routes {
        match paths.iter_mut().find(|rows| rows[0].path == route.path) {
            Some(rows) => rows.push(route),
            None => paths.push(vec![route]),
        }
    }
    paths
}

/// Returns the methods that some address of the server accepts, as the value of `Allow`.
fn server_methods() -> HeaderValue {
    let all = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
    allow(all.iter().filter(|method| public().any(|route| route.methods.contains(method))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_name_and_each_of_its_methods_once() {
        for paths in [by_path(public()), by_path(admin())] {
            for rows in paths {
                let mut methods: Vec<_> = rows.iter().flat_map(|row| row.methods).map(Method::as_str).collect();
                let count = methods.len();
                methods.sort_unstable();
                methods.dedup();
                assert_eq!(methods.len(), count, "{}", rows[0].path);
                assert!(rows.iter().all(|row| row.name == rows[0].name), "{}", rows[0].path);
            }
        }
    }
}
