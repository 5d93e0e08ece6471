//! Finds the items of a JSON array while its text arrives.
//!
//! The text is checked for being JSON and its items are counted in one pass, which can stop and continue at any byte: a
//! caller scans a slice of bounded size, yields, and continues. Items are not interpreted.

use std::ops::Range;

use super::{JsonError, JsonProblem};

/// Why an array could not be split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The text is not a JSON array.
    #[error(transparent)]
    Read(#[from] JsonError),
    /// The array has more items than allowed. Text after the first excess item was not read.
    #[error("the array has more than {limit} items")]
    TooManyItems {
        /// Maximum number of items.
        limit: usize,
    },
}

/// Finds the items of one array. Its memory is bounded by the limit of items, and one bit for each level of nesting.
#[derive(Debug)]
pub struct ArraySplitter {
    limit: usize,
    /// How many bytes have been scanned.
    at: usize,
    /// How many bytes are known to be UTF-8; a character may be cut where the text ends so far.
    valid: usize,
    state: State,
    nesting: Nesting,
    item_start: usize,
    items: Vec<Range<usize>>,
}

/// The part of the text that may come next.
#[derive(Debug, Clone, Copy)]
enum State {
    /// The array itself.
    Start,
    Value,
    /// A value, or the end of the array that was opened just now.
    ValueOrEnd,
    Name,
    /// A name, or the end of the object that was opened just now.
    NameOrEnd,
    Colon,
    CommaOrEnd,
    /// Nothing but white space.
    Done,
    String {
        is_name: bool,
    },
    Escape {
        is_name: bool,
    },
    Hex {
        is_name: bool,
        left: u8,
    },
    Number(Number),
    /// The rest of `true`, `false` or `null`.
    Word(&'static [u8]),
}

/// Which part of a number was read last.
#[derive(Debug, Clone, Copy)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

enum SplitFault {
    Unexpected,
    NotAnArray,
    TooManyItems,
}

impl ArraySplitter {
    /// Returns a splitter of an array of at most `limit` items.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            at: 0,
            valid: 0,
            state: State::Start,
            nesting: Nesting::default(),
            item_start: 0,
            items: Vec::new(),
        }
    }

    /// Scans what was added to `text`, which begins with all that was scanned before.
    ///
    /// # Errors
    /// The text cannot become an array of at most the maximum number of items, whatever follows.
    pub fn advance(&mut self, text: &[u8]) -> Result<(), SplitError> {
        let invalid = self.check_utf8(text);
        // What precedes a wrong byte is scanned first, so that the first fault is reported however the text is cut.
        // A character that is cut is left for the next time.
        let text = &text[..self.valid];
        while let Some(&byte) = text.get(self.at) {
            match self.step(byte) {
                Ok(state) => self.state = state,
                Err(fault) => return Err(self.error(text, &fault)),
            }
            self.at += 1;
            if let State::String { .. } = self.state {
                self.at += plain_bytes(&text[self.at..]);
            }
        }
        invalid
    }

    /// Scans the rest of `text`, which is complete now, and returns the range of each item.
    ///
    /// # Errors
    /// The text is not an array of at most the maximum number of items.
    pub fn finish(mut self, text: &[u8]) -> Result<Vec<Range<usize>>, SplitError> {
        self.advance(text)?;
        if self.valid < text.len() {
            return Err(unreadable(JsonProblem::InvalidUtf8 { offset: self.valid }));
        }
        match self.state {
            State::Done => Ok(self.items),
            _ => Err(self.error(text, &SplitFault::Unexpected)),
        }
    }

    fn check_utf8(&mut self, text: &[u8]) -> Result<(), SplitError> {
        match std::str::from_utf8(&text[self.valid..]) {
            Ok(_) => self.valid = text.len(),
            Err(error) => {
                self.valid += error.valid_up_to();
                if error.error_len().is_some() {
                    return Err(unreadable(JsonProblem::InvalidUtf8 { offset: self.valid }));
                }
            }
        }
        Ok(())
    }

    /// Returns the state after `byte`.
    fn step(&mut self, byte: u8) -> Result<State, SplitFault> {
        if is_space(byte) && self.state.skips_space() {
            return Ok(self.state);
        }
        match (self.state, byte) {
            (State::Start, b'[') => Ok(self.open(byte)),
            (State::Start, byte) if begins_value(byte) => Err(SplitFault::NotAnArray),
            (State::ValueOrEnd, b']') | (State::NameOrEnd, b'}') => Ok(self.close()),
            (State::ValueOrEnd | State::Value, byte) => self.begin_value(byte),
            (State::NameOrEnd | State::Name, b'"') => Ok(State::String { is_name: true }),
            (State::Colon, b':') => Ok(State::Value),
            (State::CommaOrEnd, byte) => self.after_value(byte),
            (State::String { is_name: true }, b'"') => Ok(State::Colon),
            (State::String { is_name: false }, b'"') => Ok(self.end_value(self.at + 1)),
            (State::String { is_name }, b'\\') => Ok(State::Escape { is_name }),
            (State::String { .. }, 0x20..) => Ok(self.state),
            (State::Escape { is_name }, b'u') => Ok(State::Hex { is_name, left: 4 }),
            (State::Escape { is_name }, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                Ok(State::String { is_name })
            }
            (State::Hex { is_name, left }, byte) if byte.is_ascii_hexdigit() => {
                Ok(if left == 1 { State::String { is_name } } else { State::Hex { is_name, left: left - 1 } })
            }
            (State::Number(number), byte) => match number.next(byte) {
                Some(number) => Ok(State::Number(number)),
                None if number.is_whole() => {
                    self.state = self.end_value(self.at);
                    self.step(byte)
                }
                None => Err(SplitFault::Unexpected),
            },
            (State::Word([next, rest @ ..]), byte) if *next == byte => {
                Ok(if rest.is_empty() { self.end_value(self.at + 1) } else { State::Word(rest) })
            }
            _ => Err(SplitFault::Unexpected),
        }
    }

    fn begin_value(&mut self, byte: u8) -> Result<State, SplitFault> {
        if !begins_value(byte) {
            return Err(SplitFault::Unexpected);
        }
        if self.nesting.depth == 1 {
            if self.items.len() == self.limit {
                return Err(SplitFault::TooManyItems);
            }
            self.item_start = self.at;
        }
        Ok(match byte {
            b'[' | b'{' => self.open(byte),
            b'"' => State::String { is_name: false },
            b't' => State::Word(b"rue"),
            b'f' => State::Word(b"alse"),
            b'n' => State::Word(b"ull"),
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            _ => State::Number(Number::Integer),
        })
    }

    fn after_value(&mut self, byte: u8) -> Result<State, SplitFault> {
        match (byte, self.nesting.is_in_object()) {
            (b',', true) => Ok(State::Name),
            (b',', false) => Ok(State::Value),
            (b'}', true) | (b']', false) => Ok(self.close()),
            _ => Err(SplitFault::Unexpected),
        }
    }

    fn open(&mut self, byte: u8) -> State {
        let is_object = byte == b'{';
        self.nesting.push(is_object);
        if is_object { State::NameOrEnd } else { State::ValueOrEnd }
    }

    fn close(&mut self) -> State {
        self.nesting.depth -= 1;
        if self.nesting.depth == 0 { State::Done } else { self.end_value(self.at + 1) }
    }

    /// Records that the last value ends before `end`.
    fn end_value(&mut self, end: usize) -> State {
        if self.nesting.depth == 1 {
            self.items.push(self.item_start..end);
        }
        State::CommaOrEnd
    }

    fn error(&self, text: &[u8], fault: &SplitFault) -> SplitError {
        match fault {
            SplitFault::TooManyItems => SplitError::TooManyItems { limit: self.limit },
            SplitFault::NotAnArray => unreadable(JsonProblem::NotAnArray),
            SplitFault::Unexpected => {
                // serde_json does not count a control character in a string as read, but counts any other wrong byte.
                let wrong = if let State::String { .. } = self.state { 0 } else { 1 };
                let read = &text[..text.len().min(self.at + wrong)];
                let line_start = memchr::memrchr(b'\n', read).map_or(0, |newline| newline + 1);
                let line = 1 + memchr::memchr_iter(b'\n', read).count();
                unreadable(JsonProblem::Malformed { line, column: read.len() - line_start })
            }
        }
    }
}

