//! The cursor of a page of entries, as clients hold it. It tells nothing that its holder may not read, and the filters of
//! each request apply anew, so it is neither encrypted nor signed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::port::audit::AuditCategory;
use domain::port::audit_trail::AuditCursor;

const BYTES: usize = 8;

/// Returns the text of a cursor.
pub(super) fn encode(cursor: &AuditCursor) -> String {
    let bytes: Vec<u8> = cursor.before.iter().flat_map(|before| before.to_be_bytes()).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Parses the text of a cursor; `None` if it is not one.
pub(super) fn decode(text: &str) -> Option<AuditCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<BYTES>();
    let before: [u64; AuditCategory::COUNT] =
        numbers.iter().map(|number| u64::from_be_bytes(*number)).collect::<Vec<_>>().try_into().ok()?;
    rest.is_empty().then_some(AuditCursor { before })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_other_text_is_none() {
        let cursor = AuditCursor { before: [1, u64::MAX, 0] };
        assert_eq!(decode(&encode(&cursor)), Some(cursor));
        for other in ["", "AAAA", "?", &format!("{}AA", encode(&cursor))] {
            assert_eq!(decode(other), None, "{other}");
        }
    }
}
