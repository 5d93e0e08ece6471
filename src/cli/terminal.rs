//! Colours and the width of the terminal on stdout.

use std::io::{IsTerminal, stdout};

/// Environment variable that turns colours off (no-color.org).
const NO_COLOR: &str = "NO_COLOR";

/// A colour of the terminal's palette, with its number in an escape sequence.
#[derive(Debug, Clone, Copy)]
pub(super) enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

/// What stdout can show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    has_colours: bool,
    /// In columns; `None` if stdout is no terminal.
    width: Option<usize>,
}

impl Terminal {
    /// Looks at stdout and at `NO_COLOR`.
    pub(super) fn from_stdout() -> Self {
        let refused = config::process_environment().iter().any(|(name, value)| name == NO_COLOR && !value.is_empty());
        let size = rustix::termios::tcgetwinsize(stdout()).ok().filter(|size| size.ws_col > 0);
        Self { has_colours: stdout().is_terminal() && !refused, width: size.map(|size| usize::from(size.ws_col)) }
    }

    /// Returns the text in a colour, or unchanged if stdout shows no colours.
    pub(super) fn paint(&self, colour: Colour, text: &str) -> String {
        if self.has_colours { format!("\x1b[{}m{text}\x1b[0m", colour as u8) } else { text.to_owned() }
    }

    /// Shortens the text to one line of the terminal; elsewhere it stays whole.
    pub(super) fn fit(&self, text: &str) -> String {
        match self.width {
            Some(width) if text.chars().count() > width => {
                text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
            }
            _ => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_width_of_a_terminal() {
        let terminal = Terminal { has_colours: false, width: Some(5) };
        assert_eq!((terminal.fit("pincode"), terminal.fit("जिला")), ("pinc…".to_owned(), "जिला".to_owned()));
        assert_eq!(Terminal { width: None, ..terminal }.fit("pincode"), "pincode");
        assert_eq!(terminal.paint(Colour::Red, "x"), "x");
        assert_eq!(Terminal { has_colours: true, ..terminal }.paint(Colour::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}