fn unreadable(problem: JsonProblem) -> SplitError {
    SplitError::Read(JsonError { problem, pointer: None })
}

impl State {
    fn skips_space(self) -> bool {
        !matches!(self, Self::String { .. } | Self::Escape { .. } | Self::Hex { .. } | Self::Number(_) | Self::Word(_))
    }
}

impl Number {
    /// Returns the part of a number that `byte` belongs to, if it continues the number.
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Some(Self::Integer),
            (Self::Zero | Self::Integer, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Some(Self::Exponent),
            (Self::Exponent, b'+' | b'-') => Some(Self::ExponentSign),
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Some(Self::ExponentDigits),
            _ => None,
        }
    }

    fn is_whole(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits)
    }
}

/// The arrays and objects that are open: a set bit is an object.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    bits: Vec<u64>,
}

impl Nesting {
    fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.bits.len() {
            self.bits.push(0);
        }
        self.bits[word] = self.bits[word] & !(1 << bit) | u64::from(is_object) << bit;
        self.depth += 1;
    }

    fn is_in_object(&self) -> bool {
        let innermost = self.depth - 1;
        self.bits[innermost / 64] >> (innermost % 64) & 1 == 1
    }
}

/// Returns how many bytes at the start of `text` can neither end a string nor begin an escape.
fn plain_bytes(text: &[u8]) -> usize {
    text.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(text.len())
}

fn begins_value(byte: u8) -> bool {
    matches!(byte, b'[' | b'{' | b'"' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests;
