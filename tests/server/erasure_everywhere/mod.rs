//! People are erased one after another while everything else goes on: feeds, reads of every kind, simulations, subscribers,
//! followers, exports, snapshots and checkpoints. Every person has values that nobody else has, and once the erasure of a life is
//! acknowledged, nothing that is asked for shows them.

mod callers;
mod people;
mod streams;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use domain::splitmix64;
use serde_json::Value;
use tempfile::TempDir;

use self::callers::{Caller, admin, check_file, download, start_export, state_of_export};
use self::people::{
    Fate, FeedLine, Ledger, PEOPLE, ahead, by_feed, first_events, is_ahead, markers, registration, user,
};
use crate::erasure::{delete, fresh};
use crate::http::{Request, Response};
use crate::test_server::{
    PROGRAM, TestServer, eventually, print_figure, profile_path, start_on, start_server, start_server_with,
};
use crate::token::Token;

const SEED: u64 = 20_261_130;
/// Checkpoints go on, too. The journal keeps what a late follower reads.
const SETTINGS: &str = "[checkpoint]\ninterval_s = 1\n[events]\nmax_followers_per_caller = 8\n";

/// Sets a flag also if the test fails, so that the threads of the test end.
struct Stop<'f>(&'f AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Posts events until none of them is answered with `busy`.
#[track_caller]
fn post_all(server: &TestServer, events: &[FeedLine]) {
    for (feed, lines) in by_feed(events) {
        for lines in lines.chunks(2_000) {
            eventually("no event is busy", || {
                let answer = server.post_as(feed, "application/x-ndjson", lines.join("\n") + "\n");
                let total = answer.lines().pop().unwrap();
                assert_eq!((answer.status, &total["rejected"]), (200, &Value::from(0)), "{answer:?}");
                total["busy"] == 0
            });
        }
    }
}

