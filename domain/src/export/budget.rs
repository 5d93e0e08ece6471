//! The privacy budget: how much epsilon jobs may spend within 24 hours, all callers together.
//!
//! All amounts are integers in millionths. A job reserves its epsilon first. The reservation is stored **before** the job reads
//! a row, under the job's id, with [`BudgetEntry::to_bytes`]. If the job ends before it has read one, the reservation can be
//! released. Once it has, or after a restart, when nobody knows, the epsilon is spent for good. So the sum of what was
//! released to callers never exceeds the budget, whenever the process ends.

use std::collections::BTreeMap;

use super::ExportJobId;

/// The time that an epsilon counts for: 24 hours, in microseconds.
pub const BUDGET_WINDOW_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// The bounds of epsilon, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetRules {
    /// The least epsilon of a job.
    pub min_per_job: u32,
    /// The greatest epsilon of a job.
    pub max_per_job: u32,
    /// Maximum sum within 24 hours.
    pub per_day: u32,
}

/// The epsilon of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetEntry {
    /// The epsilon, in millionths.
    pub micro_epsilon: u32,
    /// When it was reserved, in microseconds since the Unix epoch.
    pub reserved_at: i64,
}

/// The budget does not allow another job now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BudgetRefusal {
    /// The epsilon of a job is out of its bounds.
    #[error("epsilon is out of range")]
    OutOfRange,
    /// Too much epsilon was spent within 24 hours.
    #[error("the privacy budget of 24 hours is spent")]
    Spent {
        /// The epsilon that is left, in millionths.
        available: u32,
        /// When enough will be free, in microseconds since the Unix epoch.
        free_at: i64,
    },
    /// The job has reserved epsilon already.
    #[error("the job has an epsilon already")]
    Repeated,
}

/// The job cannot give its epsilon back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job has no reservation, or has read rows")]
pub struct NotReleasable;

/// The epsilon of all jobs within 24 hours. One owner decides for all jobs: two ledgers would allow twice the budget.
#[derive(Debug, Clone)]
pub struct BudgetLedger {
    rules: BudgetRules,
    jobs: BTreeMap<ExportJobId, (BudgetEntry, bool)>,
    /// The latest time that was given. A clock that goes back frees nothing earlier and nothing twice.
    latest: i64,
}

impl BudgetLedger {
    /// Restores the ledger from the registry's entries. All of them are spent, since the jobs may have read rows.
    pub fn restore(rules: BudgetRules, entries: impl IntoIterator<Item = (ExportJobId, BudgetEntry)>) -> Self {
        let jobs: BTreeMap<_, _> = entries.into_iter().map(|(job, entry)| (job, (entry, true))).collect();
        let latest = jobs.values().map(|(entry, _)| entry.reserved_at).max().unwrap_or(i64::MIN);
        Self { rules, jobs, latest }
    }

    /// Replaces the bounds. What was spent stays spent.
    pub fn set_rules(&mut self, rules: BudgetRules) {
        self.rules = rules;
    }

    /// Reserves epsilon for a job at the time `now`, in microseconds since the Unix epoch, and returns the entry to be stored. If
    /// it cannot be stored, the reservation is released.
    ///
    /// # Errors
    /// The epsilon is out of range, or not enough is left. Nothing has changed.
    pub fn reserve(&mut self, job: ExportJobId, micro_epsilon: u32, now: i64) -> Result<BudgetEntry, BudgetRefusal> {
        let now = self.advance(now);
        if !(self.rules.min_per_job..=self.rules.max_per_job).contains(&micro_epsilon) {
            return Err(BudgetRefusal::OutOfRange);
        }
        if self.jobs.contains_key(&job) {
            return Err(BudgetRefusal::Repeated);
        }
        let available = self.available_now();
        if available < micro_epsilon {
            return Err(BudgetRefusal::Spent { available, free_at: self.free_at(micro_epsilon) });
        }
        let entry = BudgetEntry { micro_epsilon, reserved_at: now };
        self.jobs.insert(job, (entry, false));
        Ok(entry)
    }

    /// Records that a job is about to read rows: its epsilon is spent from now on. Returns whether the job has a
    /// reservation; one without must not read.
    #[must_use]
    pub fn spend(&mut self, job: &ExportJobId) -> bool {
        self.jobs.get_mut(job).map(|(_, is_spent)| *is_spent = true).is_some()
    }

    /// Gives back the epsilon of a job that has read no row. Its stored entry must be removed **after** this returns.
    ///
    /// # Errors
    /// The job has read rows or has no reservation. Nothing has changed.
    pub fn release(&mut self, job: &ExportJobId) -> Result<(), NotReleasable> {
        match self.jobs.get(job) {
            Some((_, false)) => {
                self.jobs.remove(job);
                Ok(())
            }
            _ => Err(NotReleasable),
        }
    }

    /// Returns the epsilon that is left at the time `now`, in millionths.
    pub fn available(&mut self, now: i64) -> u32 {
        self.advance(now);
        self.available_now()
    }

    /// Moves the time on and forgets what is older than 24 hours.
    fn advance(&mut self, now: i64) -> i64 {
        self.latest = self.latest.max(now);
        let latest = self.latest;
        self.jobs.retain(|_, (entry, _)| !entry.has_expired(latest));
        latest
    }

    fn available_now(&self) -> u32 {
        let spent: u64 = self.jobs.values().map(|(entry, _)| u64::from(entry.micro_epsilon)).sum();
        u64::from(self.rules.per_day).saturating_sub(spent) as u32
    }

