//! The server from start to end: it is built, runs, and is drained.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_server::{Server, ServerHandle};
use actix_web::rt;
use config::Settings;
use domain::port::audit::AuditLog;
use domain::port::clock::Entropy;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use store::Closer;
use store::audit::AuditStore;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::after_restore;
use crate::handler_states;
use crate::http::request::caller::KeyStore;
use crate::http::request::limits::Limits;
use crate::http::transport::descriptors;
use crate::http::{ChangeOrigin, Denials, Routes, SPOOL_FILES, ServiceReads};
use crate::json_text;
use crate::key_rotations::KeyRotations;
use crate::listeners::Listeners;
use crate::process;
use crate::start_error::StartError;
use crate::telemetry::{self, UserHashKey, metric};
use crate::upkeep::Upkeep;
use crate::wiring::{self, Components};

/// A server whose listeners are bound and that is ready to run.
pub struct Application {
    listeners: Listeners,
    /// SIGTERM and SIGINT, which are caught from the start of [`Application::build`].
    signals: [Signal; 2],
    /// Turns true when the server stops.
    stop: watch::Sender<bool>,
    profiles: actors::Profiles,
    exports: actors::export::Exports,
    closer: Closer,
    audit: AuditParts,
    upkeep: Upkeep,
    keys: Arc<KeyStore>,
}

/// The audit log and what still counts for it.
struct AuditParts {
    log: Arc<AuditStore>,
    service_reads: Arc<ServiceReads>,
    denials: Arc<Denials>,
    limits: Arc<Limits>,
    key_rotations: Arc<KeyRotations>,
}

/// The line that announces that the server is ready.
#[derive(Serialize)]
struct ReadyLine {
    event: &'static str,
    listen: SocketAddr,
    admin_listen: SocketAddr,
}

impl Application {
    /// Opens the store, starts the actors and binds both listeners. An actix system must run on this thread.
    ///
    /// # Errors
    /// The error says in one line why the server cannot start and how to fix it.
    pub async fn build(settings: Settings, environment: &[(String, String)]) -> Result<Self, StartError> {
        prepare_process()?;
        let signals = catch_signals()?;
        let secrets = wiring::load_secrets(&settings, environment)?;
        let (prometheus, log_key) = start_telemetry(&settings)?;
        let components = wiring::build(&settings, &secrets, &log_key)?;
        let (stop, closing) = watch::channel(false);
        let shared = wiring::shared_parts(&settings, &components)?;
        let credentials = wiring::credentials(&settings, &secrets, &components)?;
        let key_parts = wiring::key_parts(&settings, secrets, &components, &credentials);
        let key_rotations = Arc::clone(&key_parts.rotations);
        let erasures = wiring::erasures(&settings, &components, &credentials, &shared)?;
        let upkeep = Upkeep::new(shared.clone(), Arc::clone(&key_parts.ages), prometheus.clone(), erasures.clone());
        // What is in force is noted before anybody can change it.
        shared.reloader.reload(&ChangeOrigin::watcher()).await;
        credentials.keys.record_start().await;
        let (registry, trail) = (Arc::clone(&components.registry), components.audit.clone());
        let followed = after_restore::follow_log(registry, trail, Arc::clone(&credentials.verifier), &erasures).await;
        followed.map_err(|error| StartError::AfterRestore(error.to_string()))?;
        // Before anybody can read a profile that is to be erased.
        erasures.resume().await;
        let rate_limits = Arc::clone(&shared.limits);
        let states = handler_states::build(
            &settings,
            &components,
            &credentials,
            shared,
            (key_parts, erasures),
            prometheus,
            closing,
        );
        let start = random_number(&*components.entropy);
        let routes = Routes::new(states, settings.http.cors_origins.clone(), start);
        // The store is open by now, so its files are counted among the open ones.
        let limits = descriptors::public_limits(&settings.http, SPOOL_FILES)?;
        let listeners = Listeners::bind(&settings, limits, start, routes)?;
        tracing::info!("exports are computed on: {}", components.exports.device());
        let Components { profiles, exports, closer, audit, service_reads, denials, .. } = components;
        let audit = AuditParts { log: audit, service_reads, denials, limits: rate_limits, key_rotations };
        let keys = credentials.keys;
        Ok(Self { listeners, signals, stop, profiles, exports, closer, audit, upkeep, keys })
    }

    /// Returns the line that announces that the server is ready: a JSON object with the addresses of both listeners.
    pub fn ready_line(&self) -> String {
        let line = ReadyLine { event: "ready", listen: self.listen(), admin_listen: self.admin_listen() };
        json_text::to_text(&line)
    }

