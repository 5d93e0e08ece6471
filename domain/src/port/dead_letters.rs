//! The ports for rejected events: keeping them, and reading those that were kept.

use std::fmt;

use super::store::StoreError;
use crate::id::UserId;

/// Bytes of a [`LetterId`].
pub const LETTER_ID_BYTES: usize = 16;

/// How the text of a [`LetterId`] begins.
const ID_PREFIX: &str = "rej_";

/// Identifies a stored letter among those of its source. Ids are in the order of the rejections: they begin with the time, in
/// microseconds since the Unix epoch and big-endian; the rest is random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(pub [u8; LETTER_ID_BYTES]);

impl LetterId {
    /// Parses the text of an id: `rej_` and 32 hexadecimal digits in lower case. `None` for other text.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(ID_PREFIX)?.as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        let mut id = [0; LETTER_ID_BYTES];
        if pairs.len() != id.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(pairs) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(id))
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ID_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A rejected event, kept so that the operators of its source can inspect it.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The `{source}` of the path that the event was posted to.
    pub source: String,
    /// The subject, where it could be read and parsed.
    pub user: Option<UserId>,
    /// The event's id and type, where they could be read.
    pub event_id: Option<String>,
    /// The event's type, where it could be read.
    pub event_type: Option<String>,
    /// The problem type's name.
    pub problem: String,
    /// Where in the event the fault is, as a JSON Pointer.
    pub pointer: Option<String>,
    /// The event as it was sent; absent where a value looks like class RED.
    pub body: Option<Vec<u8>>,
    /// When it was rejected, in microseconds since the Unix epoch. A store with its own clock replaces it by that
    /// clock's time, because letters are kept for a number of days.
    pub rejected_at: i64,
}

/// Why a dead letter is not kept. The answer to the event names the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LetterDropped {
    /// The letters of the source have reached their bound of bytes.
    #[error("the dead letters of this source have reached their bound")]
    SourceLimit,
    /// All letters together have reached their bound of bytes.
    #[error("all dead letters together have reached their bound")]
    TotalLimit,
    /// The queue of letters that wait to be written is full.
    #[error("more events were rejected than dead letters can be written")]
    QueueLimit,
    /// The server is stopping.
    #[error("the server is stopping")]
    Closing,
}

impl LetterDropped {
    /// Returns the name in answers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SourceLimit => "source-limit",
            Self::TotalLimit => "total-limit",
            Self::QueueLimit => "queue-limit",
            Self::Closing => "closing",
        }
    }
}

/// The port that keeps rejected events.
pub trait DeadLetters: Send + Sync {
    /// Keeps a letter. It never waits.
    ///
    /// # Errors
    /// The letter is not kept, and why.
    fn keep(&self, letter: DeadLetter) -> Result<(), LetterDropped>;
}

/// A letter that was kept.
#[derive(Debug, Clone)]
pub struct StoredLetter {
    /// Its id.
    pub id: LetterId,
    /// The letter.
    pub letter: DeadLetter,
}

/// Some of the letters of a source, the newest first.
#[derive(Debug, Clone, Default)]
pub struct LetterPage {
    /// The letters. There may be fewer than asked for although more follow.
    pub letters: Vec<StoredLetter>,
    /// The id before which the next page begins; `None` after the last page.
    pub next: Option<LetterId>,
}

/// Where a reading of the letters about a user has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetterPosition(pub [u8; 36]);

/// Some of the letters about a user, in no order.
#[derive(Debug, Clone, Default)]
pub struct UserLetters {
    /// The letters. There may be none although more follow.
    pub letters: Vec<StoredLetter>,
    /// Where to go on; `None` at the end.
    pub next: Option<LetterPosition>,
}

/// Reads and changes the letters that were kept. All methods block, so they are called on a thread that may block. What they
/// hold at a time is bounded in number and in bytes. A letter whose key is destroyed is not there any more.
pub trait RejectedEvents: Send + Sync {
    /// Returns letters of a source, the newest first: at most `limit`, those rejected before the letter `before` if it is given.
    /// Letters that still wait to be written are not among them.
    ///
    /// # Errors
    /// The letters could not be read.
    fn page(&self, source: &str, before: Option<LetterId>, limit: usize) -> Result<LetterPage, StoreError>;

    /// Returns a letter of a source; `None` if there is none.
    ///
    /// # Errors
    /// The letter could not be read.
    fn read(&self, source: &str, id: LetterId) -> Result<Option<DeadLetter>, StoreError>;

    /// Replaces the problem and the pointer of a letter. Returns `false` if there is no such letter.
    ///
    /// # Errors
    /// The letter could not be changed. It is as it was.
    fn set_problem(&self, source: &str, id: LetterId, problem: &str, pointer: Option<&str>)
    -> Result<bool, StoreError>;

    /// Removes a letter. That is durable when this returns. Returns `false` if there is no such letter.
    ///
    /// # Errors
    /// It is not known whether the letter is gone.
    fn remove(&self, source: &str, id: LetterId) -> Result<bool, StoreError>;

    /// Returns letters of all sources about a user that are sealed under the user's key, from a position on.
    ///
    /// # Errors
    /// The letters could not be read.
    fn about(&self, user: &UserId, from: Option<LetterPosition>) -> Result<UserLetters, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text_and_other_text_is_none() {
        let id = LetterId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xab, 0xcd, 0xef, 13, 14, 255]);
        let text = id.to_string();
        assert_eq!(text, "rej_00010203040506070809abcdef0d0eff");
        assert_eq!(LetterId::parse(&text), Some(id));
        for other in
            ["", "rej_", &text[4..], &text[..35], &text.to_uppercase(), &format!("{text}0"), &format!("{text}00")]
        {
            assert_eq!(LetterId::parse(other), None, "{other}");
        }
    }
}