    /// Returns when so much epsilon will be free.
    fn free_at(&self, micro_epsilon: u32) -> i64 {
        let mut entries: Vec<_> = self.jobs.values().map(|(entry, _)| *entry).collect();
        entries.sort_unstable_by_key(|entry| entry.reserved_at);
        let mut used: u64 = entries.iter().map(|entry| u64::from(entry.micro_epsilon)).sum();
        for entry in entries {
            used -= u64::from(entry.micro_epsilon);
            if used + u64::from(micro_epsilon) <= u64::from(self.rules.per_day) {
                return entry.expires_at();
            }
        }
        self.latest.saturating_add(BUDGET_WINDOW_MICROS)
    }
}

impl BudgetEntry {
    /// The form of [`Self::to_bytes`].
    const FORM: u8 = 1;

    /// Returns the stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![Self::FORM];
        bytes.extend(self.micro_epsilon.to_be_bytes());
        bytes.extend(self.reserved_at.to_be_bytes());
        bytes
    }

    /// Returns the entry of a stored form; `None` if the bytes have another form.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (epsilon, time) = rest.split_at_checked(4)?;
        (*form == Self::FORM).then_some(())?;
        let micro_epsilon = u32::from_be_bytes(epsilon.try_into().ok()?);
        Some(Self { micro_epsilon, reserved_at: i64::from_be_bytes(time.try_into().ok()?) })
    }

    /// Returns when the epsilon stops counting, which is when the stored entry expires: in microseconds since the Unix epoch.
    #[must_use]
    pub const fn expires_at(&self) -> i64 {
        self.reserved_at.saturating_add(BUDGET_WINDOW_MICROS)
    }

    const fn has_expired(&self, now: i64) -> bool {
        self.expires_at() <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::Random;

    const RULES: BudgetRules = BudgetRules { min_per_job: 10_000, max_per_job: 2_000_000, per_day: 10_000_000 };
    const HOUR: i64 = 3_600 * 1_000_000;

    fn job(number: u32) -> ExportJobId {
        ExportJobId::from_random(u128::from(number).to_be_bytes())
    }

    #[test]
    fn the_budget_of_24_hours_is_never_exceeded_whenever_the_process_ends() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let mut ledger = BudgetLedger::restore(RULES, []);
            // The registry, and what jobs that read rows have spent.
            let mut stored: BTreeMap<ExportJobId, BudgetEntry> = BTreeMap::new();
            let mut read: Vec<(i64, u64)> = Vec::new();
            let mut now = 0;
            for number in 0..400 {
                now += random.below(HOUR as usize) as i64;
                let epsilon = 10_000 * (1 + random.below(200) as u32);
                if let Ok(entry) = ledger.reserve(job(number), epsilon, now) {
                    if random.below(10) == 0 {
                        // The entry could not be stored.
                        ledger.release(&job(number)).expect("has read nothing");
                        continue;
                    }
                    stored.insert(job(number), BudgetEntry::from_bytes(&entry.to_bytes()).expect("its own form"));
                    if random.below(5) == 0 {
                        // Cancelled before it read anything.
                        ledger.release(&job(number)).expect("has read nothing");
                        stored.remove(&job(number));
                    } else if random.below(5) > 0 {
                        assert!(ledger.spend(&job(number)));
                        assert_eq!(ledger.release(&job(number)), Err(NotReleasable));
                        read.push((now, epsilon.into()));
                    }
                }
                if random.below(20) == 0 {
                    // The process ends. A reservation whose job did not begin counts, too.
                    ledger = BudgetLedger::restore(RULES, stored.iter().map(|(job, entry)| (*job, *entry)));
                }
                let within = read.iter().filter(|(at, _)| *at > now - BUDGET_WINDOW_MICROS).map(|(_, epsilon)| epsilon);
                let within: u64 = within.sum();
                assert!(within + u64::from(ledger.available(now)) <= 10_000_000, "seed {seed}, job {number}");
            }
            assert!(read.len() > 50, "seed {seed}: {}", read.len());
        }
    }

    #[test]
    fn a_refusal_says_what_is_left_and_when_enough_will_be() {
        let mut ledger = BudgetLedger::restore(RULES, []);
        for number in 0..5 {
            ledger.reserve(job(number), 1_900_000, HOUR * i64::from(number)).expect("within the budget");
        }
        let refusal = |available, free_at| Err(BudgetRefusal::Spent { available, free_at });
        assert_eq!(ledger.reserve(job(9), 2_000_000, 5 * HOUR), refusal(500_000, 24 * HOUR));
        assert_eq!(ledger.reserve(job(9), 2_000_001, 5 * HOUR), Err(BudgetRefusal::OutOfRange));
        assert_eq!(ledger.reserve(job(9), 9_999, 5 * HOUR), Err(BudgetRefusal::OutOfRange));
        assert_eq!(ledger.reserve(job(1), 10_000, 5 * HOUR), Err(BudgetRefusal::Repeated));
        assert_eq!(ledger.available(24 * HOUR - 1), 500_000);
        assert_eq!(ledger.available(24 * HOUR), 2_400_000);
    }

    #[test]
    fn a_clock_that_goes_back_frees_nothing() {
        let mut ledger =
            BudgetLedger::restore(RULES, [(job(1), BudgetEntry { micro_epsilon: 9_000_000, reserved_at: 30 * HOUR })]);
        assert_eq!(ledger.available(2 * HOUR), 1_000_000);
        assert_eq!(ledger.release(&job(1)), Err(NotReleasable), "after a restart nobody knows");
        assert!(!ledger.spend(&job(2)), "without a reservation");
        let entry = ledger.reserve(job(3), 500_000, HOUR).expect("within the budget");
        assert_eq!(entry.reserved_at, 30 * HOUR);
        assert_eq!(BudgetEntry::from_bytes(&[2; 13]), None);
        assert_eq!(BudgetEntry::from_bytes(&entry.to_bytes()[..12]), None);
    }
}
