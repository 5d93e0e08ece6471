//! The cursor of a page of snapshots: the time and the id of the last one. It tells nothing that its holder may not read, and
//! each page is masked anew, so it is neither encrypted nor signed.

use actors::snapshots::SnapshotPosition;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::snapshot::SnapshotId;

/// Returns the text of a cursor.
pub(super) fn encode(position: SnapshotPosition) -> String {
    let SnapshotPosition { created_at, id } = position;
    URL_SAFE_NO_PAD.encode([&created_at.to_be_bytes()[..], &id.to_bytes()].concat())
}

/// Parses the text of a cursor; `None` if it is not one.
pub(super) fn decode(text: &str) -> Option<SnapshotPosition> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (created_at, id) = bytes.split_first_chunk()?;
    let id = SnapshotId::from_bytes(id.try_into().ok()?);
    Some(SnapshotPosition { created_at: i64::from_be_bytes(*created_at), id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_other_text_is_none() {
        let position = SnapshotPosition { created_at: -7, id: SnapshotId::from_bytes([9; 16]) };
        let text = encode(position);
        assert_eq!(decode(&text), Some(position));
        for other in ["", "AAAA", "?", &format!("{text}AA")] {
            assert_eq!(decode(other), None, "{other}");
        }
    }
}
