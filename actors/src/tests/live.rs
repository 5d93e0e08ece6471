//! Live subscribers, with every part run by hand.

use domain::event::{FeedEvent, RegisterPath};
use domain::record::Cause;
use domain::schema_version::SchemaVersion;
use domain::source::Source;
use domain::table::Leaf;
use serde_json::Value;

use super::fixture::{
    DAY, Fixture, NOON, SERVICE, THIRD_PARTY, citizen, consent, deadline, event, income, policy, user,
};
use super::harness::{Harness, by_hand, run};
use crate::outlet::{FrameKind, OutletFrame, OutletReceiver, OutletSender, channel};
use crate::request::{CursorPast, Request, Subscribe};
use crate::shard_event::ShardEvent;
use crate::turn::Turn;
use crate::{ReadError, Status, Subscription};

async fn subscribe(
    harness: &mut Harness,
    id: u64,
    viewer: domain::access::Viewer,
    outlet: &OutletSender,
) -> Result<(), ReadError> {
    let (profiles, outlet) = (harness.profiles.clone(), outlet.clone());
    harness
        .ask(async move {
            profiles
                .subscribe(
                    user(1),
                    Subscription {
                        id,
                        viewer,
                        fields: None,
                        schema: SchemaVersion::NEWEST,
                        names_sources: false,
                        cursor: None,
                        followed_before: false,
                        outlet,
                    },
                )
                .await
        })
        .await
}

fn frames(receiver: &mut OutletReceiver) -> Vec<OutletFrame> {
    std::iter::from_fn(|| receiver.try_recv()).collect()
}

fn kinds(receiver: &mut OutletReceiver) -> Vec<(FrameKind, u64)> {
    frames(receiver).iter().map(|frame| (frame.message.kind, frame.message.revision)).collect()
}

fn text(frame: &OutletFrame) -> String {
    String::from_utf8_lossy(frame.message.text()).into_owned()
}

fn json(frame: &OutletFrame) -> Value {
    serde_json::from_slice(frame.message.text()).expect("JSON")
}

#[test]
fn the_state_comes_first_and_patches_continue_it() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        let (outlet, mut receiver) = channel(8);
        assert_eq!(subscribe(&mut harness, 7, citizen(1), &outlet).await, Err(ReadError::Unknown));
        harness.apply(income(1, NOON, "0-2.5L")).await;
        assert_eq!(subscribe(&mut harness, 7, citizen(1), &outlet).await, Ok(()));
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        let got = frames(&mut receiver);
        let [first, second] = got.as_slice() else { panic!("{} frames", got.len()) };
        let (profile, patch) = (json(first), json(second));
        assert_eq!(profile["type"], "profile");
        assert_eq!(profile["user_id"], "usr_000000000001");
        assert_eq!(profile["revision"], 1);
        assert_eq!(profile["profile"]["economic"]["income_bracket"], "0-2.5L");
        assert_eq!(patch["type"], "patch");
        assert_eq!((&patch["base_revision"], &patch["revision"]), (&1.into(), &2.into()));
        assert_eq!(patch["envelope"]["revision"], 2);
        let operation = serde_json::json!(
            {"op": "replace", "path": "/economic/income_bracket", "value": "2.5L-5L"}
        );
        assert!(patch["operations"].as_array().expect("a list").contains(&operation), "{patch}");
        assert_ne!(profile["cursor"], patch["cursor"]);
        assert!(!second.message.text().windows(4).any(|text| text == b"\"id\""));
    });
}

