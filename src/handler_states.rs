//! Creates the state of each feature's handlers. Settings and components are passed to handlers only here.

use std::sync::Arc;

use actix_web::web::Data;
use config::Settings;
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::erasure::Erasures;
use crate::http::request::access_control::AccessControl;
use crate::http::request::audit::AccessRecorder;
use crate::http::request::caller::Verifier;
use crate::http::request::credentials::SessionCookie;
use crate::http::request::in_flight::InFlight;
use crate::http::{
    AdminState, AuditState, BackupState, BatchGetState, ConsentState, CredentialState, ErasureState, EventsState,
    ExportDataState, ExportPermits, ExportState, FeedLimits, FeedMetrics, FeedState, HandlerStates, ProfileReadState,
    QuarantineState, Readiness, RejectedState, SimulateState, SnapshotState, SpoolSpace,
};
use crate::live::{LiveState, Sockets};
use crate::shared_parts::SharedParts;
use crate::wiring::{Components, Credentials, KeyParts};

/// Returns the state of each feature's handlers. `closing` turns true when the server stops.
pub(crate) fn build(
    settings: &Settings,
    components: &Components,
    credentials: &Credentials,
    shared: SharedParts,
    (keys, erasures): (KeyParts, Erasures),
    prometheus: PrometheusHandle,
    closing: watch::Receiver<bool>,
) -> HandlerStates {
    let SharedParts { tickets, limits, reloader, operations, service_reads, denials } = shared;
    let verifier = Arc::clone(&credentials.verifier);
    let in_flight = InFlight::new(settings.http.in_flight_bytes);
    let profiles = &components.profiles;
    let feed = Data::new(feed(settings, components, &verifier, in_flight.clone(), closing.clone()));
    let access_control = Data::new(AccessControl {
        verifier: Arc::clone(&verifier),
        tickets: Arc::clone(&tickets),
        sessions: Arc::clone(&credentials.sessions),
        cookie: SessionCookie { secure: settings.auth.secure_cookies },
        limits: Arc::clone(&limits),
        recorder: Arc::new(AccessRecorder::new(components.audit.clone(), Arc::clone(&service_reads), denials)),
        policy: Arc::clone(&components.policy),
        cors_origins: settings.http.cors_origins.clone(),
    });
    let credential_state = Data::new(CredentialState {
        access_control: access_control.clone(),
        in_flight: in_flight.clone(),
        request_timeout: settings.http.request_timeout,
        body_timeout: settings.http.client_body_timeout,
    });
    HandlerStates {
        access_control,
        credentials: credential_state.clone(),
        admin: Data::new(AdminState {
            limits,
            profiles: profiles.clone(),
            reloader,
            key_ages: keys.ages,
            key_rotations: keys.rotations,
            credentials: credential_state.clone(),
        }),
        backups: Data::new(BackupState {
            backups: Arc::clone(&components.backups),
            transfer: Mutex::default(),
            audit: components.audit.clone(),
            clock: crate::wiring::wall_clock(),
            credentials: credential_state.clone(),
            verifier: Arc::clone(&credentials.verifier),
            closing: closing.clone(),
        }),
        quarantine: Data::new(QuarantineState {
            quarantine: Arc::clone(&components.quarantine),
            profiles: profiles.clone(),
            credentials: credential_state.clone(),
            restores: Arc::new(Semaphore::new(1)),
        }),
        operations: Data::from(operations),
        profile_reads: Data::new(ProfileReadState {
            profiles: profiles.clone(),
            epoch: components.epoch,
            request_timeout: settings.http.request_timeout,
        }),
        batch_gets: Data::new(BatchGetState {
            profiles: profiles.clone(),
            epoch: components.epoch,
            in_flight: in_flight.clone(),
            request_timeout: settings.http.request_timeout,
            body_timeout: settings.http.client_body_timeout,
        }),
        simulations: Data::new(SimulateState {
            profiles: profiles.clone(),
            rules: Arc::clone(&components.rules),
            clock: Arc::clone(&components.clock),
            in_flight: in_flight.clone(),
            request_timeout: settings.http.request_timeout,
            body_timeout: settings.http.client_body_timeout,
        }),
        consent: Data::new(ConsentState {
            profiles: profiles.clone(),
            rules: Arc::clone(&components.rules),
            clock: Arc::clone(&components.clock),
            in_flight: in_flight.clone(),
            request_timeout: settings.http.request_timeout,
            body_timeout: settings.http.client_body_timeout,
        }),
        rejected: Data::new(RejectedState::new(feed.clone(), Arc::clone(&components.rejected))),
        feed,
        live: Data::new(LiveState {
            profiles: profiles.clone(),
            verifier: Arc::clone(&verifier),
            sockets: Sockets::new(settings.live.max_sockets_per_caller),
            tickets,
            settings: settings.live.clone(),
            cors_origins: settings.http.cors_origins.clone(),
            request_timeout: settings.http.request_timeout,
            closing: closing.clone(),
        }),
        events: Data::new(EventsState {
            profiles: profiles.clone(),
            verifier: Arc::clone(&verifier),
            heartbeat: settings.events.heartbeat,
            closing: closing.clone(),
        }),
        export_data: Data::new(ExportDataState {
            profiles: profiles.clone(),
            letters: Arc::clone(&components.rejected),
            trail: components.audit.clone(),
            clock: crate::wiring::wall_clock(),
            verifier,
            request_timeout: settings.http.request_timeout,
            closing: closing.clone(),
            permits: ExportPermits::new(),
        }),
        audit: Data::new(AuditState { trail: components.audit.clone() }),
        exports: Data::new(ExportState {
            exports: components.exports.clone(),
            rules: Arc::clone(&components.rules),
            export_rules: Arc::clone(&components.export_rules),
            clock: crate::wiring::wall_clock(),
            trail: components.audit.clone(),
            verifier: Arc::clone(&credentials.verifier),
            in_flight: in_flight.clone(),
            request_timeout: settings.http.request_timeout,
            body_timeout: settings.http.client_body_timeout,
            closing: closing.clone(),
        }),
        snapshots: Data::new(SnapshotState {
            profiles: profiles.clone(),
            in_flight: in_flight.clone(),
            request_timeout: settings.http.request_timeout,
            body_timeout: settings.http.client_body_timeout,
        }),
        erasures: Data::new(ErasureState { erasures }),
        service_reads,
        readiness: Data::new(Readiness { profiles: profiles.clone(), store: components.store.clone(), closing }),
        prometheus: Data::new(prometheus),
    }
}

fn feed(
    settings: &Settings,
    components: &Components,
    verifier: &Arc<Verifier>,
    in_flight: InFlight,
    closing: watch::Receiver<bool>,
) -> FeedState {
    FeedState {
        profiles: components.profiles.clone(),
        verifier: Arc::clone(verifier),
        rules: Arc::clone(&components.rules),
        clock: Arc::clone(&components.clock),
        dead_letters: Arc::clone(&components.dead_letters),
        in_flight,
        limits: FeedLimits {
            max_event_bytes: settings.http.max_event_bytes,
            max_body_bytes: settings.http.max_body_bytes,
            max_answer_bytes: settings.http.max_answer_bytes,
            request_timeout: settings.http.request_timeout,
            body_timeout: settings.http.client_body_timeout,
        },
        spool_dir: settings.data_dir.clone(),
        spool_space: SpoolSpace::default(),
        metrics: FeedMetrics::new(),
        closing,
    }
}
