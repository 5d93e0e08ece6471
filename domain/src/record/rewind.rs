//! The state of a past revision.

use super::block::records;
use super::codec::DecodeError;
use super::history_step::HistoryStep;
use super::unpack;
use crate::access::Consent;
use crate::past::PastProfile;
use crate::port::journal::Record;
use crate::port::store::{LoadVisitor, StoreError};
use crate::profile::Profile;
use crate::state::UserState;
use crate::table::Member;

/// Reconstructs a past revision of a user while the history is loaded: replays records forwards, from a base or from the
/// first record on.
#[derive(Debug)]
pub struct Rewind {
    revision: u64,
    to_head: bool,
    /// The state of the checkpoint, if history before it is needed. Replay continues from it if the blocks do not reach it.
    checkpoint: Option<UserState>,
    /// The sequence of the last record.
    sequence: u64,
    phase: Phase,
    past: Option<UserState>,
    /// Whether a record jumps over the revision.
    is_dropped: bool,
    later: Vec<(u64, Consent)>,
}

#[derive(Debug)]
enum Phase {
    /// Records are replayed over this state, `None` before the first one.
    Replaying(Option<Box<UserState>>),
    /// The revision was passed. Of the records, only what they say about the consent is read, into this profile.
    ReadingConsents(Profile),
    /// A record is missing before the revision.
    Gap,
}

/// The result of a [`Rewind`].
#[derive(Debug, Clone)]
pub struct RewindResult {
    /// The state at the revision, with the documents that it had then or before the next revision; `None` if the loaded pieces do not reach it: it is newer than the newest frame, older than
    /// the generation, or before the history that is there.
    pub state: Option<UserState>,
    /// Whether the revision was dropped when history was thinned.
    pub is_dropped: bool,
    /// The consents that the user had after the revision, oldest first, as far back as the loaded pieces reach. Of
    /// consecutive equal consents, only the first is listed.
    pub later: Vec<(u64, Consent)>,
}

impl RewindResult {
    /// Returns the profile at the revision.
    pub fn past(&self) -> Option<PastProfile> {
        self.state.as_ref().map(PastProfile::from_state)
    }
}

impl Rewind {
    /// Goes back to `revision`, and needs nothing that came after it.
    pub fn new(revision: u64) -> Self {
        let (phase, past, later) = (Phase::Replaying(None), None, Vec::new());
        Self { revision, to_head: false, checkpoint: None, sequence: 0, phase, past, is_dropped: false, later }
    }

    /// Goes back to `revision`, and looks at the consents after it up to the newest frame.
    pub fn with_later_consents(revision: u64) -> Self {
        Self { to_head: true, ..Self::new(revision) }
    }

    /// Returns what the loaded pieces contain.
    pub fn finish(mut self) -> RewindResult {
        self.leave_history();
        RewindResult { state: self.past, is_dropped: self.is_dropped, later: self.later }
    }

    /// Continues with `state`. Its revision may be the one that is looked for, or a later one.
    fn start(&mut self, state: UserState) {
        self.sequence = state.sequence;
        let revision = state.envelope.revision;
        if revision < self.revision {
            self.phase = Phase::Replaying(Some(Box::new(state)));
            return;
        }
        self.phase = Phase::ReadingConsents(consents_of(&state.profile));
        if revision > self.revision {
            self.note(revision, state.consent());
        } else if revision > 0 {
            self.past = Some(state);
        }
    }

    /// Continues with the state of the checkpoint if the history before it has a gap.
    fn leave_history(&mut self) {
        if let Some(state) = self.checkpoint.take()
            && (self.sequence < state.sequence || matches!(self.phase, Phase::Gap))
        {
            self.start(state);
        }
    }

    fn note(&mut self, revision: u64, consent: Consent) {
        if self.later.last().is_none_or(|(_, last)| *last != consent) {
            self.later.push((revision, consent));
        }
    }

    /// Applies the step of the record with a sequence.
    fn step(&mut self, sequence: u64, step: &HistoryStep) -> Result<(), DecodeError> {
        match &mut self.phase {
            Phase::Replaying(state) => {
                self.is_dropped |= step.dropped().is_some_and(|dropped| {
                    dropped.base < self.revision && step.revision().is_some_and(|revision| self.revision < revision)
                });
                let next = step.apply(state.take().map(|state| *state))?;
                self.start(next);
            }
            Phase::ReadingConsents(profile) => {
                if step.base_sequence() != self.sequence {
                    return Err(DecodeError::Unknown { what: "predecessor" });
                }
                self.sequence = sequence;
                if let Some(revision) = step.revision() {
                    step.set_consents(profile)?;
                    let consent = profile.consent();
                    self.note(revision, consent);
                }
            }
            Phase::Gap => {}
        }
        Ok(())
    }
}

/// Returns a profile of nothing but the consent.
fn consents_of(profile: &Profile) -> Profile {
    let mut consents = Profile::default();
    consents.replace(Member::Consent, profile.section(Member::Consent).cloned());
    consents
}

impl LoadVisitor for Rewind {
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        *self = Self { to_head: self.to_head, ..Self::new(self.revision) };
        let Some(state) = state.map(unpack).transpose()? else { return Ok(()) };
        let is_past = (state.salts.first_revision..state.envelope.revision).contains(&self.revision);
        if is_past {
            self.checkpoint = Some(state);
        } else {
            self.start(state);
        }
        Ok(())
    }

    fn needs_history(&self) -> bool {
        self.checkpoint.is_some()
    }

    fn base(&mut self, state: Vec<u8>) -> Result<bool, StoreError> {
        let state = unpack(state)?;
        let is_before = state.envelope.revision <= self.revision;
        if is_before {
            self.start(state);
        }
        Ok(is_before)
    }

    fn block(&mut self, body: &[u8]) -> Result<(), StoreError> {
        for record in records(body)? {
            // The load may have begun with an older block than the base is of.
            if record.sequence <= self.sequence {
                continue;
            }
            if self.is_done() {
                break;
            }
            let step = HistoryStep::decode(record)?;
            if step.base_sequence() != self.sequence {
                self.phase = Phase::Gap;
                break;
            }
            self.step(record.sequence, &step)?;
        }
        Ok(())
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        self.leave_history();
        // Blocks may be newer than the frames.
        if record.sequence > self.sequence {
            self.step(record.sequence, &HistoryStep::of_frame(record)?)?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        // What comes after the revision cannot help to reach it.
        !self.to_head && matches!(self.phase, Phase::ReadingConsents(_))
    }
}
