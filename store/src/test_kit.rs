//! Shared helpers of the unit tests.

mod crashing_disk;

pub(crate) use crashing_disk::CrashingDisk;
use domain::port::clock::Entropy;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Reproducible bytes from a seed.
pub(crate) struct TestEntropy(Mutex<StdRng>);

impl TestEntropy {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Entropy for TestEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill_bytes(bytes);
    }
}
