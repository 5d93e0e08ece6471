//! The privacy budget: how much epsilon jobs may spend within 24 hours, all callers together.
//!
//! All amounts are integers in millionths. A job reserves its epsilon first. The reservation is stored **before** the job is
//! accepted, under the job's id, with [`BudgetEntry::to_bytes`], and counts for as long as the job waits. If the job ends before
//! it has read a row, the reservation can be released. It is spent when the job begins to read, and again when its result is
//! handed out: 24 hours count from the later of both, and the entry is stored each time **before** that happens. After a
//! restart every entry counts as spent, since nobody knows. So what callers got within 24 hours never exceeds the budget,
//! whenever the process ends.

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
    /// When it was reserved or, later, spent: in microseconds since the Unix epoch.
    pub counts_from: i64,
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
    /// The entry of each job, and whether it is spent. One that is not spent does not expire.
    jobs: BTreeMap<ExportJobId, (BudgetEntry, bool)>,
    /// The latest time that was given. A clock that goes back frees nothing earlier and nothing twice.
    latest: i64,
}

impl BudgetLedger {
    /// Restores the ledger from the registry's entries. All of them are spent, since the jobs may have read rows.
    pub fn restore(rules: BudgetRules, entries: impl IntoIterator<Item = (ExportJobId, BudgetEntry)>) -> Self {
        let jobs: BTreeMap<_, _> = entries.into_iter().map(|(job, entry)| (job, (entry, true))).collect();
        let latest = jobs.values().map(|(entry, _)| entry.counts_from).max().unwrap_or(i64::MIN);
        Self { rules, jobs, latest }
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
        let entry = BudgetEntry { micro_epsilon, counts_from: now };
        self.jobs.insert(job, (entry, false));
        Ok(entry)
    }

