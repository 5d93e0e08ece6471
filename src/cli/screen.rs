//! What a terminal can show: colour where it is wanted, and no more than its width.

use std::io::{IsTerminal, stdout};

/// Set to anything, it asks for no colour (no-color.org).
const NO_COLOR: &str = "NO_COLOR";

/// A colour of the terminal's own palette.
#[derive(Debug, Clone, Copy)]
pub(super) enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    coloured: bool,
    /// In columns; `None` where nobody looks.
    width: Option<usize>,
}

impl Screen {
    /// What stdout is.
    pub(super) fn of_stdout() -> Self {
        let refused = config::process_environment().iter().any(|(name, value)| name == NO_COLOR && !value.is_empty());
        let size = rustix::termios::tcgetwinsize(stdout()).ok().filter(|size| size.ws_col > 0);
        Self { coloured: stdout().is_terminal() && !refused, width: size.map(|size| usize::from(size.ws_col)) }
    }

    /// The text in a colour, where there are colours.
    pub(super) fn paint(&self, colour: Colour, text: &str) -> String {
        if self.coloured { format!("\x1b[{}m{text}\x1b[0m", colour as u8) } else { text.to_owned() }
    }

    /// The text in one line of the screen; all of it where nobody looks.
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
    fn a_line_fits_and_is_whole_where_nobody_looks() {
        let screen = Screen { coloured: false, width: Some(5) };
        assert_eq!((screen.fit("pincode"), screen.fit("जिला")), ("pinc…".to_owned(), "जिला".to_owned()));
        assert_eq!(Screen { width: None, ..screen }.fit("pincode"), "pincode");
        assert_eq!(screen.paint(Colour::Red, "x"), "x");
        assert_eq!(Screen { coloured: true, ..screen }.paint(Colour::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}