#[test]
fn a_subscription_that_was_ended_before_it_was_opened_stays_closed() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (outlet, mut receiver) = channel(8);
        let (answer, receiver_gone) = tokio::sync::oneshot::channel();
        let subscription = Subscription {
            id: 1,
            viewer: citizen(1),
            fields: None,
            schema: SchemaVersion::NEWEST,
            names_sources: false,
            cursor: None,
            followed_before: false,
            outlet: outlet.clone(),
        };
        let open = Request::Subscribe(Subscribe { subscription, past: CursorPast::NotRead, answer });
        drop(receiver_gone);
        harness.profiles.unsubscribe(user(1), 1, &outlet);
        harness.runtime.dispatch(user(1), open).expect("there is room");
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        assert_eq!(kinds(&mut receiver), []);
        let counters = harness.profiles.observe_user(user(1)).await.expect("an actor");
        assert_eq!(counters.outlets, 0);
    });
}

#[test]
fn a_class_shares_the_bytes_of_a_frame() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (outlet, mut receiver) = channel(8);
        subscribe(&mut harness, 1, citizen(1), &outlet).await.expect("known");
        subscribe(&mut harness, 2, citizen(1), &outlet).await.expect("known");
        frames(&mut receiver);
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        let got = frames(&mut receiver);
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].message.framed().as_ptr(), got[1].message.framed().as_ptr());
    });
}

#[test]
fn a_withdrawal_takes_back_what_waits_and_shows_what_is_left() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(consent(NOON, "standard", true)).await;
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (outlet, mut receiver) = channel(8);
        subscribe(&mut harness, 1, SERVICE, &outlet).await.expect("known");
        subscribe(&mut harness, 2, THIRD_PARTY, &outlet).await.expect("runtime");
        subscribe(&mut harness, 3, citizen(1), &outlet).await.expect("known");
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        harness.apply(consent(NOON + 1, "minimal", false)).await;
        let got = frames(&mut receiver);
        let of = |id| got.iter().filter(move |frame| frame.subscription == id);
        assert_eq!(
            of(1).map(|frame| (frame.message.kind, frame.message.revision)).collect::<Vec<_>>(),
            [(FrameKind::Profile, 4)]
        );
        assert!(of(1).all(|frame| !String::from_utf8_lossy(frame.message.text()).contains("income_bracket")));
        assert_eq!(of(2).map(|frame| frame.message.kind).collect::<Vec<_>>(), [FrameKind::Gone]);
        let own = [FrameKind::Profile, FrameKind::Patch, FrameKind::Patch];
        assert_eq!(of(3).map(|frame| frame.message.kind).collect::<Vec<_>>(), own, "the citizen's class stays");

        harness.apply(income(1, NOON + 2, "0-2.5L")).await;
        let own = frames(&mut receiver);
        assert!(own.iter().all(|frame| frame.subscription == 3), "nothing visible waits, nothing hidden comes");
        harness.shard.on_tick();
        let caught_up = frames(&mut receiver);
        assert_eq!(caught_up.iter().map(|frame| frame.subscription).collect::<Vec<_>>(), [1]);
        assert_eq!(json(&caught_up[0])["operations"], serde_json::json!([]), "nothing visible, but no gap");

        harness.apply(consent(NOON + 3, "minimal", true)).await;
        assert!(
            frames(&mut receiver)
                .iter()
                .any(|frame| frame.subscription == 2 && frame.message.kind == FrameKind::Profile)
        );
    });
}

#[test]
fn a_slow_client_gets_one_patch_for_many_and_the_whole_document_where_that_is_shorter() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        // Makes the document much longer than a patch.
        harness.apply(deadline(NOON, "2026-01-25")).await;
        let (outlet, mut receiver) = channel(2);
        subscribe(&mut harness, 1, citizen(1), &outlet).await.expect("known");
        let mut step = 0;
        let mut change = |harness: &mut Harness| {
            step += 1;
            harness.submit(income(1, NOON + step, ["0-2.5L", "2.5L-5L"][step as usize % 2]));
        };
        for _ in 0..3 {
            change(&mut harness);
            harness.settle().await;
        }
        // The profile and one patch fill the queue. A patch cannot be merged into a profile, so revision 4 replaces it, and
        // there is room for 5.
        assert_eq!(kinds(&mut receiver), [(FrameKind::Profile, 4), (FrameKind::Patch, 5)]);
        for _ in 0..4 {
            change(&mut harness);
            harness.settle().await;
        }
        let got = frames(&mut receiver);
        let steps: Vec<_> = got.iter().map(|frame| (frame.message.base, frame.message.revision)).collect();
        assert_eq!(steps, [(5, 8), (8, 9)], "6 and 7 fill the queue, 8 is merged with them, and there is room for 9");
        assert_eq!(json(&got[0])["operations"].as_array().map(Vec::len), Some(3));
        for _ in 0..20 {
            change(&mut harness);
            harness.settle().await;
        }
        assert!(frames(&mut receiver).iter().any(|frame| frame.message.kind == FrameKind::Profile), "that is shorter");
    });
}

