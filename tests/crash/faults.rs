//! A disk that is full, or whose sync fails: no false acknowledgement, clear health, recovery when it works again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::disk::Disk;
use crate::feed::{self, Event, Fate, Mint};
use crate::harness::{Place, Server};
use crate::ledger::Ledger;
use crate::load::Load;
use crate::{seeded, verify};

/// One server on a disk that fails on command, and one client.
struct World {
    disk: Disk,
    place: Place,
    token: String,
    mint: Arc<Mint>,
    ledger: Ledger,
}

impl World {
    fn new(settings: impl FnOnce(Place) -> Place) -> Self {
        let (disk, place) = Disk::under(settings(Place::new()));
        let token = verify::feeder(&place);
        Self { disk, place, token, mint: Arc::new(Mint::new(2, 20)), ledger: Ledger::default() }
    }

    /// An event that would change the first hot user.
    fn event(&self) -> Arc<Event> {
        Arc::new(self.mint.change(&self.mint.hot()[0]))
    }

    /// Posts an event that has to be applied.
    #[track_caller]
    fn applied(&mut self, client: &mut Client) {
        let event = self.event();
        let fate = feed::post(client, &event).expect("an answer");
        assert!(matches!(fate, Fate::Applied { .. }), "{fate:?}");
        self.ledger.enter([(event, fate)]);
    }

    /// Posts an event that has to be refused for now.
    #[track_caller]
    fn refused(&mut self, client: &mut Client) {
        let event = self.event();
        let response = feed::post_raw(client, &event).expect("an answer");
        assert_eq!(response.status, 503, "{response:?}");
        assert!(response.headers.contains_key("retry-after"), "{response:?}");
        self.ledger.enter([(event, Fate::Unknown)]);
    }

    /// Reads go on, and show what was acknowledged, no more.
    #[track_caller]
    fn reads(&self, client: &mut Client) {
        let user = &self.mint.hot()[0];
        let profile = feed::profile(client, user).expect("a profile");
        let acknowledged = self.ledger.users().find(|(known, _)| *known == user).map(|(_, highest)| highest);
        assert_eq!(profile["revision"].as_u64(), acknowledged);
    }

    /// After a kill, on a disk that works.
    fn starts_again(&mut self, server: Server) {
        server.kill();
        self.disk.mend();
        let server = self.place.start();
        verify::recovered(&server, &self.token, &self.mint, &mut self.ledger);
        assert_eq!(server.readiness(), 200);
    }
}

#[test]
fn a_full_disk_is_said_and_passes() {
    let mut world = World::new(|place| place);
    let server = world.place.start();
    let mut client = server.client(&world.token);
    world.applied(&mut client);
    assert_eq!(server.readiness(), 200);

    world.disk.fill();
    world.refused(&mut client);
    world.refused(&mut client);
    assert!(world.disk.failed_writes() > 0, "the server met the full disk");
    assert_ne!(server.readiness(), 200);
    world.reads(&mut client);

    world.disk.mend();
    world.applied(&mut client);
    assert_eq!(server.readiness(), 200);
    world.reads(&mut client);
    world.starts_again(server);
}

#[test]
fn one_failed_sync_loses_nothing() {
    let mut world = World::new(|place| place);
    let server = world.place.start();
    let mut client = server.client(&world.token);
    for _ in 0..3 {
        world.applied(&mut client);
        let before = world.disk.failed_syncs();
        world.disk.fail_one_sync();
        world.applied(&mut client);
        assert_eq!(world.disk.failed_syncs(), before + 1, "the server met the failure");
        world.applied(&mut client);
        assert_eq!(server.readiness(), 200);
        world.reads(&mut client);
    }
    world.starts_again(server);
}

#[test]
fn syncs_that_fail_for_ever_end_writing_until_a_restart() {
    let mut world = World::new(|place| place);
    let server = world.place.start();
    let mut client = server.client(&world.token);
    world.applied(&mut client);

    world.disk.fail_syncs();
    world.refused(&mut client);
    assert!(world.disk.failed_syncs() > 0, "the server met the failure");
    world.refused(&mut client);
    assert_ne!(server.readiness(), 200);
    world.reads(&mut client);

    // Nobody knows what the kernel dropped meanwhile.
    world.disk.mend();
    world.refused(&mut client);
    assert_ne!(server.readiness(), 200);
    world.reads(&mut client);
    world.starts_again(server);
}

#[test]
fn a_disk_that_fails_again_and_again_under_load_makes_no_acknowledgement_false() {
    let mut random = seeded("failing_disk");
    // The checkpoints meet the failures, too.
    let mut world = World::new(|place| place.with("checkpoint.interval_s", 1).with("checkpoint.journal_bytes", 50_000));
    for _ in 0..3 {
        let server = world.place.start();
        verify::recovered(&server, &world.token, &world.mint, &mut world.ledger);
        let load = Load::start(&server, &world.token, &world.mint, 2, 1, &mut random);
        for _ in 0..6 {
            if random.one_in(2) {
                world.disk.fill()
            } else {
                world.disk.fail_one_sync()
            }
            std::thread::sleep(Duration::from_millis(10 + random.below(60) as u64));
            world.disk.mend();
            std::thread::sleep(Duration::from_millis(10 + random.below(120) as u64));
        }
        let killed = Instant::now();
        server.kill();
        world.ledger.enter(load.finish(killed));
    }
    assert!(world.disk.failed_writes() > 0 && world.disk.failed_syncs() > 0, "the server met failures of both kinds");
    let server = world.place.start();
    verify::recovered(&server, &world.token, &world.mint, &mut world.ledger);
    verify::equals_one_that_never_died(&server, &world.place, &world.mint, &world.ledger, &mut random);
}
