//! A disk that is full, or whose syncs fail: no acknowledgement is false, `/health/ready` reports it, and the server
//! recovers when the disk works again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::disk::Disk;
use crate::feed::{self, Event, EventGenerator, Outcome};
use crate::harness::{Harness, Server};
use crate::ledger::Ledger;
use crate::load::Load;
use crate::{seeded, verify};

/// One server on a disk that fails on command, and one client.
struct Fixture {
    disk: Disk,
    harness: Harness,
    token: String,
    generator: Arc<EventGenerator>,
    ledger: Ledger,
}

impl Fixture {
    fn new(settings: impl FnOnce(Harness) -> Harness) -> Self {
        let (disk, harness) = Disk::under(settings(Harness::new()));
        let token = verify::feeder(&harness);
        Self { disk, harness, token, generator: Arc::new(EventGenerator::new(2, 20)), ledger: Ledger::default() }
    }

    /// Returns an event that would change the first hot user.
    fn event(&self) -> Arc<Event> {
        Arc::new(self.generator.change(&self.generator.hot()[0]))
    }

    /// Posts an event that must be applied.
    #[track_caller]
    fn applied(&mut self, client: &mut Client) {
        let event = self.event();
        let outcome = feed::post(client, &event).expect("an answer");
        assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
        self.ledger.enter([(event, outcome)]);
    }

    /// Posts an event that must be refused for now.
    #[track_caller]
    fn refused(&mut self, client: &mut Client) {
        let event = self.event();
        let response = feed::post_raw(client, &event).expect("an answer");
        assert_eq!(response.status, 503, "{response:?}");
        assert!(response.headers.contains_key("retry-after"), "{response:?}");
        self.ledger.enter([(event, Outcome::Unknown)]);
    }

    /// Checks that reads still work and show exactly what was acknowledged.
    #[track_caller]
    fn reads(&self, client: &mut Client) {
        let user = &self.generator.hot()[0];
        let profile = feed::profile(client, user).expect("a profile");
        let acknowledged = self.ledger.users().find(|(known, _)| *known == user).map(|(_, highest)| highest);
        assert_eq!(profile["revision"].as_u64(), acknowledged);
    }

    /// Kills the server, starts it on a disk that works, and checks what was acknowledged.
    fn restart_on_working_disk(&mut self, server: Server) {
        server.kill();
        self.disk.repair();
        let server = self.harness.start();
        verify::recovered(&server, &self.token, &self.generator, &mut self.ledger);
        assert_eq!(server.readiness(), 200);
    }
}

#[test]
fn a_full_disk_is_reported_and_writes_go_on_when_there_is_room_again() {
    let mut fixture = Fixture::new(|harness| harness);
    let server = fixture.harness.start();
    let mut client = server.client(&fixture.token);
    fixture.applied(&mut client);
    assert_eq!(server.readiness(), 200);

    fixture.disk.fill();
    fixture.refused(&mut client);
    fixture.refused(&mut client);
    assert!(fixture.disk.failed_writes() > 0, "the server met the full disk");
    assert_ne!(server.readiness(), 200);
    fixture.reads(&mut client);

    fixture.disk.repair();
    fixture.applied(&mut client);
    assert_eq!(server.readiness(), 200);
    fixture.reads(&mut client);
    fixture.restart_on_working_disk(server);
}

#[test]
fn one_failed_sync_loses_nothing() {
    let mut fixture = Fixture::new(|harness| harness);
    let server = fixture.harness.start();
    let mut client = server.client(&fixture.token);
    for _ in 0..3 {
        fixture.applied(&mut client);
        let before = fixture.disk.failed_syncs();
        fixture.disk.fail_one_sync();
        fixture.applied(&mut client);
        assert_eq!(fixture.disk.failed_syncs(), before + 1, "the server met the failure");
        fixture.applied(&mut client);
        assert_eq!(server.readiness(), 200);
        fixture.reads(&mut client);
    }
    fixture.restart_on_working_disk(server);
}

#[test]
fn syncs_that_fail_for_ever_end_writing_until_a_restart() {
    let mut fixture = Fixture::new(|harness| harness);
    let server = fixture.harness.start();
    let mut client = server.client(&fixture.token);
    fixture.applied(&mut client);

    fixture.disk.fail_syncs();
    fixture.refused(&mut client);
    assert!(fixture.disk.failed_syncs() > 0, "the server met the failure");
    fixture.refused(&mut client);
    assert_ne!(server.readiness(), 200);
    fixture.reads(&mut client);

    // The kernel may have dropped pages meanwhile, so writes stay refused.
    fixture.disk.repair();
    fixture.refused(&mut client);
    assert_ne!(server.readiness(), 200);
    fixture.reads(&mut client);
    fixture.restart_on_working_disk(server);
}

#[test]
fn a_disk_that_fails_again_and_again_under_load_makes_no_acknowledgement_false() {
    let mut random = seeded("failing_disk");
    // The failures also affect checkpoints.
    let mut fixture =
        Fixture::new(|harness| harness.with("checkpoint.interval_s", 1).with("checkpoint.journal_bytes", 50_000));
    for _ in 0..3 {
        let server = fixture.harness.start();
        verify::recovered(&server, &fixture.token, &fixture.generator, &mut fixture.ledger);
        let load = Load::start(&server, &fixture.token, &fixture.generator, 2, 1, &mut random);
        for _ in 0..6 {
            if random.one_in(2) {
                fixture.disk.fill()
            } else {
                fixture.disk.fail_one_sync()
            }
            std::thread::sleep(Duration::from_millis(10 + random.below(60) as u64));
            fixture.disk.repair();
            std::thread::sleep(Duration::from_millis(10 + random.below(120) as u64));
        }
        let killed = Instant::now();
        server.kill();
        fixture.ledger.enter(load.finish(killed));
    }
    assert!(
        fixture.disk.failed_writes() > 0 && fixture.disk.failed_syncs() > 0,
        "the server met failures of both kinds"
    );
    let server = fixture.harness.start();
    verify::recovered(&server, &fixture.token, &fixture.generator, &mut fixture.ledger);
    verify::equals_an_undisturbed_server(&server, &fixture.harness, &fixture.generator, &fixture.ledger, &mut random);
}
