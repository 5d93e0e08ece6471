//! The schemes of a row.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use smallvec::SmallVec;

use super::dictionary::DictionaryKind;
use super::row::Codes;
use crate::canonical::CanonicalJson;
use crate::scan;

/// Maximum number of schemes of a row.
pub const SCHEMES: usize = 10;

/// The statuses of an application. The code of a status is its place, from 1.
pub const STATUSES: [&str; 7] = ["not_applied", "applied", "under_review", "approved", "rejected", "active", "lapsed"];

const NOT_APPLIED: u8 = 1;
const STATUS_BITS: u32 = 3;

/// A scheme that a user is eligible for, and the status of the application.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct SchemeColumn(pub(super) u16);

impl SchemeColumn {
    const fn new(code: u16, status: u8) -> Self {
        Self(code << STATUS_BITS | status as u16)
    }

    /// Returns the scheme's code in its dictionary; 0 if the place is empty.
    pub const fn code(self) -> u16 {
        self.0 >> STATUS_BITS
    }

    /// Returns the code of the status; 0 if it is not one of [`STATUSES`].
    pub const fn status(self) -> u8 {
        self.0 as u8 & ((1 << STATUS_BITS) - 1)
    }
}

const _: () = assert!(SchemeColumn::new(DictionaryKind::Scheme.other(), 0).code() == DictionaryKind::Scheme.other());
const _: () = assert!(STATUSES.len() < 1 << STATUS_BITS);

/// Returns the code of a status; 0 if it is not one of [`STATUSES`].
pub fn status_code(status: &str) -> u8 {
    STATUSES.iter().position(|known| *known == status).map_or(0, |place| place as u8 + 1)
}

/// What a row holds of a user's schemes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SchemeColumns {
    pub(super) first: [SchemeColumn; SCHEMES],
    pub(super) has_more: bool,
    /// A bit for each status that occurs, that of code 1 being the lowest.
    pub(super) statuses: u8,
}

impl SchemeColumns {
    /// Returns the columns of a list of schemes. Those that the user has applied for come first, and within both parts the
    /// list's order holds.
    pub(super) fn from_list(list: Option<&CanonicalJson>, codes: &impl Codes) -> Self {
        let mut found: SmallVec<[(&str, u8); 32]> = list.into_iter().flat_map(|list| identify(list.as_str())).collect();
        found.sort_by_key(|(_, status)| *status == NOT_APPLIED);
        let mut columns = Self {
            first: Default::default(),
            has_more: found.len() > SCHEMES,
            statuses: found.iter().fold(0, |statuses, (_, status)| statuses | (1_u8 << status) >> 1),
        };
        // A scheme without a place takes none in the dictionary either.
        for (place, (id, status)) in columns.first.iter_mut().zip(found) {
            *place = SchemeColumn::new(codes.code(DictionaryKind::Scheme, id), status);
        }
        columns
    }
}

/// Returns the id of each scheme of a list, and the code of its status.
///
/// Only the two members are searched for: a list has some kilobytes, and going through all of it would cost most of what a
/// commit costs the columns. Their names in quotes occur nowhere else, as quotes within a text are escaped. Members are
/// sorted, so the status of a scheme comes before its id.
fn identify(list: &str) -> impl Iterator<Item = (&str, u8)> {
    static ID: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"scheme_id\":\""));
    static STATUS: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"application_status\":\""));
    let mut rest = list;
    std::iter::from_fn(move || {
        let at = ID.find(rest.as_bytes())?;
        let before = &rest[..at];
        let id = text_at(&rest[at + ID.needle().len()..]);
        rest = &rest[at + ID.needle().len() + id.len()..];
        let status = STATUS.find(before.as_bytes());
        Some((id, status.map_or(0, |at| status_code(text_at(&before[at + STATUS.needle().len()..])))))
    })
}

/// Returns the content of a string that begins at the start of `text`, with its escapes.
fn text_at(text: &str) -> &str {
    let mut end = 0;
    while let Some(at) = text.as_bytes().get(end..).and_then(scan::find_quote) {
        if text.as_bytes()[end + at] == b'"' {
            return &text[..end + at];
        }
        end += at + 2;
    }
    text
}
