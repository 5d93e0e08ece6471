//! Everything that was sent and acknowledged, and the rules that no answer may break.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::feed::{Event, Outcome};

/// Everything that was sent to one data directory.
#[derive(Default)]
pub(crate) struct Ledger {
    events: HashMap<usize, Entry>,
    users: BTreeMap<Arc<str>, UserRevisions>,
}

struct Entry {
    event: Arc<Event>,
    /// Whether any answer to it was an acknowledgement.
    acknowledged: bool,
    /// Whether an answer to it was `busy` or never came.
    unanswered: bool,
    /// The revision that it made, if an answer said so.
    revision: Option<u64>,
    /// Whether the server had it after a restart.
    confirmed: bool,
}

/// The revisions of one user.
#[derive(Default)]
struct UserRevisions {
    /// Number of the event that made each revision, as acknowledged.
    made_by: BTreeMap<u64, usize>,
    /// The newest revision in any answer.
    highest: u64,
    /// Maximum number of revisions that may be missing in `made_by`: events whose answer did not come made them.
    unanswered: u64,
}

impl Ledger {
    /// Records what was sent and its outcome, before a restart shows what survived.
    pub(crate) fn enter(&mut self, sent: impl IntoIterator<Item = (Arc<Event>, Outcome)>) {
        for (event, outcome) in sent {
            let line = self.users.entry(event.user.clone()).or_default();
            let number = event.number;
            let entry = self.events.entry(number).or_insert_with(|| Entry {
                event,
                acknowledged: false,
                unanswered: false,
                revision: None,
                confirmed: false,
            });
            let Some(revision) = outcome.revision() else {
                entry.unanswered = true;
                continue;
            };
            line.highest = line.highest.max(revision);
            entry.acknowledged = true;
            if let Outcome::Applied { revision } = outcome {
                assert_eq!(entry.revision, None, "applied twice: {}", entry.event.line);
                entry.revision = Some(revision);
                let before = line.made_by.insert(revision, number);
                assert_eq!(before, None, "two events made revision {revision} of {}", entry.event.user);
            }
        }
    }

    /// Returns the events that were not confirmed after a restart: those that must be stored, and those of unknown
    /// outcome.
    pub(crate) fn open(&self) -> (Vec<Arc<Event>>, Vec<Arc<Event>>) {
        let mut open: Vec<_> = self.events.values().filter(|entry| !entry.confirmed).collect();
        open.sort_unstable_by_key(|entry| entry.event.number);
        let (there, unknown): (Vec<_>, Vec<_>) = open.into_iter().partition(|entry| entry.acknowledged);
        let events = |entries: Vec<&Entry>| entries.into_iter().map(|entry| entry.event.clone()).collect();
        (events(there), events(unknown))
    }

    /// Returns all events.
    pub(crate) fn all(&self) -> Vec<Arc<Event>> {
        let mut all: Vec<_> = self.events.values().map(|entry| entry.event.clone()).collect();
        all.sort_unstable_by_key(|event| event.number);
        all
    }

    /// Returns figures about what was sent.
    pub(crate) fn summary(&self) -> String {
        let unanswered = self.events.values().filter(|entry| entry.unanswered).count();
        let revisions: usize = self.users.values().map(|line| line.made_by.len()).sum();
        let (events, users) = (self.events.len(), self.users.len());
        format!("{events} events about {users} users, {revisions} revisions, {unanswered} answers that did not come")
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.users.iter().map(|(user, line)| (user, line.highest))
    }

    /// Records the outcome of an event that was sent again after a restart.
    pub(crate) fn confirm(&mut self, event: &Arc<Event>, outcome: Outcome) {
        let entry = self.events.get_mut(&event.number).expect("sent before");
        let line = self.users.get_mut(&event.user).expect("known");
        let applied = matches!(outcome, Outcome::Applied { .. });
        assert!(!(applied && entry.acknowledged), "acknowledged, and lost: {} is {outcome:?}", event.line);
        if outcome == Outcome::Unknown {
            return;
        }
        entry.confirmed = true;
        // An earlier send whose answer was lost may have made a revision.
        if entry.unanswered && entry.revision.is_none() && !applied {
            line.unanswered += 1;
        }
        self.enter([(event.clone(), outcome)]);
    }

    /// Compares with the head that the server shows after all events were confirmed.
    pub(crate) fn check_head(&self, user: &str, head: u64) {
        let line = &self.users[user];
        assert_eq!(head, line.highest, "the head of {user} is not its newest acknowledged revision");
        let missing = (1..=head).filter(|revision| !line.made_by.contains_key(revision)).count() as u64;
        let allowed = line.unanswered;
        assert!(missing <= allowed, "{missing} revisions of {user} are missing, {allowed} may be");
    }
}
