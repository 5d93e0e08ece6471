//! The search for a past revision, by its number or by an instant.

use super::block::{DroppedRevisions, records};
use super::codec::DecodeError;
use super::history_step::HistoryStep;
use super::unpack;
use crate::port::journal::Record;
use crate::port::store::{LoadVisitor, StoreError};
use crate::profile::Envelope;
use crate::snapshot::DailyPoint;
use crate::state::UserState;

/// The revision that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastTarget {
    /// The revision with this number.
    Revision(u64),
    /// The last revision that was generated at this instant or before it, in microseconds since the Unix epoch.
    AsOf(i64),
    /// The revision with this number, with the very documents that it was made with. Events that followed it and made no
    /// revision have changed them since.
    Made(u64),
}

impl PastTarget {
    /// Returns the revision from which [`ProfileStore::load_history`](crate::port::store::ProfileStore::load_history) must
    /// hand over history. An instant has none: the bases say what is before it.
    pub const fn since(self) -> u64 {
        match self {
            Self::Revision(revision) => revision,
            Self::AsOf(_) => 0,
            // The step that makes it begins with the revision before.
            Self::Made(revision) => revision.saturating_sub(1),
        }
    }

    /// Returns whether a search may begin with a stored state. Of the revision that is looked for, it may have the documents
    /// of later events.
    const fn may_begin_with(self, made: DailyPoint) -> bool {
        match self {
            Self::Made(revision) => made.revision < revision,
            Self::Revision(_) | Self::AsOf(_) => !self.is_before(made),
        }
    }

    /// Returns whether a revision came after the one that is looked for.
    const fn is_before(self, made: DailyPoint) -> bool {
        match self {
            Self::Revision(revision) | Self::Made(revision) => made.revision > revision,
            Self::AsOf(instant) => made.generated_at > instant,
        }
    }

    /// Returns whether the revision is among dropped ones, if it is not after the revision that follows them.
    const fn is_among(self, dropped: DroppedRevisions) -> bool {
        match self {
            Self::Revision(revision) | Self::Made(revision) => revision > dropped.base,
            Self::AsOf(instant) => instant >= dropped.from,
        }
    }

    /// Returns whether no later revision can be the one that is looked for.
    const fn is(self, envelope: &Envelope) -> bool {
        matches!(self, Self::Revision(revision) | Self::Made(revision) if envelope.revision == revision)
    }
}

/// Finds a past revision of a user while the history is loaded.
///
/// It replays records forwards, from the last base that is not after the target. So it reads the records between two bases
/// and the records that no checkpoint covers, however long the history is. Replay applies no rules, so the state comes back as
/// it was published.
#[derive(Debug)]
pub struct PastSearch {
    target: PastTarget,
    /// The newest state that was reached and is not after the target.
    state: Option<UserState>,
    /// The sequence of the checkpoint's state, if that is after the target.
    checkpoint: Option<u64>,
    /// The sequence of the last record that was replayed.
    sequence: u64,
    is_done: bool,
    /// Whether the target is among revisions that were dropped when history was thinned. What comes after it is only read to
    /// find from when on nothing was dropped.
    is_dropped: bool,
    /// Whether a record is missing before the target.
    has_gap: bool,
    /// Whether the first record of the generation was found to be after the target.
    is_before_first: bool,
    /// When the oldest state after the target was generated from which history is known to go on.
    retained_from: Option<i64>,
    replayed: usize,
}

/// The result of a [`PastSearch`].
#[derive(Debug, Clone)]
pub enum PastOutcome {
    /// The state at the revision. Its documents are those that the revision was made with, or, unless the search was for
    /// these, have what came before the next revision, too.
    Found(Box<UserState>),
    /// The profile's first revision is after the instant.
    BeforeFirst,
    /// History does not reach back to the revision.
    Gone {
        /// When the oldest state was generated from which history is known to go on, in microseconds since the Unix epoch.
        retained_from: i64,
    },
    /// There is no such revision yet, or no such user.
    NotReached,
}

impl PastSearch {
    /// Begins a search.
    pub const fn new(target: PastTarget) -> Self {
        Self {
            target,
            state: None,
            checkpoint: None,
            sequence: 0,
            is_done: false,
            is_dropped: false,
            has_gap: false,
            is_before_first: false,
            retained_from: None,
            replayed: 0,
        }
    }

