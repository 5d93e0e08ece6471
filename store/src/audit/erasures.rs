//! The erasures that a log knows. A restore applies them again to an older keyring.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use domain::event::time::parse_micros;
use domain::json;
use domain::port::audit::AuditCategory;

use super::files;
use super::line_scan::LineScan;
use super::parsed_line::ParsedLine;
use crate::disk::open_read_only;

/// The action of the entry that is written before the keyring is backed up.
const BACK_UP_KEYRING: &str = "keyring.back_up";
/// The action of the entry that is written before an erasure.
const ERASE: &str = "profile.erase";
const ALLOWED: &str = "allowed";

/// An erasure: whose data it was is known by the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Erasure {
    pub(crate) slot: u32,
    /// The generation that has ended.
    pub(crate) generation: u32,
}

/// What a log says about erasures.
#[derive(Debug)]
pub(crate) struct KnownErasures {
    pub(crate) erasures: Vec<Erasure>,
    /// The time of the newest entry, in microseconds since the Unix epoch; `i64::MIN` if there is none.
    pub(crate) newest: i64,
    /// Until when a backup of the keyring may be kept, in microseconds since the Unix epoch; `i64::MIN` if there was none.
    pub(crate) keep_until: i64,
}

impl KnownErasures {
    /// Returns what is known without a log.
    pub(crate) fn none() -> Self {
        Self { erasures: Vec::new(), newest: i64::MIN, keep_until: i64::MIN }
    }
}

/// Reads the erasures of the log in `directory`, which a caller has verified.
pub(crate) fn erasures(directory: &Path) -> io::Result<KnownErasures> {
    let mut erasures = BTreeSet::new();
    let mut known = KnownErasures::none();
    for category in AuditCategory::ALL {
        for month in files::months(directory, category.name(), ".log")? {
            let file = open_read_only(&directory.join(format!("{}-{month}.log", category.name())))?;
            let (mut scan, mut last) = (LineScan::new(&*file, 0), None);
            while let Some(line) = scan.next()?.filter(|line| line.is_complete) {
                if category == AuditCategory::Compliance {
                    erasures.extend(parse(&line.bytes));
                    known.keep_until = known.keep_until.max(parse_keep_until(&line.bytes).unwrap_or(i64::MIN));
                }
                last = Some(line);
            }
            let last = last.as_ref().and_then(|line| std::str::from_utf8(&line.bytes).ok());
            if let Some(parsed) = last.and_then(ParsedLine::parse) {
                known.newest = known.newest.max(parsed.time);
            }
        }
    }
    known.erasures = erasures.into_iter().collect();
    Ok(known)
}

/// Returns the erasure that a line is about; `None` for other lines. An erasure goes on until it is done, whatever comes after its entry.
fn parse(line: &[u8]) -> Option<Erasure> {
    // Most lines are about something else.
    memchr::memmem::find(line, ERASE.as_bytes())?;
    let object = json::parse(line, 4).ok()?;
    let text = |name: &str| object.get(name).and_then(|value| value.as_str());
    let number = |name: &str| object.get(name).and_then(|value| u32::try_from(value.as_i64()?).ok());
    let erasure = Erasure { slot: number("slot")?, generation: number("generation")? };
    (text("action")? == ERASE && text("decision")? == ALLOWED).then_some(erasure)
}

/// Returns until when the backup of the keyring may be kept that a line is about; `None` for other lines.
fn parse_keep_until(line: &[u8]) -> Option<i64> {
    memchr::memmem::find(line, BACK_UP_KEYRING.as_bytes())?;
    let object = json::parse(line, 4).ok()?;
    let text = |name: &str| object.get(name).and_then(|value| value.as_str());
    (text("action")? == BACK_UP_KEYRING).then(|| parse_micros(text("keep_until")?)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_an_erasure_names_slot_and_generation() {
        let line = |action: &str, decision: &str| {
            format!("{{\"action\":\"{action}\",\"decision\":\"{decision}\",\"generation\":2,\"slot\":7}}").into_bytes()
        };
        let erasure = Erasure { slot: 7, generation: 2 };
        assert_eq!(parse(&line("profile.erase", "allowed")), Some(erasure));
        assert_eq!(parse(&line("profile.erase", "failed")), None);
        assert_eq!(parse(&line("profile.erased", "allowed")), None);
        assert_eq!(parse(b"{\"action\":\"profile.erase\"}"), None);
        let until =
            |action: &str| format!("{{\"action\":\"{action}\",\"keep_until\":\"1970-01-01T00:00:01Z\"}}").into_bytes();
        assert_eq!(parse_keep_until(&until("keyring.back_up")), Some(1_000_000));
        assert_eq!(parse_keep_until(&until("keyring.restore")), None);
    }
}
