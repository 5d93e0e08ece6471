//! Kills at a chosen step of an erasure.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::person::{Action, Api, Person};
use super::progress::{Progress, progress};
use crate::disk::Disk;
use crate::harness::{Harness, Server};

/// How long the server is waited for, which its disk kills.
const PATIENCE: Duration = Duration::from_secs(5);

/// A moment of an action: a write or a sync of a file, as [`Disk::kill_at_file`] counts them.
struct Target {
    action: Action,
    file: &'static str,
    call: u64,
    /// How far the action has come then.
    progress: Progress,
}

const fn target(action: Action, file: &'static str, call: u64, progress: Progress) -> Target {
    Target { action, file, call, progress }
}

/// Each change of the registry is a write and a sync. An erasure makes four: the job, the job with the tombstone, the receipt
/// and the removal. Of a write at which the server is killed, a half is done.
const TARGETS: [Target; 12] = [
    target(Action::Schedule, "/registry$", 1, Progress::Living),
    target(Action::Schedule, "/registry$", 2, Progress::Scheduled),
    target(Action::Undo, "/registry$", 1, Progress::Scheduled),
    target(Action::Undo, "/registry$", 2, Progress::Living),
    target(Action::Erase, "/registry$", 1, Progress::Living),
    target(Action::Erase, "/audit/compliance", 1, Progress::Begun),
    target(Action::Erase, "/journal/", 1, Progress::Recorded),
    target(Action::Erase, "/registry$", 3, Progress::Ended),
    target(Action::Erase, "/keyring$", 1, Progress::Noted),
    target(Action::Erase, "/registry$", 5, Progress::Forgotten),
    target(Action::Erase, "/registry$", 7, Progress::Proved),
    target(Action::Erase, "/registry$", 8, Progress::Erased),
];

/// Kills at each target in turn. What else the server writes may come first, so that a target is missed: it is tried again.
#[derive(Default)]
pub(super) struct Targets {
    /// How often the server was killed at each, by place.
    met: BTreeMap<usize, usize>,
    tries: usize,
}

impl Targets {
    /// Returns whether the server was killed at each of them.
    pub(super) fn are_met(&self) -> bool {
        self.met.len() == TARGETS.len()
    }

    pub(super) fn summary(&self) -> String {
        let counts = TARGETS.iter().enumerate().map(|(place, target)| {
            let count = self.met.get(&place).copied().unwrap_or(0);
            format!("{:?} {:?} {count}", target.action, target.progress)
        });
        format!("{} kills at chosen moments: {}", self.tries, counts.collect::<Vec<_>>().join(", "))
    }

    /// Has a person register anew, undo an erasure, and then be erased, or what else the next target is about, until the server
    /// is killed. Before, there were so many receipts.
    pub(super) fn kill(
        &mut self,
        (harness, disk, server): (&Harness, &Disk, Server),
        api: &mut Api,
        person: &mut Person,
        receipts_before: usize,
    ) {
        let missing = (0..TARGETS.len()).find(|place| !self.met.contains_key(place));
        let place = missing.unwrap_or(self.tries % TARGETS.len());
        let target = &TARGETS[place];
        self.tries += 1;
        if !target.prepare(person, api).expect("an answer") {
            // Something is in doubt, which the next start decides.
            return;
        }
        disk.kill_at_file(target.file, target.call);
        // The server is gone before it answers.
        let _ = person.attempt(target.action, api);
        let is_killed = server.wait_until_killed(PATIENCE);
        disk.kill_at(0);
        if is_killed && progress(harness, person.user(), receipts_before) == target.progress {
            *self.met.entry(place).or_default() += 1;
        }
    }
}

impl Target {
    /// Brings the person to where the action begins. Returns whether nothing is in doubt.
    fn prepare(&self, person: &mut Person, api: &mut Api) -> io::Result<bool> {
        let is_ready = person.prepare(api)?;
        if is_ready && self.action == Action::Undo {
            person.attempt(Action::Schedule, api)?;
        }
        Ok(is_ready && person.is_certain())
    }
}
