//! The cursor of a page of snapshots: the time of the last one, and the sequence of its record. It tells nothing that its holder may not read, and
//! each page is masked anew, so it is neither encrypted nor signed.

use actors::snapshots::SnapshotPosition;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Returns the text of a cursor.
pub(super) fn encode(position: SnapshotPosition) -> String {
    let SnapshotPosition { created_at, taken } = position;
    URL_SAFE_NO_PAD.encode([created_at.to_be_bytes(), taken.to_be_bytes()].concat())
}

/// Parses the text of a cursor; `None` if it is not one.
pub(super) fn decode(text: &str) -> Option<SnapshotPosition> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (created_at, taken) = bytes.split_first_chunk()?;
    let taken = u64::from_be_bytes(taken.try_into().ok()?);
    Some(SnapshotPosition { created_at: i64::from_be_bytes(*created_at), taken })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_other_text_is_none() {
        let position = SnapshotPosition { created_at: -7, taken: 9 };
        let text = encode(position);
        assert_eq!(decode(&text), Some(position));
        for other in ["", "AAAA", "?", &format!("{text}AA")] {
            assert_eq!(decode(other), None, "{other}");
        }
    }
}
