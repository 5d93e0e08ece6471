//! How many follow, in all and of each caller.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::Gauge;
use parking_lot::Mutex;

use super::FollowError;

/// The bounded places of followers.
#[derive(Clone)]
pub(super) struct Places {
    taken: Arc<Mutex<HashMap<String, usize>>>,
    most: usize,
    most_per_caller: usize,
}

/// One follower's place; free again when dropped.
pub(super) struct Place {
    places: Places,
    caller: String,
    count: Gauge,
}

impl Places {
    pub(super) fn new(most: usize, most_per_caller: usize) -> Self {
        Self { taken: Arc::default(), most, most_per_caller }
    }

    pub(super) fn enter(&self, caller: String, count: Gauge) -> Result<Place, FollowError> {
        let mut taken = self.taken.lock();
        if taken.values().sum::<usize>() >= self.most {
            return Err(FollowError::Full);
        }
        let own = taken.entry(caller.clone()).or_default();
        if *own >= self.most_per_caller {
            return Err(FollowError::TooMany);
        }
        *own += 1;
        count.increment(1);
        Ok(Place { places: self.clone(), caller, count })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if let Some(own) = taken.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.caller);
            }
        }
        self.count.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_follower_is_gone() {
        let places = Places::new(3, 2);
        let enter = |caller: &str| places.enter(caller.to_owned(), Gauge::noop());
        let (first, second) = (enter("svc:a"), enter("svc:a"));
        assert!(first.is_ok() && second.is_ok());
        assert!(matches!(enter("svc:a"), Err(FollowError::TooMany)));
        let third = enter("svc:b");
        assert!(third.is_ok());
        assert!(matches!(enter("svc:c"), Err(FollowError::Full)));
        drop((first, third));
        assert!(enter("svc:a").is_ok());
        drop(second);
        assert!(places.taken.lock().is_empty());
    }
}
