//! Scheme launches: a state starts a scheme, and everyone there is evaluated again within two hours.

use crate::census::census;
use crate::day::{DAY, Day, HOUR, MINUTE};
use crate::population::PopulationOptions;
use crate::random::{Random, purpose};
use crate::scheme::schemes;

/// The launch of a scheme in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The position of the state among [`crate::states`].
    pub(crate) state: usize,
    /// The position of the scheme among [`crate::schemes`].
    pub(crate) scheme: usize,
    /// The time of the launch, in microseconds since the Unix epoch.
    pub(crate) at: i64,
}

/// Days between two launches; the first is in the middle of the first interval.
const EVERY_DAYS: i64 = 10;

impl Launch {
    /// Returns all launches of the span, each at eleven in the morning and in a different state as far as there are
    /// states, the populous ones more often.
    pub(crate) fn all(options: &PopulationOptions) -> Vec<Self> {
        let begin = options.base_time - i64::from(options.days.max(1)) * DAY;
        let count = (i64::from(options.days) / EVERY_DAYS).max(1);
        let mut launches: Vec<Self> = Vec::new();
        for number in 0..count {
            let random = &mut Random::new(options.seed, purpose::LAUNCHES + number.unsigned_abs());
            let state = census().draw(random).state;
            let scheme = random.below(schemes().len() as u64) as usize;
            let middle = (2 * number + 1) * EVERY_DAYS * DAY / 2;
            let about = begin + middle.min(i64::from(options.days.max(1)) * DAY * 3 / 4);
            let at = Day::from_micros(about).start() + 11 * HOUR;
            if !launches.iter().any(|launch| launch.state == state) {
                launches.push(Self { state, scheme, at });
            }
        }
        launches
    }

    /// Draws when a person of the state is evaluated: most within the first half hour.
    pub(crate) fn reaches(&self, random: &mut Random) -> i64 {
        self.at + random.log_between(MINUTE as f64, 2.0 * HOUR as f64) as i64
    }
}
