//! The memory that a state takes in addition to the state that it was made from.

use std::ptr;

use crate::canonical::CanonicalJson;
use crate::documents::{Register, SourceDocument};
use crate::profile::Section;
use crate::source::Source;
use crate::state::UserState;
use crate::table::{Leaf, Member};

impl UserState {
    /// Returns the bytes of memory that this state holds and `before` does not: the members and documents that were
    /// copied to be changed, and the values in them that are new. What both share counts for neither, so the sum over a
    /// chain of states is what the chain holds in addition to its first one.
    ///
    /// A value that a register and a leaf share is counted for each of them. Ids and other short texts are not counted, and
    /// neither is what both states would decode of the packed state that they came from.
    pub fn bytes_beyond(&self, before: Option<&Self>) -> usize {
        let tree = self.tree.bytes();
        // What is still packed is shared, and looking at it would decode it.
        let sections = Member::ALL.iter().filter_map(|member| {
            let section = self.profile.own(*member)?;
            Some(section_bytes(section, before.and_then(|before| before.profile.section(*member))))
        });
        let documents = Source::ALL.into_iter().filter_map(|source| {
            let document = self.documents.own(source)?;
            Some(document_bytes(document, before.and_then(|before| before.documents.document(source))))
        });
        size_of::<Self>() + tree + sections.sum::<usize>() + documents.sum::<usize>()
    }
}

fn section_bytes(section: &Section, old: Option<&Section>) -> usize {
    if old.is_some_and(|old| ptr::eq(old, section)) {
        return 0;
    }
    let value = |(leaf, value): &(Leaf, CanonicalJson)| new_bytes(value, || old?.get(*leaf));
    size_of_val(section.leaves()) + section.leaves().iter().map(value).sum::<usize>()
}

fn document_bytes(document: &SourceDocument, old: Option<&SourceDocument>) -> usize {
    if old.is_some_and(|old| ptr::eq(old, document)) {
        return 0;
    }
    let value = |register: &Register| {
        let old = || old?.get(&register.path, register.kind)?.value.as_ref();
        register.value.as_ref().map_or(0, |value| new_bytes(value, old))
    };
    size_of_val(document.registers()) + document.registers().iter().map(value).sum::<usize>()
}

/// Returns the number of bytes of a value beside the value itself, or 0 if it shares them with the old one.
fn new_bytes<'a>(value: &CanonicalJson, old: impl FnOnce() -> Option<&'a CanonicalJson>) -> usize {
    let bytes = value.shared_bytes();
    let is_new = bytes > 0 && old().is_none_or(|old| !ptr::eq(old.as_bytes(), value.as_bytes()));
    if is_new { bytes } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::Day;
    use crate::event::{RegisterPath, RegisterWrite, SharedText};
    use crate::id::ProfileId;
    use crate::state::NewGeneration;

    const LARGE: usize = 100_000;

    fn set(state: &mut UserState, leaf: Leaf, time: i64, text: &str) {
        let value = CanonicalJson::string(text);
        let write = RegisterWrite {
            path: RegisterPath::Leaf(leaf),
            kind: Source::Metadata.kinds()[0],
            value: Some(value.clone()),
        };
        state.documents.write(Source::Metadata, time, &SharedText::from("event"), &write);
        state.profile.set(leaf, Some(value));
    }

    fn large() -> UserState {
        let mut state = UserState::new(NewGeneration {
            profile_id: ProfileId::from_random([1; 16]),
            integrity_key: [0; 16],
            generation: 1,
            begins_after: crate::state::NO_ERASURE,
            first_revision: 1,
            day: Day(1),
            rules: 0,
            policy: 0,
        });
        set(&mut state, Leaf::DemographicsDistrict, 1, &"x".repeat(LARGE));
        state
    }

    #[test]
    fn what_is_shared_with_the_state_before_is_not_counted() {
        let before = large();
        assert!(before.bytes_beyond(None) > LARGE);
        assert_eq!(before.clone().bytes_beyond(Some(&before)), size_of::<UserState>());
        let mut next = before.clone();
        set(&mut next, Leaf::DemographicsState, 2, "goa");
        let beyond = next.bytes_beyond(Some(&before));
        assert!(
            beyond > size_of::<UserState>() && beyond < LARGE / 10,
            "the section is copied, not its values: {beyond}"
        );
    }

    #[test]
    fn what_is_still_packed_is_not_decoded_to_be_counted() {
        let mut packed = crate::record::pack(&large());
        let length = packed.len();
        // Reading a document or section of these bytes would panic.
        packed[length - LARGE / 2..].fill(0xff);
        let before = crate::record::unpack_own(packed).expect("the head is as it was");
        let next = before.clone();
        assert_eq!(next.bytes_beyond(Some(&before)), size_of::<UserState>());
    }

    #[test]
    fn what_was_written_since_it_was_unpacked_is_counted() {
        let before = crate::record::unpack_own(crate::record::pack(&large())).expect("packed here");
        let mut next = before.clone();
        set(&mut next, Leaf::DemographicsState, 2, "goa");
        let beyond = next.bytes_beyond(Some(&before));
        assert!(beyond > size_of::<UserState>() && beyond < LARGE / 10, "the values are shared: {beyond}");
        set(&mut next, Leaf::DemographicsDistrict, 2, &"y".repeat(LARGE));
        assert!(next.bytes_beyond(Some(&before)) > LARGE);
    }

    #[test]
    fn a_value_that_replaces_another_is_counted() {
        let before = large();
        let mut next = before.clone();
        set(&mut next, Leaf::DemographicsDistrict, 2, &"y".repeat(LARGE));
        assert!(next.bytes_beyond(Some(&before)) > LARGE);
        let mut chain = 0;
        let mut tip = before;
        for time in 2..12 {
            let mut next = tip.clone();
            set(&mut next, Leaf::DemographicsDistrict, time, &format!("{time}{}", "y".repeat(LARGE)));
            chain += next.bytes_beyond(Some(&tip));
            tip = next;
        }
        assert!(chain > 10 * LARGE, "each state of a chain holds its own");
    }
}
