//! Lines on stdout and stderr.

use std::io::{self, Write};

/// Why a line could not be written to stdout.
#[derive(Debug, thiserror::Error)]
pub(super) enum StdoutError {
    /// The reader of a pipe has closed it. The command ends with success.
    #[error("stdout is closed")]
    BrokenPipe,
    /// Any other failure, most likely a full disk.
    #[error("could not write to stdout: {0}; free some space, or redirect the output")]
    Io(io::Error),
}

/// Prints a line of the command's result on stdout.
pub(super) fn print_line(line: &str) -> Result<(), StdoutError> {
    writeln!(io::stdout(), "{line}").map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => StdoutError::BrokenPipe,
        _ => StdoutError::Io(error),
    })
}

/// Prints a line on stdout that the command can do without: a failure is ignored.
pub(super) fn print_notice(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints a message on stderr, as one line even if it contains line breaks.
pub(super) fn print_error(message: &str) {
    let line = message.split(['\n', '\r']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let _ = writeln!(io::stderr(), "profile-server: {line}");
}

/// Renders an error and its causes in one line. A cause that the line already contains is not repeated.
pub(super) fn error_line(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |line, cause| match line.as_str() {
        "" => cause,
        text if text.contains(&cause) => line,
        text => format!("{text}: {cause}"),
    })
}
