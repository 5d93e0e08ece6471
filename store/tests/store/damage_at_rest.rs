//! Damage of what is folded already, which no checkpoint comes across.

use domain::port::store::StoreError;
use store::{QuarantineError, QuarantineReason, ReleasedUser};

use crate::backup_kit::back_up;
use crate::from_backup::{append_all, body, damage_states, find, frames_without};
use crate::kit::{append_one, check_history, close, frames, open, try_load, user};
use crate::release::keys;

#[test]
fn damage_of_what_is_folded_is_listed_once_a_load_has_found_it_and_a_backup_mends_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    append_all(&mut store, 3, 1..=3);
    let at_3 = back_up(&store);
    append_all(&mut store, 3, 4..=6);
    let at_6 = back_up(&store);
    close(store);
    damage_states(dir.path(), None);

    let store = open(dir.path());
    assert_eq!(keys(&store, 9), [], "nobody has asked");
    let find_key = |number: usize| {
        let before = keys(&store, 1);
        assert!(matches!(try_load(&*store.reader, number), Err(StoreError::Damaged { .. })));
        let found: Vec<_> = keys(&store, 1).into_iter().filter(|key| !before.contains(key)).collect();
        assert_eq!((found.len(), found[0]), (1, store.quarantine.key_of(&user(number))));
        found[0]
    };
    let [first, second, third] = [1, 2, 3].map(find_key);
    let inspected = store.quarantine.inspect(first).expect("reads");
    assert_eq!((inspected.listed.reason, inspected.listed.frames), (Some(QuarantineReason::State), 0));
    assert!(inspected.listed.slot.is_some() && inspected.frames.is_empty(), "{inspected:?}");
    assert!(matches!(store.quarantine.drop_frames(first), Err(QuarantineError::NothingLeft)));
    assert!(matches!(store.quarantine.retry(first), Err(QuarantineError::StillDamaged { .. })));

    let expected = ReleasedUser { user: user(1), sequence: 6, folded: 0, lost: 0 };
    assert_eq!(store.quarantine.restore(first, &find(&at_6, first), false).expect("restored"), expected);
    assert_eq!(frames(&store, 1), (1..=6).map(body).collect::<Vec<_>>());
    check_history(&store, 1, "after a restore of everything");
    let older = find(&at_3, second);
    let error = store.quarantine.restore(second, &older, false).expect_err("something would be lost");
    assert!(matches!(error, QuarantineError::WouldLose { lost: 3 }), "{error}");
    let expected = ReleasedUser { user: user(2), sequence: 6, folded: 0, lost: 3 };
    assert_eq!(store.quarantine.restore(second, &older, true).expect("restored"), expected);
    assert_eq!(frames(&store, 2), frames_without(3, 6));
    assert_eq!(keys(&store, 9), [third]);
    close(store);

    // The damage is mended by other means.
    damage_states(dir.path(), Some(third));
    let mut store = open(dir.path());
    (1..=3).for_each(|number| append_one(&mut store, number, 7, body(7)));
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!([1, 2, 3].map(|number| frames(&store, number).len()), [7; 3]);
    assert_eq!(keys(&store, 9), []);
}