/// Makes everybody, and returns a copy of the data directory from before anybody is erased.
fn populate(ledger: &Ledger) -> (TestServer, TempDir) {
    let server = start_server_with(SETTINGS);
    let mut events = Vec::new();
    for number in 0..PEOPLE {
        let mut own = vec![registration(number, 1)];
        own.extend(is_ahead(number).then(|| ahead(number)));
        own.extend(first_events(number, 1));
        ledger.send(number, 1, &own);
        events.extend(own);
    }
    post_all(&server, &events);
    let (status, data_dir) = server.terminate();
    assert!(status.success());
    let copy = TempDir::new().unwrap();
    copy_directory(data_dir.path(), copy.path());
    (start_on(data_dir), copy)
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy_directory(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Erases a life of a person. Old events stay refused, also one that is ahead of the clock.
fn erase(server: &TestServer, ledger: &Ledger, number: usize, life: u32) {
    ledger.set_life(number, 0);
    let token = if number % 4 == 2 { admin() } else { Token::citizen(&user(number)) };
    let answer = delete(server, &profile_path(&user(number)), fresh(token.clone()));
    assert_eq!((answer.status, &answer.json()["generation"]), (200, &Value::from(life)), "{answer:?}");
    ledger.end(number, life);
    let mut old = vec![registration(number, life)];
    old.extend(is_ahead(number).then(|| ahead(number)));
    for (feed, event) in old {
        let refused = server.post(feed, event.to_string());
        assert_eq!((refused.status, refused.problem().as_str()), (410, "erased"), "{event}: {refused:?}");
    }
    if number % 8 == 2 {
        let again = delete(server, &profile_path(&user(number)), fresh(token));
        assert_eq!(again.body, answer.body, "the same receipt");
    }
}

/// Registers somebody anew who was erased. Revisions go on.
fn register(server: &TestServer, ledger: &Ledger, number: usize, revision_before: u64) {
    let events = [vec![registration(number, 2)], first_events(number, 2)].concat();
    ledger.send(number, 2, &events);
    for (feed, event) in &events {
        server.apply(feed, event);
    }
    ledger.set_life(number, 2);
    assert!(revision(server, number) > revision_before);
}

fn revision(server: &TestServer, number: usize) -> u64 {
    server.own_profile(&user(number)).json()["revision"].as_u64().unwrap()
}

/// Erases everybody whose fate it is, in a random order.
fn erase_all(server: &TestServer, ledger: &Ledger) -> usize {
    let mut order: Vec<usize> = (0..PEOPLE).filter(|number| Fate::of(*number) != Fate::Stays).collect();
    let mut random = SEED;
    order.sort_by_cached_key(|_| splitmix64::next(&mut random));
    for number in &order {
        let before = revision(server, *number);
        erase(server, ledger, *number, 1);
        if matches!(Fate::of(*number), Fate::Returns | Fate::GoesTwice) {
            register(server, ledger, *number, before);
        }
    }
    let twice: Vec<_> = order.iter().filter(|number| Fate::of(**number) == Fate::GoesTwice).collect();
    twice.iter().for_each(|number| erase(server, ledger, **number, 2));
    order.len() + twice.len()
}

/// Returns a profile without its envelope.
#[track_caller]
fn document(server: &TestServer, number: usize) -> String {
    let mut profile = server.own_profile(&user(number)).json();
    let members = profile.as_object_mut().unwrap();
    let envelope = ["schema_version", "profile_id", "revision", "generated_at", "assembly_latency_ms", "profile_hash"];
    assert!(envelope.into_iter().all(|name| members.remove(name).is_some()));
    members.remove("_meta");
    serde_json_canonicalizer::to_string(&profile).unwrap()
}

/// Compares those who are there with a server that has only their events. Everybody else is gone.
fn check_the_living(server: &TestServer, reference: &TestServer) {
    for number in 0..PEOPLE {
        match Fate::of(number).last_life() {
            Some(life) => {
                let own = document(server, number);
                assert_eq!(own, document(reference, number));
                assert!(markers(own.as_bytes()).iter().all(|found| *found == (number, life)), "{own}");
            }
            None => {
                let third_party = Token::service("profile:read third_party");
                for (token, status) in [(Token::citizen(&user(number)), 410), (admin(), 410), (third_party, 404)] {
                    let request = Request::new("GET", profile_path(&user(number))).bearer(&server.sign(token));
                    let answer = server.send(request.header("x-access-reason", "a test"));
                    assert_eq!(answer.status, status, "{answer:?}");
                }
            }
        }
    }
}

/// Runs a command of the program on a data directory that no server uses. It must succeed.
#[track_caller]
fn command(name: &str, data_dir: &Path) -> String {
    let output = Command::new(PROGRAM).arg(name).arg("--data-dir").arg(data_dir).output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Checks that no file has a value as plain text.
fn check_files(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            check_files(&path);
        } else {
            assert_eq!(markers(&fs::read(&path).unwrap()), [], "{}", path.display());
        }
    }
}

/// Reads everything that the server can still open, and checks that nothing is of a life that was erased.
fn check_everything_that_opens(server: &TestServer, ledger: &Ledger) {
    let asked = Instant::now();
    let check = |what: &str, answer: &Response| ledger.check(asked, what, &answer.body);
    for number in (0..PEOPLE).filter(|number| Fate::of(*number).last_life().is_some()) {
        for tail in ["", "/export-data", "/history?limit=200", "/snapshots", "?include=provenance"] {
            let path = format!("{}{tail}", profile_path(&user(number)));
            let answer = server.get(&path, Token::citizen(&user(number)));
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            check(&path, &answer);
        }
    }
    for feed in ["identity", "eligibility", "deadlines"] {
        check(feed, &server.get(&format!("/api/v2/feeds/{feed}/rejected"), Token::service(&format!("feed:{feed}"))));
    }
    check("the audit log", &server.get("/api/v2/audit?limit=200", Token::new("auditor", "aud:a", "")));
}

fn followers() -> [Token; 2] {
    [
        Token::service("events:read profile:read ai_context third_party"),
        Token::new("admin", "adm:follower", "events:read profile:read"),
    ]
}

#[test]
fn nothing_of_an_erased_life_is_shown_whatever_goes_on_meanwhile() {
    let ledger = Ledger::new();
    let (server, before) = populate(&ledger);
    let first_job = start_export(&server);
    eventually("the export is done", || state_of_export(&server, &first_job)["state"] == "done");
    let everybody_erased = (0..PEOPLE).filter(|number| Fate::of(*number) != Fate::Stays).count();
    let asked = Instant::now();
    assert_eq!(check_file(&ledger, asked, &download(&server, &first_job)), Some(everybody_erased));

    let (stop, all_erased, ready) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
    let everybody: Vec<usize> = (0..PEOPLE).collect();
    thread::scope(|scope| {
        let (_stop, _all_erased) = (Stop(&stop), Stop(&all_erased));
        let (server, ledger, stop, everybody) = (&server, &ledger, &stop, &everybody[..]);
        let is_ready = || {
            ready.fetch_add(1, Ordering::AcqRel);
        };
        let mut streams = Vec::new();
        let service = Token::service("profile:read ai_context third_party live:many");
        let many = Token::new("admin", "adm:live", "profile:read live:many");
        for (token, slow) in [(service.clone(), None), (many, None), (service, Some(&all_erased))] {
            streams.push(scope.spawn(move || streams::subscribe(server, token, everybody, slow, is_ready)));
        }
        for number in (0..PEOPLE).step_by(10) {
            let token = Token::citizen(&user(number));
            let own = &everybody[number..=number];
            streams.push(scope.spawn(move || streams::subscribe(server, token, own, None, is_ready)));
        }
        for number in (2..PEOPLE).step_by(32) {
            streams.push(scope.spawn(move || {
                streams::listen(server, number, is_ready);
                0
            }));
        }
        for token in followers() {
            streams.push(scope.spawn(move || streams::follow(server, token, "", &|_| {}, is_ready)));
        }
        eventually("all streams have begun", || ready.load(Ordering::Acquire) == streams.len());
        let caller = |random| Caller { server, ledger, stop, random };
        let feeds = [1, 2].map(|seed| scope.spawn(move || caller(SEED + seed).feed()));
        let readers = [3, 4, 5].map(|seed| scope.spawn(move || caller(SEED + seed).read()));
        let exports = scope.spawn(move || caller(SEED).export());

        let begun = Instant::now();
        let erasures = erase_all(server, ledger);
        print_figure("erasures, and how long they took", (erasures, begun.elapsed()));
        all_erased.store(true, Ordering::Release);
        let frames: usize = streams.into_iter().map(|stream| stream.join().unwrap()).sum();
        stop.store(true, Ordering::Release);
        let taken: usize = feeds.into_iter().map(|feed| feed.join().unwrap()).sum();
        let statuses = readers.map(|reader| reader.join().unwrap());
        print_figure("events, frames, and files", (taken, frames, exports.join().unwrap()));
        print_figure("answers of each reader by status", statuses);
        assert!(taken > 0 && frames > 0);
    });
    assert_eq!(check_file(&ledger, Instant::now(), &download(&server, &first_job)), None, "it had rows of the erased");

    let reference = start_server();
    let living = ledger.living_events();
    for server in [&server, &reference] {
        post_all(server, &living);
    }
    check_the_living(&server, &reference);
    let asked = Instant::now();
    for viewer in followers() {
        let check = |text: &[u8]| ledger.check(asked, "a late follower", text);
        streams::follow(&server, viewer, "cursor=oldest", &check, || {});
    }
    let (status, data_dir) = server.terminate();
    assert!(status.success());
    check_files(data_dir.path());
    command("verify-audit", data_dir.path());
    let opened = command("verify-store", data_dir.path());
    let without_key = opened.lines().skip(1).map(|line| line.split_ascii_whitespace().next_back());
    assert!(without_key.eq(std::iter::repeat_n(Some("0"), opened.lines().count() - 1)), "{opened}");

    // What the first copy of the data has of the erased does not open with the keyring of today.
    fs::copy(data_dir.path().join("keyring"), before.path().join("keyring")).unwrap();
    let server = start_on(data_dir);
    check_the_living(&server, &reference);
    check_everything_that_opens(&server, &ledger);
    let restored = start_on(before);
    for number in 0..PEOPLE {
        let status = restored.get(&profile_path(&user(number)), Token::citizen(&user(number))).status;
        assert_eq!(status, if Fate::of(number) == Fate::Stays { 200 } else { 410 }, "{number}");
    }
}
