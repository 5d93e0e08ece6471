//! Logs, whose lines pass the redaction layer, and metrics.
//!
//! Log lines go to stderr. Stdout carries only the ready line.

pub(crate) mod metric;
pub(crate) mod metric_page;
mod output;
pub(crate) mod process;
mod redaction;

use std::sync::Arc;

use config::LogFormat;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use output::{LogOutput, MakeLine};
use redaction::Redactor;

/// Installs the log for the whole process.
///
/// # Errors
/// A log is already installed in this process.
pub(crate) fn init_log(settings: &config::Log, user_hash_key: &[u8; 32]) -> Result<(), TryInitError> {
    let output = Arc::new(LogOutput::new(settings, Redactor::new(user_hash_key)));
    let writer = MakeLine(Arc::clone(&output));
    // Actix logs every connection that a client breaks, and every one that arrives while the server stops, as an error.
    // Neither is a fault of the server.
    let filter =
        EnvFilter::new(format!("{},actix_http=off,actix_server=warn,actix_server::accept=off", settings.level));
    let log = fmt().with_env_filter(filter).with_writer(writer).with_target(true).log_internal_errors(false);
    match settings.format {
        LogFormat::Text => log.with_ansi(false).finish().try_init(),
        LogFormat::Json => log.json().flatten_event(true).finish().try_init(),
    }?;
    std::panic::set_hook(Box::new(move |panic| {
        output.put_panic(&panic.location().map(ToString::to_string).unwrap_or_default());
    }));
    Ok(())
}