#[test]
fn a_cursor_is_continued_with_the_way_to_the_head() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.apply(deadline(NOON, "2026-01-25")).await;
        let (outlet, mut receiver) = channel(8);
        subscribe(&mut harness, 1, citizen(1), &outlet).await.expect("known");
        let cursor = frames(&mut receiver)[0].message.cursor().map(str::to_owned);
        let head = continue_from(&mut harness, citizen(1), cursor.clone()).await;
        assert_eq!((head.message.base, head.message.revision), (2, 2), "nothing happened");
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        harness.apply(income(1, NOON + 2, "5L-10L")).await;

        let way = continue_from(&mut harness, citizen(1), cursor.clone()).await;
        assert_eq!((way.message.kind, way.message.base, way.message.revision), (FrameKind::Patch, 2, 4));
        let operation = serde_json::json!({"op": "replace", "path": "/economic/income_bracket", "value": "5L-10L"});
        assert_eq!(json(&way)["operations"], serde_json::json!([operation]));

        let other = continue_from(&mut harness, SERVICE, cursor.clone()).await;
        assert_eq!((other.message.kind, other.reset), (FrameKind::Profile, true), "a cursor of another class");
        let forged = cursor.map(|cursor| flip_last_digit(&cursor));
        assert!(continue_from(&mut harness, citizen(1), forged).await.reset);
    });
}

#[test]
fn a_cursor_of_one_user_does_not_show_what_was_hidden_of_another() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.apply(consent(NOON, "standard", false)).await;
        // The second user shares from its first revision on what the first user shares from its second revision on.
        harness.apply(FeedEvent { user: user(2), ..consent(NOON, "standard", false) }).await;
        let (outlet, mut receiver) = channel(8);
        let (profiles, viewer) = (harness.profiles.clone(), SERVICE);
        let subscription = Subscription {
            id: 1,
            viewer,
            fields: None,
            schema: SchemaVersion::NEWEST,
            names_sources: false,
            cursor: None,
            followed_before: false,
            outlet,
        };
        let opened = harness.ask(async move { profiles.subscribe(user(2), subscription).await }).await;
        assert_eq!(opened, Ok(()));
        let first = receiver.try_recv().expect("the first frame");
        assert_eq!(first.message.revision, 1);
        let cursor = first.message.cursor().map(str::to_owned);
        let frame = continue_from(&mut harness, SERVICE, cursor).await;
        assert_eq!((frame.message.kind, frame.reset), (FrameKind::Profile, true));
    });
}

fn flip_last_digit(cursor: &str) -> String {
    let (start, last) = cursor.split_at(cursor.len() - 1);
    format!("{start}{}", if last == "0" { "1" } else { "0" })
}

async fn continue_from(harness: &mut Harness, viewer: domain::access::Viewer, cursor: Option<String>) -> OutletFrame {
    let (outlet, mut receiver) = channel(8);
    let profiles = harness.profiles.clone();
    let subscription = Subscription {
        id: 9,
        viewer,
        fields: None,
        schema: SchemaVersion::NEWEST,
        names_sources: false,
        cursor,
        followed_before: false,
        outlet,
    };
    let opened = harness.ask(async move { profiles.subscribe(user(1), subscription).await }).await;
    assert_eq!(opened, Ok(()));
    receiver.try_recv().expect("the first frame")
}

