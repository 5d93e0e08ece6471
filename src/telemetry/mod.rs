//! How the server speaks of itself: log lines behind the redaction layer, and metrics.
//!
//! Log lines go to stderr; stdout carries the ready line alone.

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
/// Another subscriber is there already.
pub(crate) fn init_log(settings: &config::Log, user_hash_key: &[u8; 32]) -> Result<(), TryInitError> {
    let output = Arc::new(LogOutput::new(settings, Redactor::new(user_hash_key)));
    let writer = MakeLine(Arc::clone(&output));
    // Actix repeats every broken connection as an error of its own: what a client does to its socket is no fault here.
    // And a connection that comes while the server stops finds no worker, which is no fault either.
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
