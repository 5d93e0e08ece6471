//! The bytes of changes and history blocks are those of the pictures.

use super::block::GrowingBlock;
use super::change::{decode, encode};
use super::{Cause, DecodeError, records};
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
    let (old, change) = (Profile::default(), decode((&record(first_change())).into()).expect("a change"));
    let applied = change.event.as_ref();
    let person = applied.and_then(|applied| applied.person.as_ref()).map(|person| person.as_str());
    assert_eq!(person, Some("usr_7Qm2Xr9TzKpA"));
    assert!(matches!(applied, Some(AppliedEvent { time: -1, .. })));
    let delta = Delta::new(0, 1, &old, &state.profile);
    assert_eq!(encode(&old, &state, true, applied, Some(&delta)), first_change());
}

#[test]
fn a_history_block_has_the_bytes_of_its_picture() {
    let (first, second) = (record(first_change()), Record { sequence: 2, ..record(vec![7; 200]) });
    let mut block = GrowingBlock::new(1, 3);
    block.append((&first).into());
    let mut block = GrowingBlock::open(block.into_body()).expect("a block");
    block.append((&second).into());
    assert_eq!(block.since_base(), 3 + block.len() as u64);
    let block = block.into_body();
    let body = first_change();
    // Format, generation 1, 3 bytes of blocks before; sequence, kind and length of the first record, then of the second.
    let expected = [&[2, 1, 3][..], &[1, 1, body.len() as u8], &body, &[2, 1, 200, 1], &[7; 200]].concat();
    assert_eq!(block, expected);
    assert_eq!(records(&block), Ok(vec![(&first).into(), (&second).into()]));
    let origin = records(&block).expect("a block")[0].origin().expect("a change").expect("a revision");
    assert_eq!((origin.revision, origin.generated_at), (1, 2));
    assert!(matches!(&origin.cause, Cause::Person { person, .. } if person.as_str() == "usr_7Qm2Xr9TzKpA"));
    assert_eq!(records(&[3, 1, 0]), Err(DecodeError::Unknown { what: "history format" }));
    assert!(records(&block[..block.len() - 1]).is_err(), "cut off");
}