#[test]
fn a_change_of_completeness_is_sent_to_viewers_who_may_see_it() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (outlet, mut receiver) = channel(8);
        subscribe(&mut harness, 1, citizen(1), &outlet).await.expect("known");
        subscribe(&mut harness, 2, SERVICE, &outlet).await.expect("known");
        frames(&mut receiver);
        let state = [(RegisterPath::Leaf(Leaf::DemographicsState), Some("\"goa\""))];
        harness.apply(event(user(1), "state", NOON, Source::Metadata, &state)).await;
        let received: Vec<_> =
            frames(&mut receiver).into_iter().filter(|frame| frame.message.kind == FrameKind::Completeness).collect();
        let [message] = received.as_slice() else { panic!("{} completeness messages", received.len()) };
        assert_eq!(message.subscription, 1);
        let (text, view) = (json(message), harness.view(1, citizen(1)).await.expect("known"));
        let held: Value = serde_json::from_slice(&view.body).expect("JSON");
        assert_eq!(text["new_pct"], held["profile_completeness_pct"]);
        let missing = text["missing_fields"].as_array().expect("a list");
        assert!(missing.contains(&"identity.category".into()) && !missing.contains(&"demographics.state".into()));
    });
}

#[test]
fn a_new_policy_is_followed_without_an_event() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(consent(NOON, "standard", false)).await;
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (outlet, mut receiver) = channel(8);
        subscribe(&mut harness, 1, SERVICE, &outlet).await.expect("known");
        assert!(String::from_utf8_lossy(frames(&mut receiver)[0].message.text()).contains("income_bracket"));
        harness.fixture.policy.store(policy(1).into());
        harness.shard.on_tick();
        harness.settle().await;
        let got = frames(&mut receiver);
        assert_eq!(got.iter().map(|frame| frame.message.kind).collect::<Vec<_>>(), [FrameKind::Profile]);
        assert!(!String::from_utf8_lossy(got[0].message.text()).contains("income_bracket"));
        let view = harness.view(1, SERVICE).await.expect("known");
        assert!(!String::from_utf8_lossy(&view.body).contains("income_bracket"));
    });
}

#[test]
fn a_new_policy_is_followed_between_the_outcomes_and_not_before_them() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(consent(NOON, "standard", false)).await;
        let (outlet, mut receiver) = channel(8);
        subscribe(&mut harness, 1, SERVICE, &outlet).await.expect("known");
        frames(&mut receiver);
        harness.fixture.policy.store(policy(1).into());
        harness.shard.handle(ShardEvent::PolicyChanged, &mut Turn::default()).await;
        assert_eq!(frames(&mut receiver).len(), 0, "the next events of the commit thread come first");
        harness.run_tasks(8).await;
        assert_eq!(kinds(&mut receiver).len(), 1, "without a tick");
    });
}

#[test]
fn a_policy_that_came_and_went_between_two_ticks_leaves_nothing_behind() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(consent(NOON, "standard", false)).await;
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (outlet, mut receiver) = channel(8);
        subscribe(&mut harness, 1, SERVICE, &outlet).await.expect("known");
        harness.fixture.policy.store(policy(1).into());
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        harness.fixture.policy.store(policy(0).into());
        let shown = |got: &[OutletFrame]| got.last().is_some_and(|frame| text(frame).contains("income_bracket"));
        assert!(!shown(&frames(&mut receiver)));
        harness.shard.on_tick();
        assert!(shown(&frames(&mut receiver)), "the policy is the same again, and so is the view");
    });
}

