//! The server's life: built, running, drained.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_server::{Server, ServerHandle};
use actix_web::rt;
use actix_web::web::ServiceConfig;
use arc_swap::ArcSwap;
use config::{AccessFile, Settings};
use domain::access::{InvalidAccess, Policy};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use store::Closer;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::http::caller::Verifier;
use crate::http::door::Door;
use crate::http::in_flight::InFlight;
use crate::http::transport::descriptors::{self, ADMIN_CONNECTIONS, TooFewDescriptors};
use crate::http::transport::{ConnectionLimits, Listener, Timeouts};
use crate::http::{FeedMetrics, Routes, SpoolSpace};
use crate::live::{Sockets, Tickets};
use crate::telemetry::{self, metric};
use crate::wiring::{self, Components};

/// Metrics are tidied, expired tickets forgotten, and the access table looked at, this often.
const TICK: Duration = Duration::from_secs(1);

/// Why the server does not start. One line each, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The access table.
    #[error("access.toml: {0}")]
    Access(#[from] InvalidAccess),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// An address is taken, or not this machine's.
    #[error(
        "cannot listen on `{address}`: {source}; stop what listens there, or choose another with `{flag}` (port 0 picks a free one)"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The flag that changes it.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The log or the metrics are there already.
    #[error("cannot start the telemetry: {0}")]
    Telemetry(String),
    /// No thread, signal handler or limit could be had.
    #[error("cannot start a thread or set a limit: {0}; check `ulimit`")]
    Thread(io::Error),
    /// The limit of open files is too low.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
}

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
    /// Says in one line why not, and what to do.
    pub async fn build(settings: Settings, environment: &[(String, String)]) -> Result<Self, StartError> {
        forbid_core_dumps().map_err(StartError::Thread)?;
        keep_files_private();
        descriptors::raise_limit().map_err(StartError::Thread)?;
        let hear = |kind| signal(kind).map_err(StartError::Thread);
        let signals = [hear(SignalKind::terminate())?, hear(SignalKind::interrupt())?];
        let secrets = wiring::load_secrets(&settings, environment)?;
        // The recorder comes first: whoever registers a metric before it is there counts into nothing.
        let prometheus = metric::install().map_err(|error| StartError::Telemetry(error.to_string()))?;
        telemetry::init_log(&settings.log, &wiring::log_key(&secrets))
            .map_err(|error| StartError::Telemetry(error.to_string()))?;
        let components = wiring::build(&settings, &secrets)?;
        let development_key = secrets.development_secret.as_ref().map(|key| key.expose_secret());
        let verifier = Verifier::new(development_key, settings.auth.clone(), wiring::wall_clock());
        let (stop, closing) = watch::channel(false);
        let Components { profiles, rules, policy, clock, entropy, dead_letters, store, epoch, closer } = components;
        let mut start = [0; 8];
        entropy.fill(&mut start);
        let tickets = Arc::new(Tickets::new(&settings.live, entropy));
        let door = Door {
            profiles: profiles.clone(),
            verifier,
            rules,
            clock,
            dead_letters,
            store,
            epoch,
            spool_dir: settings.data_dir.clone(),
            spool_space: SpoolSpace::default(),
            sockets: Sockets::new(settings.live.max_sockets_per_caller),
            tickets: Arc::clone(&tickets),
            in_flight: InFlight::new(settings.http.in_flight_bytes),
            http: settings.http.clone(),
            live: settings.live.clone(),
            events: settings.events.clone(),
            feed_metrics: FeedMetrics::new(),
            closing,
        };
        let start = u64::from_ne_bytes(start);
        let routes = Routes::new(door, prometheus.clone(), start);
        let limits = descriptors::public_limits(&settings.http)?;
        let (public, listen) = bind_public(&settings, limits, start, routes.clone())?;
        let (admin, admin_listen) = bind_admin(&settings, start, routes)?;
        // Nothing was looked at: what changed since the table was read is picked up at the first tick.
        let access_file = AccessFile::new(&settings.data_dir);
        let upkeep = Upkeep { profiles: profiles.clone(), policy, access_file, tickets, prometheus };
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
    bind(listener, settings.listen, "--listen", move |config| routes.routes(config))
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
    bind(listener, settings.admin_listen, "--admin-listen", move |config| routes.admin_routes(config))
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

/// A core dump would hold keys and profiles. The limit keeps the kernel from writing a file, the other setting keeps it
/// from handing the memory to a crash handler, which no limit concerns.
fn forbid_core_dumps() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// No file that the server makes is for anybody else.
fn keep_files_private() {
    use rustix::fs::Mode;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// What is done beside serving.
struct Upkeep {
    profiles: actors::Profiles,
    policy: Arc<ArcSwap<Policy>>,
    access_file: AccessFile,
    tickets: Arc<Tickets>,
    prometheus: PrometheusHandle,
}

impl Upkeep {
    async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            self.prometheus.run_upkeep();
            self.tickets.sweep();
            self.follow_access_table();
        }
    }

    /// A change of `access.toml` is picked up; a table with a fault leaves the one in use, and is named once.
    fn follow_access_table(&mut self) {
        let mut look = || {
            let table = self.access_file.look()?;
            Ok::<_, StartError>(table.map(|table| Policy::compile(&table.rules)).transpose()?)
        };
        match look() {
            Ok(Some(policy)) if policy.version != self.policy.load().version => {
                tracing::info!(version = policy.version, "the access table has changed");
                self.policy.store(Arc::new(policy));
                self.profiles.follow_policy();
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the access table is not taken over; the one before stays in use"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn no_core_dump_is_written_or_piped_and_the_process_still_reads_about_itself() {
        super::forbid_core_dumps().unwrap();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        // The process metrics come from there.
        for name in ["stat", "limits", "status"] {
            assert!(std::fs::read_to_string(format!("/proc/self/{name}")).is_ok(), "{name}");
        }
        assert!(std::fs::read_dir("/proc/self/fd").unwrap().count() > 0);
    }
}