    /// Returns the address of the API.
    pub fn listen(&self) -> SocketAddr {
        self.listeners.public.address
    }

    /// Returns the address of metrics and administration.
    pub fn admin_listen(&self) -> SocketAddr {
        self.listeners.admin.address
    }

    /// Returns a channel whose value turns true when the server stops.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Serves until SIGTERM or SIGINT. Then requests, sockets and mailboxes are drained, and the store is closed.
    ///
    /// # Errors
    /// A listener has failed.
    pub async fn run_until_stopped(self) -> io::Result<()> {
        let Self { listeners, signals, stop, profiles, exports, closer, audit, upkeep, keys } = self;
        let mut public = RunningServer::start(listeners.public.server);
        let mut admin = RunningServer::start(listeners.admin.server);
        let upkeep = rt::spawn(upkeep.run());
        let keys = rt::spawn(async move { keys.run().await });
        let failure = tokio::select! {
            () = received(signals) => None,
            error = public.failure() => Some(error),
            error = admin.failure() => Some(error),
        };
        tracing::info!("stopping: draining requests, sockets and mailboxes");
        // Sockets and streams end by themselves, which draining the listener waits for.
        let _ = stop.send(true);
        public.drain(failure.is_none()).await?;
        let _ = tokio::task::spawn_blocking(move || exports.stop()).await;
        if !profiles.stop().await {
            tracing::warn!("not everything was drained in time; acknowledged events are durable all the same");
        }
        admin.drain(failure.is_none()).await?;
        upkeep.abort();
        keys.abort();
        close_store(audit, closer).await;
        tracing::info!("stopped");
        failure.map_or(Ok(()), Err)
    }
}

/// Protects what the process will hold, and raises its limit of open files.
fn prepare_process() -> Result<(), StartError> {
    process::forbid_core_dumps().map_err(StartError::Thread)?;
    process::keep_files_private();
    descriptors::raise_limit().map_err(StartError::Thread)
}

/// Catches SIGTERM and SIGINT from now on.
fn catch_signals() -> Result<[Signal; 2], StartError> {
    let catch = |kind| signal(kind).map_err(StartError::Thread);
    Ok([catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?])
}

/// Waits for one of the signals.
async fn received([mut first, mut second]: [Signal; 2]) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}

/// Installs the recorder of metrics, then the log. The recorder comes before everything else: a metric that is
/// registered without a recorder counts nothing.
fn start_telemetry(settings: &Settings) -> Result<(PrometheusHandle, UserHashKey), StartError> {
    let prometheus = metric::install().map_err(|error| StartError::Telemetry(error.to_string()))?;
    let log_key = telemetry::init_log(&settings.log).map_err(|error| StartError::Telemetry(error.to_string()))?;
    Ok((prometheus, log_key))
}

fn random_number(entropy: &dyn Entropy) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// A listener that is served by a task of its own.
struct RunningServer {
    handle: ServerHandle,
    task: rt::task::JoinHandle<io::Result<()>>,
}

impl RunningServer {
    fn start(server: Server) -> Self {
        Self { handle: server.handle(), task: rt::spawn(server) }
    }

    /// Waits until the listener ends although it was not told to, and returns why.
    async fn failure(&mut self) -> io::Error {
        match (&mut self.task).await {
            Ok(Ok(())) => io::Error::other("a listener ended by itself"),
            Ok(Err(error)) => error,
            Err(error) => io::Error::other(error),
        }
    }

    /// Stops accepting connections, and waits until the answers under way are complete. `awaits_task` is false after a
    /// failure, since a task that has ended must not be awaited again.
    async fn drain(self, awaits_task: bool) -> io::Result<()> {
        self.handle.stop(true).await;
        if awaits_task { self.task.await.map_err(io::Error::other)? } else { Ok(()) }
    }
}

/// Closes the audit log with a last tree head, and the store with a last checkpoint. What fails is logged, since nothing
/// acknowledged is lost by it.
async fn close_store(audit: AuditParts, closer: Closer) {
    let close = move || {
        audit.key_rotations.stop();
        audit.service_reads.finish();
        audit.denials.finish();
        audit.log.flush();
        audit.limits.finish();
        audit.log.close();
        closer.close()
    };
    match tokio::task::spawn_blocking(close).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "no last checkpoint was made: the next start takes longer"),
        Err(error) => tracing::error!(%error, "the store was not closed"),
    }
}
