//! What is counted for one caller.

use std::fmt;
use std::sync::Arc;

use domain::limits::{CallerCounters, LimitClass};
use parking_lot::Mutex;

use super::allowance::{Allowance, LimitReached};
use super::plans::{LimitedCaller, Plan, Plans};

/// What is counted for one caller, with the plan that it is counted by. It is part of the account that the caller of a
/// verified token holds, so that a call looks nothing up.
#[derive(Default)]
pub(crate) struct AccountLimits(Mutex<AccountState>);

#[derive(Default)]
struct AccountState {
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
        let AccountState { counters, plan, version } = &mut *state;
        let newest = plans.version();
        if *version != newest {
            (*plan, *version) = (None, newest);
        }
        let plan = plan.get_or_insert_with(|| plans.of_caller(caller));
        if plan.is_exempt {
            return Ok(Allowance::UNCOUNTED);
        }
        match counters.count(class, count, &plan.quotas, now) {
            Ok(Some(allowed)) => Ok(Allowance::new(plan.policy(class), allowed)),
            Ok(None) => Ok(Allowance::UNCOUNTED),
            Err(exceeded) => Err(LimitReached::of_caller(exceeded, plan.policy(class))),
        }
    }

    /// Forgets what was counted.
    pub(crate) fn reset(&self) {
        self.0.lock().counters = CallerCounters::default();
    }
}

impl fmt::Debug for AccountLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountLimits")
    }
}
