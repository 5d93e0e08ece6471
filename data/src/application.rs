//! The state of applications. An episode only records that an application moves on; its status follows from the earlier
//! episodes. They are replayed each time, so that a change needs no memory of earlier ones and never contradicts them.

use crate::episode::{Episode, EpisodeStep, STEPS};
use crate::person::Person;
use crate::scheme::schemes;
use crate::verdict::{SchemeVerdict, verdicts};
use crate::words::Status;

/// Maximum number of episodes that are replayed. After each era all applications of a person lapse, so that nothing
/// before it has to be known, and even the longest life has applications.
const ERA: u64 = 16;

/// Returns the verdict on each scheme that accepts the person, as it is before their nth change. Nobody has applied yet
/// for the scheme that is launched in these days (`new`, its position), and no episode is about it.
pub(crate) fn standing(person: &Person, n: u64, new: Option<usize>) -> Vec<SchemeVerdict> {
    Applications::before(person, n, new).verdicts
}

/// Returns the application that the nth change moves on, with its new status; `None` if none is open.
pub(crate) fn step(person: &Person, n: u64, new: Option<usize>) -> Option<SchemeVerdict> {
    let episode = Episode::new(person, n / STEPS as u64);
    Applications::before(person, n, new).move_on(&episode)
}

/// The applications of a person while their episodes are replayed.
struct Applications {
    verdicts: Vec<SchemeVerdict>,
    new: Option<&'static str>,
    /// Applications that have lapsed at the turn of an era and that no event has reported yet, as bits by position:
    /// there are fewer schemes than bits.
    unreported: u64,
    /// The position of the application that the current episode is about.
    chosen: Option<usize>,
}

impl Applications {
    fn before(person: &Person, n: u64, new: Option<usize>) -> Self {
        let (current, done_steps) = (n / STEPS as u64, n as usize % STEPS);
        let first = current / ERA * ERA;
        let new = new.map(|scheme| schemes()[scheme].id.as_str());
        let mut applications = Self { verdicts: verdicts(person), new, unreported: 0, chosen: None };
        applications.begin(first > 0);
        for number in first..=current {
            let episode = Episode::new(person, number);
            let done_steps = if number == current { done_steps } else { STEPS };
            applications.chosen = None;
            for _ in episode.steps[..done_steps].iter().filter(|step| **step == EpisodeStep::Applied) {
                applications.move_on(&episode);
            }
        }
        applications
    }

    fn begin(&mut self, lapsed: bool) {
        for (at, verdict) in self.verdicts.iter_mut().enumerate() {
            if self.new == Some(verdict.scheme.id.as_str()) {
                verdict.status = Status::NotApplied;
            } else if lapsed {
                verdict.status = Status::Lapsed;
                self.unreported |= 1 << at;
            }
        }
    }

    fn move_on(&mut self, episode: &Episode) -> Option<SchemeVerdict> {
        let at = self.chosen.or_else(|| self.choose(episode.scheme))?;
        self.chosen = Some(at);
        let verdict = &mut self.verdicts[at];
        if self.unreported & 1 << at == 0 {
            verdict.status = after(verdict.status, episode.rejects)?;
        }
        self.unreported &= !(1 << at);
        Some(*verdict)
    }

    /// Returns the position of an application that can move.
    fn choose(&self, position: usize) -> Option<usize> {
        let can_move =
            |verdict: &SchemeVerdict| verdict.status != Status::Active && self.new != Some(verdict.scheme.id.as_str());
        let open = || (0..self.verdicts.len()).filter(|at| can_move(&self.verdicts[*at]));
        open().nth(position.checked_rem(open().count())?)
    }
}

/// Returns the next status. Only a rejected or lapsed application starts again.
const fn after(status: Status, rejects: bool) -> Option<Status> {
    Some(match status {
        Status::NotApplied | Status::Rejected | Status::Lapsed => Status::Applied,
        Status::Applied => Status::UnderReview,
        Status::UnderReview if rejects => Status::Rejected,
        Status::UnderReview => Status::Approved,
        Status::Approved => Status::Active,
        Status::Active => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_what_stands_afterwards_and_the_longest_life_has_some() {
        for person in (0..40).map(|index| Person::new(3, index)) {
            for n in (0..150).chain(u64::MAX - 150..u64::MAX) {
                let Some(step) = step(&person, n, None) else { continue };
                // At the turn of an era everything lapses.
                if (n + 1) % (ERA * STEPS as u64) != 0 && nth_is_application(&person, n) {
                    let after = standing(&person, n + 1, None);
                    let found = after.iter().find(|verdict| verdict.scheme.id == step.scheme.id).unwrap();
                    assert_eq!(found.status, step.status, "{n} of {person:?}");
                }
            }
            let last = (u64::MAX - 150..u64::MAX).filter(|n| step(&person, *n, None).is_some()).count();
            assert!(last > 0 || verdicts(&person).is_empty(), "{person:?}");
        }
    }

    fn nth_is_application(person: &Person, n: u64) -> bool {
        Episode::new(person, n / STEPS as u64).steps[n as usize % STEPS] == EpisodeStep::Applied
    }
}
