//! The checks of a schedule's answers. They use only the frames in the journal.

use std::collections::HashSet;
use std::sync::Arc;

use domain::access::{Policy, Viewer, Visibility};
use domain::columns::{Codes, DictionaryKind, Quasi, Row};
use domain::day::Day;
use domain::event::FeedEvent;
use domain::mask_class::MaskClass;
use domain::pipeline::explain::provenance;
use domain::pipeline::{ApplyOutcome, AssemblyContext, RollOutcome, apply, roll, serialize};
use domain::schema_version::SchemaVersion;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet};

use super::super::fixture::{Fixture, policy, user};
use crate::compact;
use crate::roster::PackedHead;
use crate::{ReadError, Status, View};

/// Codes that do not depend on the order in which words are met.
struct FixedCodes;

impl Codes for FixedCodes {
    fn code(&self, _: DictionaryKind, word: &str) -> u16 {
        word.len() as u16
    }
}

/// Returns whether a row shows what a state shows. The versions may differ, and the codes of dictionaries are not compared.
pub(super) fn is_row_of(row: &Row, state: &UserState) -> bool {
    let expected = Row::from_state(state, &FixedCodes);
    let words = Quasi::ALL.into_iter().filter(|quasi| *quasi != Quasi::State);
    let shown = |row: &Row| (row.completeness_pct, row.is_opted_in(), row.quasi(Quasi::State) != 0);
    shown(row) == shown(&expected) && words.into_iter().all(|quasi| row.quasi(quasi) == expected.quasi(quasi))
}

/// The durable states of each user: every state that the frames lead to.
pub(super) struct Durable {
    fixture: Fixture,
    policies: [Policy; 2],
    users: Vec<User>,
}

#[derive(Default)]
struct User {
    /// By sequence, from 1.
    states: Vec<UserState>,
    /// The highest revision in an answer.
    acknowledged: u64,
    /// Revisions that are in the answer of the event that made them.
    applied: HashSet<u64>,
}

impl Durable {
    pub(super) fn new(fixture: &Fixture, users: usize) -> Self {
        let users = (0..users).map(|_| User::default()).collect();
        Self { fixture: fixture.clone(), policies: [0, 1].map(policy), users }
    }

    /// Reads the new frames. Replaying them checks that they continue each other, without gap or fork.
    pub(super) fn follow(&mut self, fixture: &Fixture) {
        for (number, durable) in self.users.iter_mut().enumerate() {
            let known = durable.states.len();
            durable.states = fixture.store.states(&user(number), std::mem::take(&mut durable.states));
            for index in known..durable.states.len() {
                let state = &durable.states[index];
                assert_eq!(state.sequence, index as u64 + 1);
                let (revision, day, at) = match index.checked_sub(1).map(|before| &durable.states[before]) {
                    None => (0, state.day, 0),
                    Some(before) => (before.envelope.revision, before.day, before.envelope.generated_at),
                };
                assert!(state.envelope.revision == revision || state.envelope.revision == revision + 1);
                assert!(state.day >= day && state.envelope.generated_at >= at, "time never goes back");
            }
        }
    }

    /// Checks that all acknowledged revisions are there after a restart. Others may be there or not.
    pub(super) fn restart(&mut self, fixture: &Fixture) {
        self.follow(fixture);
        for durable in &self.users {
            assert!(durable.acknowledged <= durable.head().map_or(0, |head| head.envelope.revision));
        }
    }

    /// Checks that the head of a warm user is the newest committed state.
    pub(super) fn check_warm(&self, number: usize, packed: &PackedHead) {
        let newest = self.head(number).expect("a warm user has a head");
        assert_eq!(packed.sequence, newest.sequence, "a warm user is behind the journal");
        let unpacked = compact::unpack(packed.bytes.clone()).expect("it was packed");
        assert_eq!(serialize::view(&unpacked, MaskClass::UNMASKED), serialize::view(newest, MaskClass::UNMASKED));
    }

    /// Checks that a user's row is that of the state of its version, and not older than what was acknowledged.
    pub(super) fn check_row(&self, number: usize, row: Option<Row>, is_ready: bool) {
        let durable = &self.users[number];
        let Some(row) = row.filter(Row::is_present) else {
            return assert!(!is_ready || durable.acknowledged == 0, "an acknowledged user has no row");
        };
        let state = &durable.states[row.version().sequence() as usize - 1];
        assert!(is_row_of(&row, state), "a row that is not of its version");
        let mut later = durable.states.iter().filter(|state| state.envelope.revision >= durable.acknowledged);
        assert!(later.any(|state| is_row_of(&row, state)), "a row that is older than an acknowledgement");
    }

    pub(super) fn acknowledged(&self, number: usize) -> u64 {
        self.users[number].acknowledged
    }

    pub(super) fn rolls(&self) -> usize {
        let days = |user: &User| user.states.windows(2).filter(|pair| pair[0].day != pair[1].day).count();
        self.users.iter().map(days).sum()
    }

    /// Returns the newest state of a revision.
    fn at(&self, number: usize, revision: u64) -> &UserState {
        let states = self.users[number].states.iter().rev();
        let mut found = states.filter(|state| state.envelope.revision == revision);
        found.next().unwrap_or_else(|| panic!("revision {revision} is not durable"))
    }

    pub(super) fn head(&self, number: usize) -> Option<&UserState> {
        self.users[number].head()
    }

