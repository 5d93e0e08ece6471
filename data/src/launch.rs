//! Scheme launches: a state starts a scheme, and everyone there is looked at anew within two hours.

use crate::census::census;
use crate::day::{DAY, Day, HOUR, MINUTE};
use crate::population::PopulationOptions;
use crate::random::{Random, purpose};
use crate::scheme::schemes;

/// One launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The state's position.
    pub(crate) state: usize,
    /// The scheme's position.
    pub(crate) scheme: usize,
    /// When it is, in microseconds since the Unix epoch.
    pub(crate) at: i64,
}

/// One every ten days, the first in the middle of its ten.
const EVERY_DAYS: i64 = 10;

impl Launch {
    /// All launches of the span, at eleven in the morning, each in another state as far as there are states, the populous ones more often.
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

    /// When somebody of the state is looked at: soon, most of them in the first half hour.
    pub(crate) fn reaches(&self, random: &mut Random) -> i64 {
        self.at + random.log_between(MINUTE as f64, 2.0 * HOUR as f64) as i64
    }
}
