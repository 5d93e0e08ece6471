//! Progress on stderr: a spinner on a terminal, elsewhere a line for each step.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Shows the current step.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Starts the spinner if stderr is a terminal.
    pub(crate) fn new() -> Self {
        Self(std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        }))
    }

    /// Starts the next step.
    pub(crate) fn step(&self, what: impl Into<String>) {
        match &self.0 {
            Some(bar) => bar.set_message(what.into()),
            None => {
                let _ = writeln!(std::io::stderr(), "{}", what.into());
            }
        }
    }

    /// Shows details of the current step, on a terminal only.
    pub(crate) fn show(&self, what: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.set_message(what());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
