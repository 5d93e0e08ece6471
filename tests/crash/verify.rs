//! What must hold after every restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::client::Client;
use crate::feed::{self, Event, EventGenerator, Outcome};
use crate::harness::{Harness, Server};
use crate::ledger::Ledger;
use crate::load::by_source;
use crate::random::Random;

/// Returns a token of a service that may write every feed and read profiles.
pub(crate) fn feeder(harness: &Harness) -> String {
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
    harness.token("svc:feeder", "service", &format!("{} profile:read", scopes.join(" ")))
}

/// Compares a server that was just started with the ledger, and finds out every unknown outcome by sending again.
pub(crate) fn recovered(server: &Server, token: &str, generator: &EventGenerator, ledger: &mut Ledger) {
    let mut client = server.client(token);
    let heads = heads(&mut client, ledger);
    for (user, acknowledged) in ledger.users() {
        let head = heads[user];
        assert!(head >= acknowledged, "{user} is at revision {head}, but {acknowledged} was acknowledged");
    }

    let (there, unknown) = ledger.open();
    resend(&mut client, there, |event, outcome| ledger.confirm(event, outcome));
    let mut applied = BTreeMap::<Arc<str>, Vec<u64>>::new();
    resend(&mut client, unknown, |event, outcome| {
        ledger.confirm(event, outcome);
        if let Outcome::Applied { revision } = outcome {
            applied.entry(event.user.clone()).or_default().push(revision);
        }
    });
    for user in generator.hot() {
        let event = Arc::new(generator.change(user));
        let outcome = feed::post(&mut client, &event).expect("an answer");
        let Outcome::Applied { revision } = outcome else { panic!("{} is {outcome:?}", event.line) };
        ledger.enter([(event, outcome)]);
        applied.entry(user.clone()).or_default().push(revision);
    }
    // New revisions begin after the head, without a gap.
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

/// Sends events again until none is busy, and calls `on_outcome` with each outcome.
fn resend(client: &mut Client, mut events: Vec<Arc<Event>>, mut on_outcome: impl FnMut(&Arc<Event>, Outcome)) {
    for _ in 0..100 {
        let mut again = Vec::new();
        for events in by_source(events).into_values() {
            for events in events.chunks(500) {
                let mut outcomes = vec![Outcome::Unknown; events.len()];
                feed::stream(client, events, |index, outcome| outcomes[index] = outcome).expect("answers");
                for (event, outcome) in events.iter().zip(outcomes) {
                    on_outcome(event, outcome);
                    again.extend((outcome == Outcome::Unknown).then(|| event.clone()));
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

/// Returns the revision of every user; 0 for a user without a profile.
fn heads(client: &mut Client, ledger: &Ledger) -> BTreeMap<Arc<str>, u64> {
    let revision = |profile: Value| profile["revision"].as_u64().expect("a revision");
    let mut head = |user: &str| feed::profile(client, user).map_or(0, revision);
    ledger.users().map(|(user, _)| (user.clone(), head(user))).collect()
}

/// Compares with a server that was never killed and receives the same events in another order: assembly is order-free,
/// so the profiles are the same.
pub(crate) fn equals_an_undisturbed_server(
    server: &Server,
    harness: &Harness,
    generator: &EventGenerator,
    ledger: &Ledger,
    random: &mut Random,
) {
    let undisturbed_harness = Harness::new();
    let undisturbed = undisturbed_harness.start();
    let mut events = ledger.all();
    random.shuffle(&mut events);
    let mut client = undisturbed.client(&feeder(&undisturbed_harness));
    resend(&mut client, events, |_, _| {});

    let (mut survivor, mut undisturbed_client) =
        (server.client(&feeder(harness)), undisturbed.client(&feeder(&undisturbed_harness)));
    for (user, _) in ledger.users() {
        let expected = document(&mut undisturbed_client, user);
        assert_eq!(document(&mut survivor, user), expected, "{user}, as a service sees it");
    }
    for user in generator.hot() {
        let mut survivor = server.client(&harness.token(user, "self", ""));
        let mut undisturbed_client = undisturbed.client(&undisturbed_harness.token(user, "self", ""));
        let expected = document(&mut undisturbed_client, user);
        assert_ne!(expected, None, "{user}");
        assert_eq!(document(&mut survivor, user), expected, "{user}, as the citizen sees it");
    }
}

/// Returns the profile in canonical form (RFC 8785), without the envelope.
fn document(client: &mut Client, user: &str) -> Option<String> {
    let mut profile = feed::profile(client, user)?;
    let members = profile.as_object_mut().expect("an object");
    for name in ["schema_version", "profile_id", "revision", "generated_at", "assembly_latency_ms", "profile_hash"] {
        assert!(members.remove(name).is_some(), "{name} of {user}");
    }
    Some(serde_json_canonicalizer::to_string(&profile).expect("canonical form"))
}
