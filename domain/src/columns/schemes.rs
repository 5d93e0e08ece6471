//! The schemes of a row.

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
        let items = list.into_iter().flat_map(|list| scan::elements(list.as_str()));
        let mut found: SmallVec<[(&str, u8); 32]> = items.filter_map(identify).collect();
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

/// Returns the id of a scheme and the code of its status.
fn identify(item: &str) -> Option<(&str, u8)> {
    let (mut id, mut status) = (None, 0);
    for (name, value) in scan::members(item) {
        let text = || value.strip_prefix('"')?.strip_suffix('"');
        match name {
            "scheme_id" => id = text(),
            "application_status" => status = text().map_or(0, status_code),
            _ => continue,
        }
        // Members are sorted, and the id comes after the status.
        if id.is_some() {
            break;
        }
    }
    Some((id?, status))
}