    /// Returns the number of records that were replayed.
    pub const fn replayed(&self) -> usize {
        self.replayed
    }

    /// Returns what was found.
    pub fn finish(self) -> PastOutcome {
        let target = self.target;
        let is_met = |state: &UserState| match target {
            PastTarget::Revision(_) | PastTarget::Made(_) => target.is(&state.envelope),
            PastTarget::AsOf(_) => true,
        };
        match (self.state.filter(is_met), self.retained_from) {
            (Some(state), _) => PastOutcome::Found(Box::new(state)),
            _ if self.is_before_first => PastOutcome::BeforeFirst,
            (None, Some(retained_from)) => PastOutcome::Gone { retained_from },
            (None, None) => PastOutcome::NotReached,
        }
    }

    /// Continues with a state that is not after the target.
    fn start(&mut self, state: UserState) {
        self.sequence = state.sequence;
        self.is_done = self.target.is(&state.envelope);
        self.state = Some(state);
    }

    /// Notes a state after the target.
    fn pass(&mut self, made: DailyPoint) {
        let oldest = self.retained_from.map_or(made.generated_at, |oldest| oldest.min(made.generated_at));
        self.retained_from = Some(oldest);
    }

    fn meet_gap(&mut self) {
        (self.has_gap, self.state) = (true, None);
    }

    fn step(&mut self, sequence: u64, step: &HistoryStep) -> Result<(), DecodeError> {
        if step.base_sequence() != self.sequence {
            self.meet_gap();
            return Ok(());
        }
        let made = step.made();
        if self.is_dropped {
            self.sequence = sequence;
            if let Some(made) = made.filter(|_| step.dropped().is_some()) {
                self.retained_from = Some(made.generated_at);
            }
            return Ok(());
        }
        if let Some(made) = made.filter(|made| self.target.is_before(*made)) {
            if step.dropped().is_some_and(|dropped| self.target.is_among(dropped)) {
                (self.is_dropped, self.state, self.sequence) = (true, None, sequence);
                self.retained_from = Some(made.generated_at);
                return Ok(());
            }
            self.is_done = true;
            self.is_before_first = self.state.is_none();
            self.pass(made);
            return Ok(());
        }
        self.replayed += 1;
        let state = step.apply(self.state.take())?;
        self.start(state);
        Ok(())
    }

    fn stops(&self) -> bool {
        self.is_done || self.has_gap
    }
}

fn made(state: &UserState) -> DailyPoint {
    DailyPoint { revision: state.envelope.revision, generated_at: state.envelope.generated_at }
}

impl LoadVisitor for PastSearch {
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        *self = Self::new(self.target);
        let Some(state) = state.map(unpack).transpose()? else { return Ok(()) };
        if self.target.may_begin_with(made(&state)) {
            self.start(state);
        } else {
            self.checkpoint = Some(state.sequence);
            self.pass(made(&state));
        }
        Ok(())
    }

    fn needs_history(&self) -> bool {
        self.checkpoint.is_some()
    }

    fn base(&mut self, state: Vec<u8>) -> Result<bool, StoreError> {
        let state = unpack(state)?;
        let is_early_enough = self.target.may_begin_with(made(&state));
        if is_early_enough {
            self.start(state);
        } else {
            self.pass(made(&state));
        }
        Ok(is_early_enough)
    }

    fn block(&mut self, body: &[u8]) -> Result<(), StoreError> {
        for record in records(body)? {
            if self.stops() {
                break;
            }
            // The load may have begun with an older block than the base is of.
            if record.sequence > self.sequence {
                self.step(record.sequence, &HistoryStep::decode(record)?)?;
            }
        }
        Ok(())
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        // Nothing of the journal was dropped.
        self.is_done |= self.is_dropped;
        // Blocks that do not reach the state of the checkpoint, which is after the target, have a gap.
        if self.checkpoint.take().is_some_and(|checkpoint| self.sequence < checkpoint) && !self.stops() {
            self.meet_gap();
        }
        // Blocks may be newer than the frames.
        if !self.stops() && record.sequence > self.sequence {
            self.step(record.sequence, &HistoryStep::of_frame(record)?)?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.stops()
    }
}
