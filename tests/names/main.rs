//! Names of fields that are hidden, unknown or absent cannot be told apart by the work that they cause.
//!
//! A server runs in this process, and what the process allocates for each request is counted. Time is too noisy for a test;
//! a way out for one kind of name saves allocations before it saves time that can be measured. `loadtest` has the attack by
//! time, for whole users.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod counted_server;
#[path = "../support/http.rs"]
#[allow(dead_code, reason = "shared with the server tests, which use other parts")]
mod http;
#[path = "../server/token.rs"]
#[allow(dead_code, reason = "shared with the server tests, which use other parts")]
mod token;

use std::alloc::System;
use std::collections::BTreeMap;

use counted_server::{CountedServer, USER};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use token::Token;

/// Counts what is asked for.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often each request is sent, in turns with the others. Most often it costs the same; upkeep, which runs at any moment,
/// adds to a few.
const ROUNDS: usize = 41;

/// What a request cost: allocations, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    allocations: usize,
    bytes: usize,
}

fn spent() -> Cost {
    let stats = ALLOCATOR.stats();
    let bytes = stats.bytes_allocated.wrapping_add_signed(stats.bytes_reallocated.max(0));
    Cost { allocations: stats.allocations + stats.reallocations, bytes }
}

/// Returns what each request costs most often. They are sent in turns over one connection.
fn costs(server: &CountedServer, requests: &[Vec<u8>], status: &str) -> Vec<Cost> {
    let mut connection = server.connect();
    let mut counts: Vec<BTreeMap<Cost, usize>> = vec![BTreeMap::new(); requests.len()];
    for round in 0..ROUNDS + 3 {
        for (request, counts) in requests.iter().zip(&mut counts) {
            let before = spent();
            connection.exchange(request);
            let after = spent();
            assert!(connection.response().starts_with(status), "{}", connection.response());
            // The first ones open what later ones reuse.
            if round >= 3 {
                let (allocations, bytes) = (after.allocations - before.allocations, after.bytes - before.bytes);
                *counts.entry(Cost { allocations, bytes }).or_default() += 1;
            }
        }
    }
    let usual = |counts: &BTreeMap<Cost, usize>| *counts.iter().max_by_key(|(_, count)| **count).unwrap().0;
    counts.iter().map(usual).collect()
}

/// Asserts that the same request for different names costs the same.
#[track_caller]
fn assert_alike(server: &CountedServer, token: &str, status: &str, paths: &[(&str, String)]) {
    // All requests are of one length, so that their buffers are.
    let longest = paths.iter().map(|(_, path)| path.len()).max().unwrap();
    let padded = |path: &String| format!("{path}&pad={}", "x".repeat(longest - path.len()));
    let requests: Vec<_> = paths.iter().map(|(_, path)| server.request(&padded(path), token)).collect();
    let found = costs(server, &requests, status);
    for ((what, path), cost) in paths.iter().zip(&found) {
        let (first, usual) = (&paths[0].0, found[0]);
        assert_eq!(*cost, usual, "{what} ({path}) is told from {first} by what it costs");
    }
    assert!(found[0].allocations > 0, "the server is in this process");
}

fn profile(user: &str) -> String {
    format!("/api/v2/profile/{user}")
}

fn metadata(user: &str, id: &str, time: &str, fields: Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/engines/metadata", "type": "user.metadata.updated", "subject": user,
        "time": time, "data": {"fields": fields},
    })
}

/// Posts the example citizen, without a state and a tax regime, and with minimal consent.
fn post_example(server: &CountedServer) {
    for line in data::example_events().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let source = event["source"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        server.post(&source, &event);
    }
    let withdrawn = json!({"demographics": {"residency_years": null}, "economic": {"tax_regime": null}});
    server.post("metadata", &metadata(USER, "withdrawn", "2026-01-20T08:00:00Z", withdrawn));
    server.post("self", &json!({
        "specversion": "1.0", "id": "withdrawn", "source": "/engines/self", "type": "user.profile.edited", "subject": USER,
        "time": "2026-01-20T08:00:00Z", "data": {"fields": {"demographics": {"residency_years": null}}},
    }));
    server.consent(USER, "minimal");
}

