//! What was acknowledged, and the rules that no answer may break.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::feed::{Event, Fate};

/// Everything that was ever sent to one data directory.
#[derive(Default)]
pub(crate) struct Ledger {
    events: HashMap<usize, Entry>,
    users: BTreeMap<Arc<str>, Line>,
}

struct Entry {
    event: Arc<Event>,
    /// Some answer to it, on any connection, was an acknowledgement.
    acknowledged: bool,
    /// Some answer to it never came, or was `busy`.
    unanswered: bool,
    /// It made this revision, if that was ever said.
    revision: Option<u64>,
    /// It was seen after a restart.
    confirmed: bool,
}

/// One user's revisions.
#[derive(Default)]
struct Line {
    /// Who made each revision, as acknowledged.
    made_by: BTreeMap<u64, usize>,
    /// The newest revision that any answer spoke of.
    highest: u64,
    /// Events that may have made a revision which no answer told: at most so many may be missing in `made_by`.
    unanswered: u64,
}

impl Ledger {
    /// Enters what the load learned, before it is known what survived.
    pub(crate) fn enter(&mut self, sent: impl IntoIterator<Item = (Arc<Event>, Fate)>) {
        for (event, fate) in sent {
            let line = self.users.entry(event.user.clone()).or_default();
            let number = event.number;
            let entry = self.events.entry(number).or_insert_with(|| Entry {
                event,
                acknowledged: false,
                unanswered: false,
                revision: None,
                confirmed: false,
            });
            let Some(revision) = fate.revision() else {
                entry.unanswered = true;
                continue;
            };
            line.highest = line.highest.max(revision);
            entry.acknowledged = true;
            if let Fate::Applied { revision } = fate {
                assert_eq!(entry.revision, None, "applied twice: {}", entry.event.line);
                entry.revision = Some(revision);
                let before = line.made_by.insert(revision, number);
                assert_eq!(before, None, "two events made revision {revision} of {}", entry.event.user);
            }
        }
    }

    /// Events that have not been seen after a restart: first those that have to be there.
    pub(crate) fn open(&self) -> (Vec<Arc<Event>>, Vec<Arc<Event>>) {
        let mut open: Vec<_> = self.events.values().filter(|entry| !entry.confirmed).collect();
        open.sort_unstable_by_key(|entry| entry.event.number);
        let (there, unknown): (Vec<_>, Vec<_>) = open.into_iter().partition(|entry| entry.acknowledged);
        let events = |entries: Vec<&Entry>| entries.into_iter().map(|entry| entry.event.clone()).collect();
        (events(there), events(unknown))
    }

    /// All events: each is acknowledged once nothing is open any more.
    pub(crate) fn all(&self) -> Vec<Arc<Event>> {
        let mut all: Vec<_> = self.events.values().map(|entry| entry.event.clone()).collect();
        all.sort_unstable_by_key(|event| event.number);
        all
    }

    /// What was sent, for a person to read.
    pub(crate) fn summary(&self) -> String {
        let unanswered = self.events.values().filter(|entry| entry.unanswered).count();
        let revisions: usize = self.users.values().map(|line| line.made_by.len()).sum();
        let (events, users) = (self.events.len(), self.users.len());
        format!("{events} events about {users} users, {revisions} revisions, {unanswered} answers that did not come")
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.users.iter().map(|(user, line)| (user, line.highest))
    }

    /// Enters what sending again said, after a restart.
    pub(crate) fn confirm(&mut self, event: &Arc<Event>, fate: Fate) {
        let entry = self.events.get_mut(&event.number).expect("sent before");
        let line = self.users.get_mut(&event.user).expect("known");
        let applied = matches!(fate, Fate::Applied { .. });
        assert!(!(applied && entry.acknowledged), "acknowledged, and lost: {} is {fate:?}", event.line);
        if fate == Fate::Unknown {
            return;
        }
        entry.confirmed = true;
        // It may have made a revision before, and nobody was told.
        if entry.unanswered && entry.revision.is_none() && !applied {
            line.unanswered += 1;
        }
        self.enter([(event.clone(), fate)]);
    }

    /// Compares with the head that the server shows once nothing is open.
    pub(crate) fn check_head(&self, user: &str, head: u64) {
        let line = &self.users[user];
        assert_eq!(head, line.highest, "the head of {user} is not its newest acknowledged revision");
        let missing = (1..=head).filter(|revision| !line.made_by.contains_key(revision)).count() as u64;
        let allowed = line.unanswered;
        assert!(missing <= allowed, "{missing} revisions of {user} were made by nobody, {allowed} may be");
    }
}
