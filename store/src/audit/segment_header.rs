//! The first line of a segment, which says where its chain begins.

use domain::canonical::{write_integer, write_string};
use domain::json;
use domain::port::audit::AuditCategory;

use super::entry_text::{CHAIN_START, ChainValue, ENTRY_FORMAT};
use super::line_digest::{DIGEST_START, LineDigest};
use super::month::Month;
use super::tree_head::ChainHead;

/// The content of a header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) category: AuditCategory,
    pub(super) month: Month,
    /// The number of the first entry.
    pub(super) first_seq: u64,
    /// The chain value of the entry before the first one.
    pub(super) previous_chain: ChainValue,
    /// The digest over the lines of the category before the first one.
    pub(super) previous_digest: LineDigest,
}

impl SegmentHeader {
    /// Returns the header of a segment that follows `before`.
    pub(super) fn after(before: ChainHead, category: AuditCategory, month: Month) -> Self {
        let ChainHead { count, chain, digest } = before;
        Self { category, month, first_seq: count + 1, previous_chain: chain, previous_digest: digest }
    }

    /// Returns where the chain stands before the first entry.
    pub(super) fn before(&self) -> ChainHead {
        ChainHead { count: self.first_seq - 1, chain: self.previous_chain, digest: self.previous_digest }
    }

    /// Returns the offset of the first entry.
    pub(super) fn start(&self) -> u64 {
        self.to_line().len() as u64
    }

    /// Returns the line with its line break: a canonical JSON object.
    pub(super) fn to_line(self) -> String {
        let mut line = String::from("{\"category\":");
        write_string(&mut line, self.category.name());
        line.push_str(",\"first_seq\":");
        write_integer(&mut line, i64::try_from(self.first_seq).unwrap_or(i64::MAX));
        line.push_str(",\"format\":");
        write_integer(&mut line, ENTRY_FORMAT);
        line.push_str(",\"month\":");
        write_string(&mut line, &self.month.to_string());
        line.push_str(",\"previous_chain\":");
        write_string(&mut line, &hex::encode(self.previous_chain));
        line.push_str(",\"previous_digest\":");
        write_string(&mut line, &hex::encode(self.previous_digest));
        line.push_str("}\n");
        line
    }

    /// Parses a line without its line break; `None` if it is not a header of this format.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let object = json::parse(line.as_bytes(), 2).ok()?;
        let (mut previous_chain, mut previous_digest) = (CHAIN_START, DIGEST_START);
        hex::decode_to_slice(object.get("previous_chain")?.as_str()?, &mut previous_chain).ok()?;
        hex::decode_to_slice(object.get("previous_digest")?.as_str()?, &mut previous_digest).ok()?;
        let header = Self {
            category: AuditCategory::parse(object.get("category")?.as_str()?)?,
            month: Month::parse(object.get("month")?.as_str()?)?,
            first_seq: u64::try_from(object.get("first_seq")?.as_i64()?).ok().filter(|first| *first > 0)?,
            previous_chain,
            previous_digest,
        };
        (header.to_line().trim_end() == line).then_some(header)
    }
}