    /// Checks that an answer's revision is durable, and was made by one event alone. Returns whether the answer is an
    /// acknowledgement.
    pub(super) fn check_answer(&mut self, event: &FeedEvent, status: Status) -> bool {
        let number = (0..self.users.len()).find(|number| user(*number) == event.user).expect("a user of the model");
        let durable = &mut self.users[number];
        let revision = match status {
            Status::Busy => return false,
            Status::Erased => panic!("nobody was erased"),
            Status::Applied { revision } => {
                assert!(durable.applied.insert(revision), "two events made revision {revision}");
                revision
            }
            Status::Unchanged { revision } | Status::Duplicate { revision } => revision,
        };
        let head = durable.head().expect("acknowledged before it was durable");
        assert!(revision <= head.envelope.revision, "acknowledged before it was durable");
        durable.acknowledged = durable.acknowledged.max(revision);
        self.check_holds(event);
        true
    }

    /// Checks that an acknowledged event would change nothing if it were sent again.
    pub(super) fn check_holds(&self, event: &FeedEvent) {
        let number = (0..self.users.len()).find(|number| user(*number) == event.user).expect("a user of the model");
        let head = Arc::new(self.head(number).expect("an acknowledged event is durable").clone());
        let outcome = apply(Some(&head), || unreachable!("the user is known"), event, &self.context(head.day));
        assert!(!matches!(outcome, ApplyOutcome::Changed(_)), "an acknowledged event is lost");
    }

    /// Checks a view: its revision is durable and not older than what was acknowledged when it was asked for, its day is
    /// right, and its bytes are those of the mask.
    pub(super) fn check_view(
        &self,
        number: usize,
        viewer: &Viewer,
        acknowledged: u64,
        day: Day,
        answer: Result<View, ReadError>,
    ) {
        let view = match answer {
            Ok(view) => view,
            Err(ReadError::Busy) => return,
            Err(ReadError::Unavailable | ReadError::TooLong) => panic!("the store reads well"),
            Err(ReadError::Erased) => panic!("nobody was erased"),
            Err(ReadError::Unknown) => {
                // Unknown is right if no revision was acknowledged, or if some state since hides the user.
                let since = self.users[number].states.iter().filter(|state| state.envelope.revision >= acknowledged);
                let hides = since.map(|state| self.mask(number, viewer, state)).any(|mask| mask.is_none());
                return assert!(acknowledged == 0 || hides, "a known user is unknown");
            }
        };
        assert!(view.revision >= acknowledged, "read {} after {acknowledged} was acknowledged", view.revision);
        let state = self.at(number, view.revision);
        // If the roll to the new day was not journalled, the head is returned as it is, but never from the cache.
        assert!(view.day >= day || !view.cache_hit, "a cached view of yesterday");
        let rolled = roll(&Arc::new(state.clone()), &self.context(view.day.max(state.day)));
        assert!(matches!(rolled, RollOutcome::Same(_)) || view.day < state.day, "a view that the day has overtaken");
        assert_eq!(view.body, serialize::view(state, view.class), "revision {}", view.revision);
        // The policy may have changed while the view was made.
        let mut masks = self.policies.iter().map(|policy| policy.visibility(viewer, &user(number), state.consent()));
        assert!(masks.any(|mask| mask == Visibility::Mask(view.class.leaves())), "a view under another consent");
    }

    /// Returns a viewer's mask at one state, under the policy in force; `None` if the user is hidden.
    pub(super) fn mask(&self, number: usize, viewer: &Viewer, state: &UserState) -> Option<LeafSet> {
        match self.fixture.policy.load().visibility(viewer, &user(number), state.consent()) {
            Visibility::Mask(mask) => Some(mask),
            Visibility::Hidden => None,
        }
    }

    /// Returns the sources of a leaf in the states after the revision `base`, up to `revision`; a patch that continues from the head
    /// is of `base` itself.
    pub(super) fn sources(&self, number: usize, base: u64, revision: u64, leaf: Leaf) -> Vec<Option<&'static str>> {
        let is_of = |state: &&UserState| {
            (base + 1).min(revision) <= state.envelope.revision && state.envelope.revision <= revision
        };
        let states = self.users[number].states.iter().filter(is_of);
        let source = |state| provenance(state, LeafSet::only(leaf)).first().map(|of| of.source.name());
        states.map(source).collect()
    }

    /// Returns the document of a revision as a subscriber must hold it.
    pub(super) fn document(
        &self,
        number: usize,
        viewer: &Viewer,
        fields: LeafSet,
        schema: SchemaVersion,
        revision: u64,
    ) -> Vec<u8> {
        let state = self.at(number, revision);
        let mask = self.mask(number, viewer, state).expect("nothing is sent of a user who is hidden");
        serialize::view(state, MaskClass::for_version(mask.and(fields), schema))
    }

    /// Checks that a frame at `revision` contains no leaf that a later, acknowledged revision withdrew from the viewer.
    pub(super) fn check_not_withdrawn(&self, number: usize, viewer: &Viewer, fields: LeafSet, revision: u64) {
        let acknowledged = self.users[number].acknowledged;
        if revision >= acknowledged {
            return;
        }
        let mask = |revision| self.mask(number, viewer, self.at(number, revision)).map(|mask| mask.and(fields));
        let (then, now) = (mask(revision), mask(acknowledged));
        let withdrawn = then.unwrap_or_default().without(now.unwrap_or_default());
        let hidden = then.is_some() && now.is_none();
        assert!(
            withdrawn.is_empty() && !hidden,
            "revision {revision} went out after {acknowledged} withdrew {withdrawn:?}"
        );
    }

    fn context(&self, day: Day) -> AssemblyContext<'_> {
        AssemblyContext {
            rules: &self.fixture.rules,
            rules_fingerprint: self.fixture.rules.fingerprint(),
            policy_version: self.fixture.policy.load().version,
            day,
        }
    }
}

impl User {
    fn head(&self) -> Option<&UserState> {
        self.states.last()
    }
}
