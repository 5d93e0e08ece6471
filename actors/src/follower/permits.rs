//! The limits on the number of followers, in all and of each caller.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::Gauge;
use parking_lot::Mutex;

use super::error::FollowError;

/// Counts the followers of each caller.
#[derive(Clone)]
pub(super) struct FollowerPermits {
    taken: Arc<Mutex<HashMap<String, usize>>>,
    max: usize,
    max_per_caller: usize,
}

/// One follower's permit, given back when it is dropped.
pub(super) struct FollowerPermit {
    permits: FollowerPermits,
    caller: String,
    gauge: Gauge,
}

impl FollowerPermits {
    pub(super) fn new(max: usize, max_per_caller: usize) -> Self {
        Self { taken: Arc::default(), max, max_per_caller }
    }

    /// Takes a permit for `caller`. `gauge` counts the permits that are taken.
    pub(super) fn take(&self, caller: String, gauge: Gauge) -> Result<FollowerPermit, FollowError> {
        let mut taken = self.taken.lock();
        if taken.values().sum::<usize>() >= self.max {
            return Err(FollowError::Full);
        }
        let own = taken.entry(caller.clone()).or_default();
        if *own >= self.max_per_caller {
            return Err(FollowError::TooMany);
        }
        *own += 1;
        gauge.increment(1);
        Ok(FollowerPermit { permits: self.clone(), caller, gauge })
    }
}

impl Drop for FollowerPermit {
    fn drop(&mut self) {
        let mut taken = self.permits.taken.lock();
        if let Some(own) = taken.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.caller);
            }
        }
        self.gauge.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_free_again_when_its_follower_is_gone() {
        let permits = FollowerPermits::new(3, 2);
        let take = |caller: &str| permits.take(caller.to_owned(), Gauge::noop());
        let (first, second) = (take("svc:a"), take("svc:a"));
        assert!(first.is_ok() && second.is_ok());
        assert!(matches!(take("svc:a"), Err(FollowError::TooMany)));
        let third = take("svc:b");
        assert!(third.is_ok());
        assert!(matches!(take("svc:c"), Err(FollowError::Full)));
        drop((first, third));
        assert!(take("svc:a").is_ok());
        drop(second);
        assert!(permits.taken.lock().is_empty());
    }
}
