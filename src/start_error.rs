//! The errors that keep the server from starting.

use std::io;
use std::net::SocketAddr;

use domain::access::InvalidAccess;

use crate::http::transport::descriptors::TooFewDescriptors;

/// Why the server cannot start. The text is one line that says how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    /// The access table is not valid.
    #[error("access.toml: {0}")]
    Access(#[from] InvalidAccess),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The public keys of the identity service cannot be used.
    #[error("`auth.jwks_file`: {0}; write a key set (RFC 7517) there")]
    Keys(String),
    /// A revocation of the registry cannot be read. A start without it would accept what was revoked.
    #[error("`registry`: {0}; restore the file, or run the version of the server that wrote it")]
    Revocations(String),
    /// A stored erasure cannot be read. A start without it would show a profile that is to be hidden.
    #[error("`registry`: {0}")]
    Erasures(String),
    /// The audit log of a restored directory cannot be followed. A start without it would accept what was revoked since the backup.
    #[error(
        "what the audit log says of the time since the backup could not be taken over ({0}): start again, or look at `audit/`"
    )]
    AfterRestore(String),
    /// Exports cannot be computed on the device that is configured.
    #[error("`export.backend` is `cuda`, and {0}; set it to `auto` or `cpu` to compute on the processor")]
    ExportBackend(String),
    /// A listener cannot be bound to its address.
    #[error(
        "cannot listen on `{address}`: {source}; stop the process that listens there, or choose another address with `{option}` (port 0 picks a free one)"
    )]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// The command-line option that changes the address.
        option: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A log or a recorder of metrics is already installed in this process.
    #[error("cannot start the telemetry: {0}")]
    Telemetry(String),
    /// A thread or a signal handler could not be created, or a limit of the process could not be set.
    #[error("cannot start a thread or set a limit: {0}; check `ulimit`")]
    Thread(io::Error),
    /// The limit of open files leaves no room for connections.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
}