/// Returns the whole profile, as an administrator sees it.
fn whole(server: &CountedServer, user: &str) -> Value {
    server.get(&profile(user), Token::new("admin", "adm:a", "profile:read")).json()
}

/// A citizen with a visible and a hidden value. The hidden one of `field` changes in the last of three revisions.
fn post_changed(server: &CountedServer, user: &str, field: &str, [before, after]: [&str; 2]) {
    server.post(
        "metadata",
        &metadata(user, "first", "2026-01-10T06:00:00Z", json!({"demographics": {"urban_rural": "urban"}})),
    );
    for (id, time, value) in [("before", "2026-01-10T06:00:01Z", before), ("after", "2026-01-10T06:00:02Z", after)] {
        server.post("metadata", &metadata(user, id, time, json!({"economic": {field: value}})));
    }
}

#[test]
fn hidden_unknown_and_absent_names_cost_the_same() {
    let server = CountedServer::start();
    post_example(&server);
    let known = whole(&server, USER);
    assert!(
        known["economic"]["income_bracket"].is_string() && known["economic"].get("tax_regime").is_none(),
        "{known}"
    );
    assert!(known["demographics"].get("residency_years").is_none(), "{known}");

    // `fields`, of a service that sees the state, the age and the years of residency.
    let service = server.sign(Token::service("profile:read"));
    let names = |path: &dyn Fn(&str, &str) -> String| {
        [
            ("a hidden value", path("economic", "income_bracket")),
            ("a hidden value of a list", path("eligibility", "eligible_schemes")),
            ("a hidden name without a value", path("economic", "tax_regime")),
            ("an unknown name", path("economic", "nothing")),
            ("an unknown section", path("nothing", "income_bracket")),
            ("a visible name without a value", path("demographics", "residency_years")),
        ]
    };
    let fields = names(&|section, name| format!("{}?fields={section}.{name}", profile(USER)));
    assert_alike(&server, &service, "HTTP/1.1 200", &fields);

    // `explain`, of a citizen from whom the access table hides all but three fields.
    let own = server.sign(Token::citizen(USER));
    let explained = names(&|section, name| format!("{}/explain?path=/{section}/{name}", profile(USER)));
    assert_alike(&server, &own, "HTTP/1.1 404", &explained);

    // `access`, of profiles that have hidden values, and of one that has none.
    let empty = "usr_NobodyElse0001";
    server.consent(empty, "minimal");
    let access = |user| format!("{}/access?", profile(user));
    let of_whom = [("a profile with hidden values", access(USER)), ("a profile without", access(empty))];
    assert_alike(&server, &service, "HTTP/1.1 200", &of_whom);

    // `diff`, of revisions between which one hidden value has changed or another.
    let diff = |number: u32, field, values| {
        let user = format!("usr_NobodyElse{number:04}");
        post_changed(&server, &user, field, values);
        let newest = whole(&server, &user)["revision"].as_u64().unwrap();
        format!("{}/diff?from={}&to={newest}", profile(&user), newest - 1)
    };
    // How long each revision took is a figure of any length, for which a buffer may grow once more: answers of one length are
    // compared. The bytes differ all the same.
    let length = |path: &String| server.get(path, Token::service("profile:read")).body.len();
    let mut pairs = (2..42).step_by(2).map(|number| {
        [diff(number, "tax_regime", ["old", "new"]), diff(number + 1, "ration_card_type", ["APL", "BPL"])]
    });
    let pair = pairs.find(|[one, other]| length(one) == length(other)).expect("two of one length");
    let requests = pair.map(|path| server.request(&path, &service));
    let [one, other] = costs(&server, &requests, "HTTP/1.1 200")[..] else { unreachable!("two requests") };
    assert_eq!(
        one.allocations, other.allocations,
        "which hidden value has changed is told by what the difference costs"
    );
}
