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
pub(crate) use redaction::UserHashKey;

/// Installs the log for the whole process. User ids are left out of it until the returned key is set.
///
/// # Errors
/// A log is already installed in this process.
pub(crate) fn init_log(settings: &config::Log) -> Result<UserHashKey, TryInitError> {
    let user_hash = UserHashKey::default();
    let output = Arc::new(LogOutput::new(settings, Redactor::new(user_hash.clone())));
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
    Ok(user_hash)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Command, Output, Stdio};

    use super::*;

    /// Panics in a thread after installing the log. It runs in a process of its own, which the test below starts.
    #[test]
    #[ignore = "it installs the log and the panic hook of its process"]
    fn a_thread_panics_with_the_log_installed() {
        let settings = config::Log { level: "info", format: LogFormat::Text, max_line_bytes: 4_096 };
        init_log(&settings).expect("no log is installed yet");
        let thread = std::thread::spawn(|| panic!("Rajesh Kumar"));
        assert!(thread.join().is_err(), "the thread panicked and the process still runs");
    }

    fn run_with_stderr(stderr: Stdio) -> Output {
        Command::new(std::env::current_exe().expect("the path of the tests"))
            .args(["--exact", "telemetry::tests::a_thread_panics_with_the_log_installed", "--ignored", "--nocapture"])
            .stderr(stderr)
            .output()
            .expect("the tests run again")
    }

    #[test]
    fn a_panic_is_logged_without_its_message_and_never_aborts_the_process() {
        let run = run_with_stderr(Stdio::piped());
        let log = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{run:?}");
        assert!(log.contains("a thread panicked") && !log.contains("Rajesh"), "{log}");
        let full = File::options().write(true).open("/dev/full").expect("a device that is always full");
        let run = run_with_stderr(full.into());
        assert!(run.status.success() && String::from_utf8_lossy(&run.stdout).contains("1 passed"), "{run:?}");
    }
}
