//! Groups of digits that may belong together: `98765 43210` is one run of two groups.

use std::collections::VecDeque;
use std::ops::Range;

use super::glyph::{Glyph, Symbol};
use super::steps;

/// Maximum number of digits that are kept of a group. A longer group cannot be one of the numbers searched for.
pub(super) const MAX_DIGITS: usize = 14;

/// The separator between a group and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// White space alone.
    Space,
    /// This separator, with or without white space around it.
    Separator(char),
    /// Several kinds of separators.
    Mixed,
    /// One mark such as a comma or a plus sign, and nothing else.
    Mark,
}

/// Digits that stand side by side.
#[derive(Debug, Clone)]
pub(super) struct Group {
    digits: [u8; MAX_DIGITS],
    /// How many digits the group has, also beyond those that are kept.
    pub(super) length: usize,
    pub(super) range: Range<usize>,
    /// The separator from the group before; meaningless for the first group of a run.
    pub(super) gap: Gap,
    /// The position of the plus sign before it, if there is one.
    pub(super) plus: Option<usize>,
    /// Whether it stands inside a word that holds other digits and letters, as in a hash.
    pub(super) mixed_before: bool,
    /// Whether a letter follows directly.
    pub(super) letter_after: bool,
}

impl Group {
    /// Returns the digits that are kept.
    pub(super) fn digits(&self) -> &[u8] {
        &self.digits[..self.length.min(MAX_DIGITS)]
    }
}

/// Gathers groups from the symbols of a text, and shows each new one together with those that it continues.
///
/// Keeps no more groups than one number can have, so that a long run costs no more per group than a short one.
pub(super) struct Groups<F> {
    run: VecDeque<Group>,
    open: Option<Group>,
    gap: Option<Gap>,
    plus: Option<usize>,
    word: WordState,
    visit: F,
}

/// The content so far of the word that the next symbol may continue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WordState {
    Outside,
    Letters,
    Mixed,
}

impl<F: FnMut(&[Group])> Groups<F> {
    /// Returns a reader that calls `visit` with the groups of the run, the new one last.
    pub(super) fn new(visit: F) -> Self {
        Self {
            run: VecDeque::with_capacity(MAX_DIGITS),
            open: None,
            gap: None,
            plus: None,
            word: WordState::Outside,
            visit,
        }
    }

    pub(super) fn take(&mut self, symbol: Symbol) {
        match symbol.glyph {
            Glyph::Digit(digit) => return self.digit(digit, symbol),
            Glyph::Letter(_) | Glyph::OtherLetter => {
                let after_digits = self.open.is_some();
                self.close(true);
                self.end_run();
                self.word =
                    if after_digits || self.word == WordState::Mixed { WordState::Mixed } else { WordState::Letters };
                return;
            }
            Glyph::Space => {
                self.close(false);
                self.end_run_after_mark();
                self.gap = self.gap.or(Some(Gap::Space));
            }
            Glyph::Separator(separator) => {
                self.close(false);
                self.end_run_after_mark();
                self.gap = Some(match self.gap {
                    None | Some(Gap::Space) => Gap::Separator(separator),
                    Some(Gap::Separator(before)) if before == separator => Gap::Separator(separator),
                    Some(_) => Gap::Mixed,
                });
            }
            Glyph::Plus | Glyph::Mark => {
                let after_digits = self.open.is_some();
                self.close(false);
                if after_digits {
                    self.gap = Some(Gap::Mark);
                } else {
                    self.end_run();
                }
                self.plus = (symbol.glyph == Glyph::Plus).then_some(symbol.start);
            }
            Glyph::Other => {
                self.close(false);
                self.end_run();
            }
        }
        self.word = WordState::Outside;
    }

    pub(super) fn finish(mut self) {
        self.close(false);
    }

    fn digit(&mut self, digit: u8, symbol: Symbol) {
        let group = self.open.get_or_insert_with(|| Group {
            digits: [0; MAX_DIGITS],
            length: 0,
            range: symbol.start..symbol.end,
            gap: self.gap.unwrap_or(Gap::Mixed),
            plus: self.plus,
            mixed_before: self.word == WordState::Mixed,
            letter_after: false,
        });
        if let Some(place) = group.digits.get_mut(group.length) {
            *place = digit;
        }
        group.length += 1;
        group.range.end = symbol.end;
        (self.gap, self.plus) = (None, None);
    }

    /// Ends the group that is open.
    fn close(&mut self, letter_after: bool) {
        let Some(mut group) = self.open.take() else { return };
        group.letter_after = letter_after;
        if self.run.len() == MAX_DIGITS {
            self.run.pop_front();
        }
        self.run.push_back(group);
        steps::count(self.run.len());
        (self.visit)(self.run.make_contiguous());
    }

    /// Ends the run after a mark that has something else beside it: such a mark belongs to a sentence or a sum, not to
    /// a number.
    fn end_run_after_mark(&mut self) {
        if self.gap == Some(Gap::Mark) {
            self.run.clear();
            self.gap = None;
        }
    }

    fn end_run(&mut self) {
        self.run.clear();
        (self.gap, self.plus) = (None, None);
    }
}
