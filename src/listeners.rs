//! Binds the two listeners: that of the API, and that of metrics and administration.

use std::net::SocketAddr;
use std::time::Duration;

use actix_server::Server;
use actix_web::web::ServiceConfig;
use config::Settings;

use crate::http::Routes;
use crate::http::transport::descriptors::ADMIN_CONNECTIONS;
use crate::http::transport::{ConnectionLimits, Listener, Timeouts};
use crate::start_error::StartError;
use crate::wiring;

/// How long answers of the admin listener may take to complete when the server stops.
const ADMIN_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Both listeners.
pub(crate) struct Listeners {
    pub(crate) public: BoundListener,
    pub(crate) admin: BoundListener,
}

/// A listener that is bound to its address. It serves once its server is awaited.
pub(crate) struct BoundListener {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
}

impl Listeners {
    /// Binds both listeners. `limits` are those of the public one; `start` differs from one start of the server to the
    /// next.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub(crate) fn bind(
        settings: &Settings,
        limits: ConnectionLimits,
        start: u64,
        routes: Routes,
    ) -> Result<Self, StartError> {
        let public = bind_public(settings, limits, start, routes.clone())?;
        Ok(Self { public, admin: bind_admin(settings, start, routes)? })
    }
}

fn bind_public(
    settings: &Settings,
    limits: ConnectionLimits,
    start: u64,
    routes: Routes,
) -> Result<BoundListener, StartError> {
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

fn bind_admin(settings: &Settings, start: u64, routes: Routes) -> Result<BoundListener, StartError> {
    let listener = Listener {
        name: "admin",
        workers: 1,
        limits: ConnectionLimits { connections: ADMIN_CONNECTIONS, per_address: None },
        timeouts: Timeouts::new(&settings.http),
        shutdown_timeout: ADMIN_SHUTDOWN_TIMEOUT,
        start,
        clock: wiring::wall_clock(),
    };
    bind(listener, settings.admin_listen, "--admin-listen", move |config| routes.register_admin(config))
}

/// Binds `listener` to `address`; `option` is the command-line option that changes the address.
fn bind(
    listener: Listener,
    address: SocketAddr,
    option: &'static str,
    routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> Result<BoundListener, StartError> {
    let bound = listener.bind(address, routes);
    let (server, address) = bound.map_err(|source| StartError::Bind { address, option, source })?;
    Ok(BoundListener { server, address })
}