#[test]
fn the_turn_of_the_day_reaches_subscribers_and_readers() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(deadline(NOON, "2026-01-25")).await;
        let (outlet, mut receiver) = channel(8);
        subscribe(&mut harness, 1, citizen(1), &outlet).await.expect("known");
        frames(&mut receiver);
        harness.fixture.set_now(NOON + DAY);
        harness.shard.on_tick();
        harness.settle().await;
        assert_eq!(kinds(&mut receiver), [(FrameKind::Patch, 2)]);
        harness.fixture.set_now(NOON + 2 * DAY);
        let view = harness.view(1, citizen(1)).await.expect("known");
        assert_eq!(view.revision, 3, "a read rolls first, and waits until that is durable");
        assert!(String::from_utf8_lossy(&view.body).contains(r#""days_remaining":3"#));
        assert_eq!(kinds(&mut receiver), [(FrameKind::Patch, 3)]);
    });
}

#[test]
fn an_actor_with_a_subscriber_is_not_passivated_and_one_that_panics_sends_a_resync() {
    run(async {
        let options = crate::Options { idle_passivate: std::time::Duration::ZERO, ..by_hand() };
        let mut harness = Harness::start(Fixture::new(), options);
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (outlet, mut receiver) = channel(8);
        subscribe(&mut harness, 1, citizen(1), &outlet).await.expect("known");
        harness.shard.on_tick();
        assert_eq!(harness.shard.slots.borrow().len(), 1);
        harness.runtime.dispatch(user(1), Request::Panic).expect("there is room");
        harness.run_tasks(8).await;
        assert_eq!(kinds(&mut receiver), [(FrameKind::Resync, 0)]);
        subscribe(&mut harness, 1, citizen(1), &outlet).await.expect("known");
        harness.profiles.unsubscribe(user(1), 1, &outlet);
        assert_eq!(kinds(&mut receiver), []);
        assert_eq!(harness.apply(income(1, NOON + 1, "2.5L-5L")).await, Status::Applied { revision: 2 });
        assert_eq!(kinds(&mut receiver), []);
        harness.shard.on_tick();
        assert_eq!(harness.shard.slots.borrow().len(), 0);
    });
}

#[test]
fn the_citizens_consent_is_written_later_than_what_it_overwrites() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(consent(NOON + 5_000_000, "full", true)).await;
        let writes = consent(0, "minimal", false).writes;
        let profiles = harness.profiles.clone();
        let put = async move { profiles.put_consent(user(1), writes, std::time::Instant::now()).await };
        assert_eq!(harness.ask(put).await, Ok(Status::Applied { revision: 2 }));
        let view = harness.view(1, citizen(1)).await.expect("known");
        assert!(String::from_utf8_lossy(&view.body).contains(r#""data_sharing_level":"minimal""#));
        let causes = harness.fixture.store.causes(&user(1));
        let [Cause::Feed { source: Source::Consent, .. }, Cause::Person { person, source: Source::Consent, .. }] =
            &causes[..]
        else {
            panic!("{causes:?}")
        };
        assert_eq!(person.as_str(), user(1).as_str());
    });
}

/// Clients hold the cursors of earlier releases, so a leaf that is inserted in the field table must not change the class of
/// those who do not see it.
#[test]
fn a_cursor_of_the_first_release_is_continued() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (outlet, mut receiver) = channel(8);
        let leaves = [Leaf::CohortTags, Leaf::DemographicsState, Leaf::EconomicIncomeBracket];
        let (profiles, fields) = (harness.profiles.clone(), leaves.into_iter().collect());
        let cursor = "8ba0ec561d63fa8f80cf007cb5d31208d9f7314aa4e17ca7";
        let subscription = Subscription {
            id: 1,
            viewer: citizen(1),
            fields: Some(fields),
            schema: SchemaVersion::NEWEST,
            names_sources: false,
            cursor: Some(cursor.to_owned()),
            followed_before: false,
            outlet,
        };
        assert_eq!(harness.ask(async move { profiles.subscribe(user(1), subscription).await }).await, Ok(()));
        let frames = frames(&mut receiver);
        assert_eq!((frames[0].message.cursor(), frames[0].reset), (Some(cursor), false));
    });
}
