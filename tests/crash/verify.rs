//! What has to hold after every restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::client::Client;
use crate::feed::{self, Event, Fate, Mint};
use crate::harness::{Place, Server};
use crate::ledger::Ledger;
use crate::load::by_source;
use crate::random::Random;

/// The service that feeds everything and may read a little.
pub(crate) fn feeder(place: &Place) -> String {
    let sources = [
        "identity",
        "metadata",
        "self",
        "eligibility",
        "schemes",
        "deadlines",
        "trust",
        "predictions",
        "analytics",
        "consent",
    ];
    let scopes: Vec<_> = sources.iter().map(|source| format!("feed:{source}")).collect();
    place.token("svc:feeder", "service", &format!("{} profile:read", scopes.join(" ")))
}

/// Checks a server that was just started over what `ledger` knows, and settles what was of unknown fate.
pub(crate) fn recovered(server: &Server, token: &str, mint: &Mint, ledger: &mut Ledger) {
    let mut client = server.client(token);
    let heads = heads(&mut client, ledger);
    for (user, acknowledged) in ledger.users() {
        let head = heads[user];
        assert!(head >= acknowledged, "{user} is at revision {head}, but {acknowledged} was acknowledged");
    }

    let (there, unknown) = ledger.open();
    resend(&mut client, there, |event, fate| ledger.confirm(event, fate));
    let mut applied = BTreeMap::<Arc<str>, Vec<u64>>::new();
    resend(&mut client, unknown, |event, fate| {
        ledger.confirm(event, fate);
        if let Fate::Applied { revision } = fate {
            applied.entry(event.user.clone()).or_default().push(revision);
        }
    });
    for user in mint.hot() {
        let event = Arc::new(mint.change(user));
        let fate = feed::post(&mut client, &event).expect("an answer");
        let Fate::Applied { revision } = fate else { panic!("{} is {fate:?}", event.line) };
        ledger.enter([(event, fate)]);
        applied.entry(user.clone()).or_default().push(revision);
    }
    // Whatever came first went on from the head, and then there was no gap.
    for (user, mut revisions) in applied {
        revisions.sort_unstable();
        let head = heads.get(&user).copied().unwrap_or(0);
        let expected: Vec<u64> = (head + 1..).take(revisions.len()).collect();
        assert_eq!(revisions, expected, "{user} was at {head}");
    }
    for (user, head) in self::heads(&mut client, ledger) {
        ledger.check_head(&user, head);
    }
}

/// Sends events again until none is busy.
fn resend(client: &mut Client, mut events: Vec<Arc<Event>>, mut learn: impl FnMut(&Arc<Event>, Fate)) {
    for _ in 0..100 {
        let mut again = Vec::new();
        for events in by_source(events).into_values() {
            for events in events.chunks(500) {
                let mut fates = vec![Fate::Unknown; events.len()];
                feed::stream(client, events, |index, fate| fates[index] = fate).expect("answers");
                for (event, fate) in events.iter().zip(fates) {
                    learn(event, fate);
                    again.extend((fate == Fate::Unknown).then(|| event.clone()));
                }
            }
        }
        if again.is_empty() {
            return;
        }
        events = again;
    }
    panic!("still busy");
}

/// The revision of every user, 0 for one who is not there.
fn heads(client: &mut Client, ledger: &Ledger) -> BTreeMap<Arc<str>, u64> {
    let revision = |profile: Value| profile["revision"].as_u64().expect("a revision");
    let mut head = |user: &str| feed::profile(client, user).map_or(0, revision);
    ledger.users().map(|(user, _)| (user.clone(), head(user))).collect()
}

/// By the law, a server that never died has the same profiles when it gets the same events in another order.
pub(crate) fn equals_one_that_never_died(
    server: &Server,
    place: &Place,
    mint: &Mint,
    ledger: &Ledger,
    random: &mut Random,
) {
    let calm_place = Place::new();
    let calm = calm_place.start();
    let mut events = ledger.all();
    random.shuffle(&mut events);
    let mut client = calm.client(&feeder(&calm_place));
    resend(&mut client, events, |_, _| {});

    let (mut survivor, mut calm_one) = (server.client(&feeder(place)), calm.client(&feeder(&calm_place)));
    for (user, _) in ledger.users() {
        let expected = document(&mut calm_one, user);
        assert_eq!(document(&mut survivor, user), expected, "{user}, as a service sees it");
    }
    for user in mint.hot() {
        let mut survivor = server.client(&place.token(user, "self", ""));
        let mut calm_one = calm.client(&calm_place.token(user, "self", ""));
        let expected = document(&mut calm_one, user);
        assert_ne!(expected, None, "{user}");
        assert_eq!(document(&mut survivor, user), expected, "{user}, as the citizen sees it");
    }
}

/// The profile in canonical form (RFC 8785), without the envelope.
fn document(client: &mut Client, user: &str) -> Option<String> {
    let mut profile = feed::profile(client, user)?;
    let members = profile.as_object_mut().expect("an object");
    for name in ["schema_version", "profile_id", "revision", "generated_at", "assembly_latency_ms", "profile_hash"] {
        assert!(members.remove(name).is_some(), "{name} of {user}");
    }
    Some(serde_json_canonicalizer::to_string(&profile).expect("canonical form"))
}
