//! Writes redacted log lines to stderr.
//!
//! A line that cannot be written is dropped and counted. Neither an error nor a reader that has stopped reading may
//! stop the server.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use config::LogFormat;
use metrics::Counter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::metric;
use super::redaction::Redactor;

/// Number of bytes that a pipe accepts at once if it accepts any (`PIPE_BUF` on Linux).
const PIPE_BYTES: usize = 4_096;

/// How long a line waits until the reader of stderr makes room.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// How long a line waits if the line before it could not be written.
const NO_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Redacts, shortens and writes finished lines.
pub(super) struct LogOutput {
    redactor: Redactor,
    format: LogFormat,
    max_line_bytes: usize,
    lost: Counter,
    /// Whether the last line could not be written.
    is_stuck: AtomicBool,
    /// Whether the beginning of the last line was written, but not its end.
    is_torn: AtomicBool,
}

impl LogOutput {
    /// Returns an output with the format and the line length of `settings`.
    pub(super) fn new(settings: &config::Log, redactor: Redactor) -> Self {
        Self {
            redactor,
            format: settings.format,
            max_line_bytes: settings.max_line_bytes,
            lost: metric::log_lines_lost(),
            is_stuck: AtomicBool::new(false),
            is_torn: AtomicBool::new(false),
        }
    }

    /// Redacts and writes a line. If it cannot be written, it is counted as lost.
    fn put(&self, line: &[u8]) {
        let line = self.redactor.redact(&String::from_utf8_lossy(line));
        let line = bounded(line, self.max_line_bytes, self.format);
        self.count(self.write(line.as_bytes()));
    }

    fn count(&self, written: io::Result<()>) {
        self.is_stuck.store(written.is_err(), Ordering::Relaxed);
        if written.is_err() {
            self.lost.increment(1);
        }
    }

    fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        if self.is_torn.load(Ordering::Relaxed) {
            self.write_piece(&mut stderr, b"\n")?;
        }
        let mut rest = line;
        while !rest.is_empty() {
            let written = self.write_piece(&mut stderr, &rest[..rest.len().min(PIPE_BYTES)])?;
            rest = &rest[written..];
            self.is_torn.store(!rest.is_empty(), Ordering::Relaxed);
        }
        Ok(())
    }

    fn write_piece(&self, stderr: &mut io::StderrLock<'_>, piece: &[u8]) -> io::Result<usize> {
        let patience = if self.is_stuck.load(Ordering::Relaxed) { &NO_PATIENCE } else { &PATIENCE };
        if poll(&mut [PollFd::new(&stderr.as_fd(), PollFlags::OUT)], Some(patience))? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match stderr.write(piece) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            written => written,
        }
    }

    /// Writes a line that says where a thread panicked. A panic in the panic hook would abort the process, so this does
    /// not use `tracing`, whose layers may have panicked, and it ignores errors. The message of the panic is left out,
    /// because it may contain personal data.
    pub(super) fn put_panic(&self, place: &str) {
        let mut time = String::new();
        // Without a time the line is still useful.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let line = match self.format {
            LogFormat::Text => format!("{time} ERROR a thread panicked place={place:?}\n"),
            LogFormat::Json => {
                let line = serde_json::json!({
                    "timestamp": time, "level": "ERROR", "message": "a thread panicked", "place": place,
                });
                format!("{line}\n")
            }
        };
        self.count(self.write(line.as_bytes()));
    }
}

/// Shortens a line that is too long, and notes that in it. The line has been redacted, so no part of a sensitive value
/// is left at the cut.
fn bounded(line: String, max_bytes: usize, format: LogFormat) -> String {
    if line.len() <= max_bytes {
        return line;
    }
    let head = |bytes: usize| &line[..line.floor_char_boundary(bytes)];
    match format {
        LogFormat::Text => {
            let note = format!("… [cut from {} bytes]\n", line.len());
            format!("{}{note}", head(max_bytes - note.len()))
        }
        LogFormat::Json => {
            // Escaping may double the length: the line is JSON and has no control characters.
            let cut = serde_json::json!({"cut_from_bytes": line.len(), "line": head(max_bytes / 2 - PIPE_BYTES.min(max_bytes / 16))});
            format!("{cut}\n")
        }
    }
}

/// Gives the formatter of `tracing` a writer.
pub(super) struct MakeLine(pub(super) Arc<LogOutput>);

impl<'a> MakeWriter<'a> for MakeLine {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter(&self.0)
    }
}

/// Writes one line per call, as the formatter calls it. It never fails.
pub(super) struct LineWriter<'a>(&'a LogOutput);

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_after_it_was_redacted() {
        let redactor = Redactor::new(super::super::UserHashKey::default());
        for shift in 0..40 {
            let line = format!("{}{}\n", "é".repeat(490), "2341 2341 2346 ".repeat(8));
            let line = redactor.redact(&line[shift * 2..]);
            for format in [LogFormat::Text, LogFormat::Json] {
                let cut = bounded(line.clone(), 1_024, format);
                assert!(cut.len() <= 1_024 && cut.ends_with('\n') && !cut.contains("2341"), "{cut}");
            }
        }
        let cut = bounded("a\"".repeat(10_000) + "\n", 1_024, LogFormat::Json);
        let parsed: serde_json::Value = serde_json::from_str(&cut).expect("JSON");
        assert_eq!(parsed["cut_from_bytes"], 20_001);
        assert!(cut.len() <= 1_024, "{}", cut.len());
        assert!(bounded("a".repeat(10_000), 1_024, LogFormat::Text).ends_with("… [cut from 10000 bytes]\n"));
        assert_eq!(bounded("short\n".to_owned(), 1_024, LogFormat::Text), "short\n");
    }
}
