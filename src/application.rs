//! The server's life: built, running, drained.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_server::{Server, ServerHandle};
use actix_web::rt;
use actix_web::web::ServiceConfig;
use config::{AccessFile, Secrets, Settings};
use domain::port::clock::Entropy;
use metrics_exporter_prometheus::PrometheusHandle;
use store::Closer;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::handler_states;
use crate::http::transport::descriptors::{self, ADMIN_CONNECTIONS};
use crate::http::transport::{ConnectionLimits, Listener, Timeouts};
use crate::http::{Routes, SPOOL_FILES};
use crate::live::Tickets;
use crate::process;
use crate::start_error::StartError;
use crate::telemetry::{self, metric};
use crate::upkeep::Upkeep;
use crate::wiring::{self, Components};

/// A server that is bound and ready to run.
pub struct Application {
    public: Server,
    admin: Server,
    listen: SocketAddr,
    admin_listen: SocketAddr,
    /// SIGTERM and SIGINT, heard from before the ready line on.
    signals: [Signal; 2],
    stop: watch::Sender<bool>,
    profiles: actors::Profiles,
    closer: Closer,
    upkeep: Upkeep,
}

impl Application {
    /// Opens the store, starts the actors and binds both listeners. An actix system must run on this thread.
    ///
    /// # Errors
    /// Names in one line the cause and the remedy.
    pub async fn build(settings: Settings, environment: &[(String, String)]) -> Result<Self, StartError> {
        process::forbid_core_dumps().map_err(StartError::Thread)?;
        process::keep_files_private();
        descriptors::raise_limit().map_err(StartError::Thread)?;
        let signals = catch_signals()?;
        let secrets = wiring::load_secrets(&settings, environment)?;
        let prometheus = start_telemetry(&settings, &secrets)?;
        let components = wiring::build(&settings, &secrets)?;
        let (stop, closing) = watch::channel(false);
        let tickets = Arc::new(Tickets::new(&settings.live, Arc::clone(&components.entropy)));
        let upkeep = Upkeep {
            profiles: components.profiles.clone(),
            policy: Arc::clone(&components.policy),
            // The first round finds what changed since the table was read.
            access_file: AccessFile::new(&settings.data_dir),
            tickets: Arc::clone(&tickets),
            prometheus: prometheus.clone(),
        };
        let verifier = wiring::verifier(&settings, &secrets);
        let states = handler_states::build(&settings, &components, verifier, tickets, prometheus, closing);
        let start = random_number(&*components.entropy);
        let routes = Routes::new(states, settings.http.cors_origins.clone(), start);
        let limits = descriptors::public_limits(&settings.http, SPOOL_FILES)?;
        let (public, listen) = bind_public(&settings, limits, start, routes.clone())?;
        let (admin, admin_listen) = bind_admin(&settings, start, routes)?;
        let Components { profiles, closer, .. } = components;
        Ok(Self { public, admin, listen, admin_listen, signals, stop, profiles, closer, upkeep })
    }

    /// What is printed when the server answers.
    pub fn ready_line(&self) -> String {
        format!(r#"{{"event":"ready","listen":"{}","admin_listen":"{}"}}"#, self.listen, self.admin_listen)
    }

    /// Where the API listens.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where metrics and administration listen.
    pub fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    /// Changes once the server begins to stop.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Serves until SIGTERM or SIGINT, then drains: requests, sockets, mailboxes; then everything is flushed.
    ///
    /// # Errors
    /// A listener failed.
    pub async fn run_until_stopped(self) -> io::Result<()> {
        let [mut terminate, mut interrupt] = self.signals;
        let (public, admin) = (self.public.handle(), self.admin.handle());
        let mut serving = rt::spawn(self.public);
        let mut serving_admin = rt::spawn(self.admin);
        let upkeep = rt::spawn(self.upkeep.run());
        let failure = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            ended = &mut serving => Some(ended_by_itself(ended)),
            ended = &mut serving_admin => Some(ended_by_itself(ended)),
        };
        tracing::info!("stopping: draining requests, sockets and mailboxes");
        // Sockets and streams hear of it and end by themselves, which the listener's own drain waits for.
        let _ = self.stop.send(true);
        match &failure {
            None => drain(&public, serving).await?,
            Some(_) => public.stop(true).await,
        }
        if !self.profiles.stop().await {
            tracing::warn!("not everything could be drained in time; what was acknowledged is durable all the same");
        }
        match &failure {
            None => drain(&admin, serving_admin).await?,
            Some(_) => admin.stop(true).await,
        }
        upkeep.abort();
        let closer = self.closer;
        match tokio::task::spawn_blocking(move || closer.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "no last checkpoint was made: the next start takes longer"),
            Err(error) => tracing::error!(%error, "the store was not closed"),
        }
        tracing::info!("stopped");
        failure.map_or(Ok(()), Err)
    }
}

/// Catches SIGTERM and SIGINT from now on.
fn catch_signals() -> Result<[Signal; 2], StartError> {
    let catch = |kind| signal(kind).map_err(StartError::Thread);
    Ok([catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?])
}

/// Installs the metrics, then the log. A metric that is registered before its recorder counts nothing, so the recorder
/// comes before everything else.
fn start_telemetry(settings: &Settings, secrets: &Secrets) -> Result<PrometheusHandle, StartError> {
    let prometheus = metric::install().map_err(|error| StartError::Telemetry(error.to_string()))?;
    telemetry::init_log(&settings.log, &wiring::log_key(secrets))
        .map_err(|error| StartError::Telemetry(error.to_string()))?;
    Ok(prometheus)
}

fn random_number(entropy: &dyn Entropy) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// A listener ends when it is told to, and otherwise only with a fault.
fn ended_by_itself(ended: Result<io::Result<()>, rt::task::JoinError>) -> io::Error {
    match ended {
        Ok(Ok(())) => io::Error::other("a listener ended by itself"),
        Ok(Err(error)) => error,
        Err(error) => io::Error::other(error),
    }
}

async fn drain(handle: &ServerHandle, serving: rt::task::JoinHandle<io::Result<()>>) -> io::Result<()> {
    handle.stop(true).await;
    serving.await.map_err(io::Error::other)?
}

fn bind_public(
    settings: &Settings,
    limits: ConnectionLimits,
    start: u64,
    routes: Routes,
) -> Result<(Server, SocketAddr), StartError> {
    let listener = Listener {
        name: "public",
        workers: settings.http.workers,
        limits,
        timeouts: Timeouts::new(&settings.http),
        shutdown_timeout: settings.http.shutdown_timeout,
        start,
        clock: wiring::wall_clock(),
    };
    bind(listener, settings.listen, "--listen", move |config| routes.register_public(config))
}

fn bind_admin(settings: &Settings, start: u64, routes: Routes) -> Result<(Server, SocketAddr), StartError> {
    let listener = Listener {
        name: "admin",
        workers: 1,
        limits: ConnectionLimits { connections: ADMIN_CONNECTIONS, per_address: None },
        timeouts: Timeouts::new(&settings.http),
        shutdown_timeout: Duration::from_secs(1),
        start,
        clock: wiring::wall_clock(),
    };
    bind(listener, settings.admin_listen, "--admin-listen", move |config| routes.register_admin(config))
}

/// Binds a listener; `flag` is the one that changes its address.
fn bind(
    listener: Listener,
    address: SocketAddr,
    flag: &'static str,
    routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> Result<(Server, SocketAddr), StartError> {
    listener.bind(address, routes).map_err(|source| StartError::Bind { address, flag, source })
}
