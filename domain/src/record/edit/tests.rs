//! For any two profiles, an edit leads from one to the other and back, and is about as long as the difference.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::canonical::write_string;
use crate::record::leaf_value::{LeafValue, set_leaves};

const LISTS: [Leaf; 4] =
    [Leaf::DeadlinesOverdue, Leaf::DeadlinesUpcoming, Leaf::EligibilityEligibleSchemes, Leaf::TrustSourceTrace];

/// Returns an object whose members may be missing, and hold text that looks like JSON.
fn item(key: &str, id: &str, members: &[(String, String)]) -> String {
    let mut members = members.to_vec();
    members.push((key.to_owned(), id.to_owned()));
    members.sort();
    members.dedup_by(|a, b| a.0 == b.0);
    let mut out = String::from("{");
    for (index, (name, text)) in members.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { "," });
        write_string(&mut out, name);
        out.push(':');
        write_string(&mut out, text);
    }
    out + "}"
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("x".repeat(60)), "[a-c\"\\\\\\[\\]{},:अ🙂]{0,12}"]
}

fn members() -> impl Strategy<Value = Vec<(String, String)>> {
    vec(("[b-k]".prop_map(String::from), text()), 0..5)
}

/// Returns a strategy for lists in any order, or none.
fn list(key: &'static str) -> impl Strategy<Value = Option<CanonicalJson>> {
    let items = btree_map("[a-h]", members(), 0..8).prop_map(|items| items.into_iter().collect::<Vec<_>>());
    let shuffled = items.prop_shuffle();
    proptest::option::weighted(0.9, shuffled).prop_map(move |items| {
        let items: Vec<_> = items?.iter().map(|(id, members)| item(key, id, members)).collect();
        Some(CanonicalJson::from_canonical(format!("[{}]", items.join(","))))
    })
}

fn profile() -> impl Strategy<Value = Profile> {
    let trace = members().prop_map(|members| Some(CanonicalJson::from_canonical(item("self", "1", &members))));
    (list("deadline_id"), list("deadline_id"), list("scheme_id"), trace).prop_map(
        |(overdue, upcoming, schemes, trace)| {
            let mut profile = Profile::default();
            for (leaf, value) in LISTS.into_iter().zip([overdue, upcoming, schemes, trace]) {
                profile.set(leaf, value);
            }
            profile
        },
    )
}

/// Returns the values that lead from `from` to `to`, encoded and decoded again.
fn stored(from: &Profile, to: &Profile) -> Vec<(Leaf, LeafValue)> {
    let changed = LISTS.into_iter().filter(|leaf| from.get(*leaf) != to.get(*leaf));
    let mut out = Writer(Vec::new());
    for leaf in changed {
        out.leaf(leaf, &LeafValue::between(leaf, from, to.get(leaf)));
    }
    let (mut input, mut leaves) = (Reader::new(&out.0), Vec::new());
    while !input.is_empty() {
        leaves.push(input.leaf_value().expect("it was written"));
    }
    leaves
}

fn assert_leads(from: &Profile, to: &Profile) {
    let mut profile = from.clone();
    set_leaves(&mut profile, &stored(from, to)).expect("it follows");
    assert_eq!(&profile, to);
}

proptest! {
    #[test]
    fn an_edit_leads_from_any_profile_to_any_other_byte_for_byte(from in profile(), to in profile()) {
        assert_leads(&from, &to);
        assert_leads(&to, &from);
        assert_leads(&Profile::default(), &to);
    }

    #[test]
    fn what_is_no_edit_is_refused_and_does_not_panic(from in profile(), bytes in vec(any::<u8>(), 0..24)) {
        for leaf in LISTS {
            if let Some(base) = Base::new(leaf, &from) {
                let mut damaged = Writer(Vec::new());
                damaged.varint(base.text.len() as u64);
                damaged.fixed(&bytes);
                let _ = Edit(damaged.0.into()).apply(&base);
                let _ = Edit(bytes.clone().into()).apply(&base);
            }
        }
    }
}