    /// Records that a job is about to read rows, or that its result is about to be handed out: its epsilon is spent, and
    /// counts for 24 hours from `now` on, in microseconds since the Unix epoch. Returns the entry, which must be stored before
    /// either happens; `None` if the job has no entry, and then it must neither read nor hand out anything.
    #[must_use]
    pub fn spend(&mut self, job: &ExportJobId, now: i64) -> Option<BudgetEntry> {
        let now = self.advance(now);
        let (entry, is_spent) = self.jobs.get_mut(job)?;
        (entry.counts_from, *is_spent) = (now, true);
        Some(*entry)
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

    /// Moves the time on and forgets what was spent more than 24 hours ago.
    fn advance(&mut self, now: i64) -> i64 {
        self.latest = self.latest.max(now);
        let latest = self.latest;
        self.jobs.retain(|_, (entry, is_spent)| !*is_spent || !entry.has_expired(latest));
        latest
    }

    fn available_now(&self) -> u32 {
        let spent: u64 = self.jobs.values().map(|(entry, _)| u64::from(entry.micro_epsilon)).sum();
        u64::from(self.rules.per_day).saturating_sub(spent) as u32
    }

    /// Returns when so much epsilon will be free, if no job begins or ends until then.
    fn free_at(&self, micro_epsilon: u32) -> i64 {
        let mut entries: Vec<_> = self.jobs.values().map(|(entry, _)| *entry).collect();
        entries.sort_unstable_by_key(|entry| entry.counts_from);
        let mut used: u64 = entries.iter().map(|entry| u64::from(entry.micro_epsilon)).sum();
        for entry in entries {
            used -= u64::from(entry.micro_epsilon);
            if used + u64::from(micro_epsilon) <= u64::from(self.rules.per_day) {
                // A job that waits may have reserved more than 24 hours ago.
                return entry.expires_at().max(self.latest);
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
        bytes.extend(self.counts_from.to_be_bytes());
        bytes
    }

    /// Returns the entry of a stored form; `None` if the bytes have another form.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (epsilon, time) = rest.split_at_checked(4)?;
        (*form == Self::FORM).then_some(())?;
        let micro_epsilon = u32::from_be_bytes(epsilon.try_into().ok()?);
        Some(Self { micro_epsilon, counts_from: i64::from_be_bytes(time.try_into().ok()?) })
    }

    /// Returns when the epsilon stops counting, which is when the stored entry expires: in microseconds since the Unix epoch.
    #[must_use]
    pub const fn expires_at(&self) -> i64 {
        self.counts_from.saturating_add(BUDGET_WINDOW_MICROS)
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

    /// A job that has reserved, as the registry and the test know it.
    #[derive(Clone, Copy)]
    struct Waiting {
        job: ExportJobId,
        micro_epsilon: u32,
        has_begun: bool,
    }

    /// A ledger, its registry, and what was handed out.
    struct Jobs {
        ledger: BudgetLedger,
        stored: BTreeMap<ExportJobId, BudgetEntry>,
        waiting: Vec<Waiting>,
        handed_out: Vec<(i64, u64)>,
    }

    impl Jobs {
        fn reserve(&mut self, job: ExportJobId, micro_epsilon: u32, now: i64, is_stored: bool) {
            let Ok(entry) = self.ledger.reserve(job, micro_epsilon, now) else { return };
            if is_stored {
                self.stored.insert(job, BudgetEntry::from_bytes(&entry.to_bytes()).expect("its own form"));
                self.waiting.push(Waiting { job, micro_epsilon, has_begun: false });
            } else {
                self.ledger.release(&job).expect("has read nothing");
            }
        }

        /// A job goes on by one step: it is cancelled before it has read anything, begins to read, or hands its result out.
        fn go_on(&mut self, at: usize, now: i64, is_cancelled: bool) {
            let Waiting { job, micro_epsilon, has_begun } = self.waiting[at];
            if is_cancelled {
                if self.ledger.release(&job).is_ok() {
                    self.stored.remove(&job);
                    self.waiting.swap_remove(at);
                }
                return;
            }
            match self.ledger.spend(&job, now) {
                Some(entry) => drop(self.stored.insert(job, entry)),
                // The entry has expired while the process was down.
                None => drop(self.waiting.swap_remove(at)),
            }
            if self.waiting.get(at).is_some_and(|waiting| waiting.job == job) {
                assert_eq!(self.ledger.release(&job), Err(NotReleasable));
                self.waiting[at].has_begun = true;
                if has_begun {
                    self.handed_out.push((now, micro_epsilon.into()));
                    self.waiting.swap_remove(at);
                }
            }
        }

        /// The process ends, and another one begins with the entries that have not expired. Jobs that ran are gone.
        fn restart(&mut self, now: i64) {
            self.stored.retain(|_, entry| entry.expires_at() > now);
            self.ledger = BudgetLedger::restore(RULES, self.stored.iter().map(|(job, entry)| (*job, *entry)));
            self.waiting.retain(|waiting| !waiting.has_begun);
        }
    }

    #[test]
    fn what_is_handed_out_within_24_hours_never_exceeds_the_budget_whenever_the_process_ends() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let ledger = BudgetLedger::restore(RULES, []);
            let mut jobs = Jobs { ledger, stored: BTreeMap::new(), waiting: Vec::new(), handed_out: Vec::new() };
            let mut now = 0;
            for number in 0..400 {
                now += random.below(HOUR as usize) as i64;
                if random.below(50) == 0 {
                    // A long wait in the queue.
                    now += random.below(40) as i64 * HOUR;
                }
                let epsilon = 10_000 * (1 + random.below(200) as u32);
                jobs.reserve(job(number), epsilon, now, random.below(10) > 0);
                for _ in 0..random.below(4) {
                    if !jobs.waiting.is_empty() {
                        let at = random.below(jobs.waiting.len());
                        jobs.go_on(at, now, random.below(5) == 0);
                    }
                }
                if random.below(20) == 0 {
                    jobs.restart(now);
                }
                let within = jobs.handed_out.iter().filter(|(at, _)| *at > now - BUDGET_WINDOW_MICROS);
                let within: u64 = within.map(|(_, epsilon)| epsilon).sum();
                assert!(within + u64::from(jobs.ledger.available(now)) <= 10_000_000, "seed {seed}, job {number}");
            }
            assert!(jobs.handed_out.len() > 50, "seed {seed}: {}", jobs.handed_out.len());
        }
    }

    #[test]
    fn a_day_counts_from_the_release_and_a_job_that_waits_keeps_what_it_reserved() {
        let mut ledger = BudgetLedger::restore(RULES, []);
        ledger.reserve(job(1), 2_000_000, 0).expect("within the budget");
        assert_eq!(ledger.available(100 * HOUR), 8_000_000, "it waits");
        let entry = ledger.spend(&job(1), 100 * HOUR).expect("has reserved");
        assert_eq!((entry.micro_epsilon, entry.expires_at()), (2_000_000, 124 * HOUR));
        let entry = ledger.spend(&job(1), 101 * HOUR).expect("has begun");
        assert_eq!(entry.expires_at(), 125 * HOUR, "the result is handed out an hour later");
        assert_eq!(ledger.available(125 * HOUR - 1), 8_000_000);
        assert_eq!(ledger.available(125 * HOUR), 10_000_000);
        assert_eq!(ledger.spend(&job(1), 125 * HOUR), None);
    }

    #[test]
    fn a_refusal_says_what_is_left_and_when_enough_will_be() {
        let mut ledger = BudgetLedger::restore(RULES, []);
        for number in 0..5 {
            let now = HOUR * i64::from(number);
            ledger.reserve(job(number), 1_900_000, now).expect("within the budget");
            assert!(ledger.spend(&job(number), now).is_some());
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
            BudgetLedger::restore(RULES, [(job(1), BudgetEntry { micro_epsilon: 9_000_000, counts_from: 30 * HOUR })]);
        assert_eq!(ledger.available(2 * HOUR), 1_000_000);
        assert_eq!(ledger.release(&job(1)), Err(NotReleasable), "after a restart nobody knows");
        assert_eq!(ledger.spend(&job(2), 30 * HOUR), None, "without a reservation");
        let entry = ledger.reserve(job(3), 500_000, HOUR).expect("within the budget");
        assert_eq!(entry.counts_from, 30 * HOUR);
        assert_eq!(BudgetEntry::from_bytes(&[2; 13]), None);
        assert_eq!(BudgetEntry::from_bytes(&entry.to_bytes()[..12]), None);
    }
}
