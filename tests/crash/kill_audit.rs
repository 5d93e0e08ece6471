//! SIGKILL while administrators read: every answer that arrived has its entry in the audit log.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::disk::Disk;
use crate::feed::{self, EventGenerator};
use crate::harness::{Harness, Server};
use crate::{print_line, seeded, verify};

const KILLS: usize = 8;
const CLIENTS: u64 = 4;
/// Reads of one administrator, which stay below the limit of a minute.
const READS: u64 = 80;

/// Makes a user and returns the path of its profile.
fn make_user(server: &Server, harness: &Harness) -> String {
    let generator = EventGenerator::new(1, 1);
    let event = generator.change(&generator.hot()[0]);
    let mut client = server.client(&verify::feeder(harness));
    feed::post(&mut client, &event).expect("an answer");
    format!("/api/v2/profile/{}", generator.hot()[0])
}

/// Returns the reasons in the compliance entries of the audit log.
fn recorded(harness: &Harness) -> BTreeSet<String> {
    let names = std::fs::read_dir(harness.data_dir().join("audit")).expect("the audit log");
    let paths = names.map(|item| item.expect("an item").path());
    let is_segment = |path: &std::path::PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        name.starts_with("compliance-") && name.ends_with(".log")
    };
    let text = paths.filter(is_segment).map(|path| std::fs::read_to_string(path).expect("a segment"));
    let text: String = text.collect();
    let reasons = text.split("\"reason\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    reasons.map(str::to_owned).collect()
}

#[test]
fn a_killed_server_loses_no_entry_of_a_read_that_it_answered() {
    let mut random = seeded("kill_audit");
    let harness = Harness::new();
    let path = make_user(&harness.start(), &harness);
    let (next, mut answered) = (AtomicU64::new(0), BTreeSet::new());
    for round in 0..KILLS {
        let tokens: Vec<_> = (0..CLIENTS)
            .map(|client| harness.token(&format!("adm:{round}-{client}"), "admin", "profile:read"))
            .collect();
        let server = harness.start();
        let reads = std::thread::scope(|scope| {
            let readers: Vec<_> = tokens
                .iter()
                .map(|token| {
                    let (mut client, next, path) = (server.client(token), &next, &path);
                    scope.spawn(move || {
                        let mut answered = Vec::new();
                        for _ in 0..READS {
                            let reason = format!("read {}", next.fetch_add(1, Ordering::Relaxed));
                            match client.get_with_reason(path, &reason) {
                                Ok(response) if response.status == 200 => answered.push(reason),
                                // The limit of a second.
                                Ok(response) if response.status == 429 => {}
                                Ok(response) => panic!("{response:?}"),
                                Err(_) => break,
                            }
                        }
                        answered
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(20 + random.below(150) as u64));
            server.kill();
            readers.into_iter().flat_map(|reader| reader.join().expect("a reader")).collect::<Vec<_>>()
        });
        answered.extend(reads);
        drop(harness.start());
        let recorded = recorded(&harness);
        let lost: Vec<_> = answered.difference(&recorded).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
    }
    assert!(!answered.is_empty());
    print_line(&format!("{KILLS} kills: {} reads were answered, and all are recorded", answered.len()));
    harness.verify_audit();
}

#[test]
fn a_read_that_cannot_be_recorded_is_refused() {
    let (disk, harness) = Disk::under(Harness::new());
    let server = harness.start();
    let path = make_user(&server, &harness);
    let mut client = server.client(&harness.token("adm:asha", "admin", "profile:read"));
    assert_eq!(client.get_with_reason(&path, "before").expect("an answer").status, 200);
    disk.fill();
    let refused = client.get_with_reason(&path, "while it is full").expect("an answer");
    assert_eq!((refused.status, refused.text().contains("revision")), (503, false), "{refused:?}");
    disk.repair();
    assert_eq!(client.get_with_reason(&path, "after").expect("an answer").status, 200);
    disk.fail_one_sync();
    assert_eq!(client.get_with_reason(&path, "while syncs fail").expect("an answer").status, 503);
    disk.repair();
    assert_eq!(client.get_with_reason(&path, "at last").expect("an answer").status, 200);
    let recorded = recorded(&harness);
    assert_eq!(recorded.iter().map(String::as_str).collect::<Vec<_>>(), ["after", "at last", "before"]);
    harness.verify_audit();
}