/// Returns a deadline with a long description of its own.
fn deadline(id: usize, days: i32) -> String {
    let description = format!("{id:03}").repeat(100);
    format!(
        r#"{{"action_url":"/x","days_remaining":{days},"deadline_id":"d{id:03}","description":"{description}","due_date":"2026-01-01","priority":"low","type":"t"}}"#
    )
}

fn deadlines(overdue: impl Iterator<Item = String>, upcoming: impl Iterator<Item = String>) -> Profile {
    let list = |items: Vec<String>| Some(CanonicalJson::from_canonical(format!("[{}]", items.join(","))));
    let mut profile = Profile::default();
    profile.set(Leaf::DeadlinesOverdue, list(overdue.collect()));
    profile.set(Leaf::DeadlinesUpcoming, list(upcoming.collect()));
    profile
}

/// Returns the number of bytes that the change takes in a record.
fn size(from: &Profile, to: &Profile) -> usize {
    assert_leads(from, to);
    let mut out = Writer(Vec::new());
    stored(from, to).iter().for_each(|(leaf, value)| out.leaf(*leaf, value));
    out.0.len()
}

#[test]
fn a_day_that_turns_costs_some_bytes_an_item_even_where_all_items_move_to_the_other_list() {
    let none = || std::iter::empty();
    let before = deadlines(none(), (0..256).map(|id| deadline(id, 10)));
    let after = deadlines(none(), (0..256).map(|id| deadline(id, 9)));
    assert!(size(&before, &after) < 256 * 12, "{}", size(&before, &after));
    let moved = deadlines((0..256).map(|id| deadline(id, -1)), none());
    for (from, to) in [(&before, &moved), (&moved, &before)] {
        assert!(size(from, to) < 256 * 12, "{}", size(from, to));
    }
}

#[test]
fn one_item_that_changes_comes_or_goes_costs_about_its_own_bytes() {
    let none = || std::iter::empty();
    let all = || (0..256).map(|id| deadline(id, 10));
    let before = deadlines(none(), all());
    let changed = deadlines(none(), all().map(|item| item.replace("\"description\":\"007", "\"description\":\"x")));
    assert!(size(&before, &changed) < 40, "{}", size(&before, &changed));
    let item = deadline(7, 10).len();
    let without = deadlines(none(), all().filter(|item| !item.contains("d007")));
    assert!(size(&before, &without) < 40, "{}", size(&before, &without));
    assert!((300..item + 40).contains(&size(&without, &before)), "{} of {item}", size(&without, &before));
}

#[test]
fn an_edit_cannot_ask_for_more_than_a_bounded_value() {
    let mut profile = Profile::default();
    let list = format!("[{}]", item("scheme_id", "a", &[("b".to_owned(), "x".repeat(1 << 20))]));
    profile.set(Leaf::EligibilityEligibleSchemes, Some(CanonicalJson::from_canonical(list)));
    let base = Base::new(Leaf::EligibilityEligibleSchemes, &profile).expect("a base");
    // Each piece is the whole base.
    let edit = |pieces| {
        let mut out = Writer(Vec::new());
        out.varint(base.text.len() as u64);
        for piece in 0..pieces {
            out.bytes(&[]);
            out.signed(if piece == 0 { 0 } else { -(base.text.len() as i64) });
            out.varint(base.text.len() as u64);
        }
        Edit(out.0.into())
    };
    assert_eq!(edit(3).apply(&base).expect("short enough").as_str().len(), 3 * base.text.len());
    assert!(matches!(edit(4).apply(&base), Err(DecodeError::Unknown { what: "length of a value" })));

    let long = item("scheme_id", "c", &[("b".to_owned(), "x".repeat(MAX_VALUE_BYTES))]);
    let both = format!("{},{long}]", &base.text[..base.text.len() - 1]);
    assert!(Edit::between(Leaf::EligibilityEligibleSchemes, &base, &both).is_none(), "it is stored whole");
}
