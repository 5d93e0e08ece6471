//! Periodic work: metrics, the ages of keys, expired tickets, the tables of the operator, the rate limits, counts for the audit log,
//! erasures that are due, and the operator's view.

use std::sync::Arc;
use std::time::Duration;

use domain::port::clock::Clock;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::erasure::Erasures;
use crate::http::ChangeOrigin;
use crate::key_ages::KeyAges;
use crate::shared_parts::SharedParts;
use crate::wiring;

/// Time between two rounds.
const TICK: Duration = Duration::from_secs(1);
/// Rounds between two looks at the ages of keys.
const KEY_AGE_ROUNDS: u64 = 60;

/// Work that is done once a second while the server runs.
pub(crate) struct Upkeep {
    shared: SharedParts,
    key_ages: Arc<KeyAges>,
    prometheus: PrometheusHandle,
    erasures: Erasures,
    /// The clock of the system: the audit log has its time, even if the clock of assembly is fixed.
    clock: Arc<dyn Clock>,
}

impl Upkeep {
    /// Returns the upkeep of these parts.
    pub(crate) fn new(
        shared: SharedParts,
        key_ages: Arc<KeyAges>,
        prometheus: PrometheusHandle,
        erasures: Erasures,
    ) -> Self {
        Self { shared, key_ages, prometheus, erasures, clock: wiring::wall_clock() }
    }

    /// Runs until its task is aborted.
    pub(crate) async fn run(self) {
        let mut tick = tokio::time::interval(TICK);
        for round in 0_u64.. {
            tick.tick().await;
            self.round();
            if round % KEY_AGE_ROUNDS == 0 {
                let ages = Arc::clone(&self.key_ages);
                // Not waited for: it may store when a credential was first seen.
                drop(tokio::task::spawn_blocking(move || ages.observe()));
            }
            // Last, since it waits for the audit log if a table has changed.
            self.shared.reloader.reload(&ChangeOrigin::watcher()).await;
        }
    }

    /// Does what never waits. The guard of the hot paths leaves this function out of its counts by its name.
    #[inline(never)]
    fn round(&self) {
        self.prometheus.run_upkeep();
        self.shared.tickets.sweep();
        self.shared.limits.upkeep();
        self.shared.denials.tick();
        self.shared.service_reads.tick(self.clock.now_micros());
        self.erasures.tick();
        self.shared.operations.upkeep(&self.prometheus);
    }
}
