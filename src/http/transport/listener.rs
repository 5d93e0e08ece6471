//! Binds a listener and serves connections with its workers.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, KeepAlive};
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service};
use actix_web::App;
use actix_web::rt::net::TcpStream;
use actix_web::web::ServiceConfig;
use domain::port::clock::Clock;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketType, recv, send, shutdown, sockopt};

use super::admission::{Admissions, ConnectionLimits};
use super::connection::Connection;
use super::exchange::ExchangesFactory;
use super::handle::ConnectionHandle;
use super::timeouts::Timeouts;
use super::worker::Worker;
use crate::http::problem::Code;

/// Number of connections per worker that are accepted beyond the limit, to be refused with an answer.
pub(super) const ACCEPTED_BEYOND_LIMIT: usize = 8;
/// Maximum number of connections that wait to be accepted.
const BACKLOG: i32 = 2_048;

/// The options of a listener.
pub(crate) struct Listener {
    /// Name in metrics.
    pub(crate) name: &'static str,
    /// Number of worker threads.
    pub(crate) workers: usize,
    pub(crate) limits: ConnectionLimits,
    pub(crate) timeouts: Timeouts,
    /// How long answers may take to complete when the server stops.
    pub(crate) shutdown_timeout: Duration,
    /// Differs from one start of the server to the next.
    pub(crate) start: u64,
    /// The clock of answers that do not come from a handler.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Listener {
    /// Binds `address` and prepares the workers, which serve `routes`. The server runs once it is awaited. Also returns
    /// the bound address, which has a port even if `address` has port 0.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) fn bind<R>(self, address: SocketAddr, routes: R) -> io::Result<(Server, SocketAddr)>
    where
        R: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    {
        let socket = bind(address)?;
        let address = socket.local_addr()?;
        let admissions = Admissions::new(self.name, self.limits);
        let max_per_worker = self.limits.connections.div_ceil(self.workers) + ACCEPTED_BEYOND_LIMIT;
        let builder = ServerBuilder::new()
            .workers(self.workers)
            .max_concurrent_connections(max_per_worker)
            .shutdown_timeout(self.shutdown_timeout.as_secs())
            .disable_signals();
        let stopping = builder.graceful_shutdown_signal();
        let server = builder.listen(self.name, socket, move || {
            let worker = Rc::new(Worker::new(address, self.timeouts, self.start, Arc::clone(&self.clock)));
            let (admissions, stopping, routes) = (Arc::clone(&admissions), stopping.clone(), routes.clone());
            let http = HttpService::build()
                // The time-outs of `Connection` cover more and cost less than those of actix.
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(Duration::ZERO)
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .on_connect_ext(|connection: &Connection, data: &mut Extensions| {
                    data.insert(connection.handle().clone());
                })
                .h1(ExchangesFactory(App::new().configure(routes).into_factory()));
            fn_service(move |stream| std::future::ready(accept(stream, &worker, &admissions))).and_then(http)
        })?;
        Ok((server.run(), address))
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, rustix::net::SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Admits a connection, or refuses it with an answer.
fn accept(
    stream: TcpStream,
    worker: &Rc<Worker>,
    admissions: &Arc<Admissions>,
) -> Result<(Connection, Option<SocketAddr>), DispatchError> {
    let peer = stream.peer_addr().ok();
    let Ok(admission) = admissions.admit(peer.map(|peer| peer.ip())) else {
        refuse(&stream, worker);
        return Err(DispatchError::Io(io::ErrorKind::ConnectionRefused.into()));
    };
    let _ = stream.set_nodelay(true);
    let handle = ConnectionHandle::new(stream, Rc::clone(worker));
    Ok((Connection::new(handle, admission), peer))
}

/// Sends the answer to a refused connection, without waiting for the client to read it.
fn refuse(stream: &TcpStream, worker: &Worker) {
    let answer = worker
        .refusal(Code::Busy, "the server, or this client, has the maximum number of open connections: try again later");
    let mut request = [0; 4 * 1024];
    // Unread bytes of a request would reset the connection before the client reads the answer.
    let _ = recv(stream, request.as_mut_slice(), RecvFlags::DONTWAIT);
    let _ = send(stream, &answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    let _ = shutdown(stream, Shutdown::Write);
}
