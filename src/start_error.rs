//! Why the server does not start.

use std::io;
use std::net::SocketAddr;

use domain::access::InvalidAccess;

use crate::http::transport::descriptors::TooFewDescriptors;

/// Why the server does not start. The text is one line and names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The access table is not valid.
    #[error("access.toml: {0}")]
    Access(#[from] InvalidAccess),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// A listener cannot be bound to its address.
    #[error(
        "cannot listen on `{address}`: {source}; stop the process that listens there, or choose another address with `{flag}` (port 0 picks a free one)"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The flag that changes the address.
        flag: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The log or the metrics are installed already.
    #[error("cannot start the telemetry: {0}")]
    Telemetry(String),
    /// A thread or signal handler could not be made, or a limit not set.
    #[error("cannot start a thread or set a limit: {0}; check `ulimit`")]
    Thread(io::Error),
    /// The limit of open files is too low.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
}
