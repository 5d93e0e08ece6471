//! Commit permits: the one bound on everything that is pending.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Busy;

/// A fixed number of permits.
#[derive(Debug)]
pub(crate) struct Permits {
    free: AtomicUsize,
    total: usize,
}

/// One commit's right to be pending; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Permits>);

impl Permits {
    pub(crate) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(total), total })
    }

    /// Takes a permit, or says busy at once.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Permit, Busy> {
        let one_less = |free: usize| free.checked_sub(1);
        match self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Ok(Permit(Arc::clone(self))),
            Err(_) => Err(Busy),
        }
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.total - self.free.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_free_again_when_it_is_dropped() {
        let permits = Permits::new(1);
        let permit = permits.take().expect("one is free");
        assert_eq!((permits.take().err(), permits.taken()), (Some(Busy), 1));
        drop(permit);
        assert_eq!(permits.taken(), 0);
        assert!(permits.take().is_ok());
    }
}
