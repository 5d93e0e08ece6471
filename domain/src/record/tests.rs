//! The bytes of changes and history entries are those of the pictures.

use super::change::{decode, encode};
use super::codec::Writer;
use super::entry::write_entry;
use super::{Cause, entries};
use crate::delta::Delta;
use crate::event::AppliedEvent;
use crate::id::UserId;
use crate::port::journal::{Record, RecordKind};
use crate::profile::Profile;
use crate::record::replay;

/// A first change: `user_provided` tax regime "old", by a request of the user.
fn first_change() -> Vec<u8> {
    [
        // Format, flags, day 3, rules 300, policy 2.
        &[2, 1 | 2 | 4 | 8, 6, 0xac, 2, 2][..],
        &[7; 16],
        &[8; 16],
        // Generation 1; source `self`, time -1, event id.
        &[1, 2, 1, 2, b'e', b'1'],
        // One write: leaf 15 of kind `user_provided`, with its length + 1.
        &[1, 15, 1, 6],
        b"\"old\"",
        // Revision 1, generated at 2, latency 5.
        &[1, 4, 5],
        // Salt count 6; one leaf, which has the value of the first write.
        &[6, 1, 1, 15],
        // One part: the person.
        &[1, 16],
        b"usr_7Qm2Xr9TzKpA",
    ]
    .concat()
}

fn record(body: Vec<u8>) -> Record {
    let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
    Record { user, generation: 1, sequence: 1, kind: RecordKind::CHANGE, body }
}

#[test]
fn a_change_has_the_bytes_of_its_picture() {
    let state = replay(None, &record(first_change())).expect("a change");
    assert_eq!((state.day.0, state.rules, state.policy, state.salts.count), (3, 300, 2, 6));
    let (old, change) = (Profile::default(), decode(&record(first_change())).expect("a change"));
    let applied = change.event.as_ref();
    let person = applied.and_then(|applied| applied.person.as_ref()).map(|person| person.as_str());
    assert_eq!(person, Some("usr_7Qm2Xr9TzKpA"));
    assert!(matches!(applied, Some(AppliedEvent { time: -1, .. })));
    let delta = Delta::new(0, 1, &old, &state.profile);
    assert_eq!(encode(&old, &state, true, applied, Some(&delta)), first_change());
}

#[test]
fn a_history_entry_has_the_bytes_of_its_picture() {
    let change = decode(&record(first_change())).expect("a change");
    let state = change.apply(None).expect("a first change");
    let entry = change.entry(None, &state).expect("a revision");
    let mut block = Writer(Vec::new());
    write_entry(&mut block, &entry);
    let expected = [
        // Format; revision 1, 1 after its base; a person's request.
        &[2, 1, 1, 2, 16][..],
        b"usr_7Qm2Xr9TzKpA",
        &[2, 2, b'e', b'1'],
        // Generated at 2, latency 5.
        &[4, 5],
        // Day 3, salt count 0 before; one leaf, 15, which was absent; its member has not changed before.
        &[6, 0, 1, 15, 0, 1],
    ];
    assert_eq!(block.0, expected.concat());
    assert_eq!(entries(&block.0), Ok(vec![entry.clone()]));
    assert!(matches!(&entry.cause, Cause::Person { person, .. } if person.as_str() == "usr_7Qm2Xr9TzKpA"));
    for (at, what) in [(0, "history format"), (3, "cause")] {
        let mut bad = block.0.clone();
        bad[at] = 3;
        let refused = entries(&bad).expect_err("refused").to_string();
        assert!(refused.contains(what), "{refused}");
    }
}
