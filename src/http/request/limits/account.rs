//! What is counted for one caller.

use std::fmt;
use std::sync::Arc;

use domain::limits::{CallerCounters, LimitClass, RestingCounters};
use parking_lot::Mutex;

use super::allowance::{Allowance, LimitReached};
use super::plans::{LimitedCaller, Plan, Plans};

/// What is counted for one caller, with the plan that it is counted by. It is part of the account that the caller of a
/// verified token holds, so that a call looks nothing up.
#[derive(Default)]
pub(crate) struct AccountLimits(Mutex<AccountState>);

#[derive(Default)]
struct AccountState {
    /// What was counted before the caller was silent, until its next call.
    resting: Option<RestingCounters>,
    counters: CallerCounters,
    plan: Option<Arc<Plan>>,
    /// The version of the plans when the plan was looked up.
    version: u64,
}

impl AccountLimits {
    /// Counts `count` calls of a class at the time `now`.
    pub(super) fn count(
        &self,
        caller: LimitedCaller<'_>,
        class: LimitClass,
        count: u32,
        plans: &Plans,
        now: u64,
    ) -> Result<Allowance, LimitReached> {
        let mut state = self.0.lock();
        let AccountState { resting, counters, plan, version } = &mut *state;
        if let Some(resting) = resting.take() {
            *counters = resting.into();
        }
        let newest = plans.version();
        if *version != newest {
            (*plan, *version) = (None, newest);
        }
        let plan = plan.get_or_insert_with(|| plans.of_caller(caller));
        if plan.is_exempt {
            return Ok(Allowance::UNCOUNTED);
        }
        match counters.count(class, count, &plan.quotas, now) {
            Ok(Some(allowed)) => Ok(Allowance::new(plan.policy(class), allowed.class.name(), allowed.left)),
            Ok(None) => Ok(Allowance::UNCOUNTED),
            Err(exceeded) => Err(LimitReached::of_caller(exceeded, plan.policy(class))),
        }
    }

    /// Returns limits that continue with what a silent caller has called.
    pub(crate) fn resume(resting: RestingCounters) -> Self {
        Self(Mutex::new(AccountState { resting: Some(resting), ..AccountState::default() }))
    }

    /// Returns what is still counted at the time `now`; `None` if that is nothing.
    pub(crate) fn rest(&self, now: u64) -> Option<RestingCounters> {
        let AccountState { resting, counters, plan, .. } = &mut *self.0.lock();
        match resting.take() {
            Some(resting) => Some(resting).filter(|resting| !resting.is_idle(now)),
            None => RestingCounters::new(counters, &plan.as_ref()?.quotas, now),
        }
    }

    /// Forgets what was counted.
    pub(crate) fn reset(&self) {
        let mut state = self.0.lock();
        (state.resting, state.counters) = (None, CallerCounters::default());
    }
}

impl fmt::Debug for AccountLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountLimits")
    }
}
