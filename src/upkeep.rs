//! Periodic work: metrics, expired tickets, the tables of the operator, the rate limits and the operator's view.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::shared_parts::SharedParts;

/// Time between two rounds.
const TICK: Duration = Duration::from_secs(1);

/// Work that is done once a second while the server runs.
pub(crate) struct Upkeep {
    shared: SharedParts,
    prometheus: PrometheusHandle,
}

impl Upkeep {
    /// Returns the upkeep of these parts.
    pub(crate) fn new(shared: SharedParts, prometheus: PrometheusHandle) -> Self {
        Self { shared, prometheus }
    }

    /// Runs until its task is aborted.
    pub(crate) async fn run(self) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            self.prometheus.run_upkeep();
            self.shared.tickets.sweep();
            self.shared.reloader.reload();
            self.shared.limits.upkeep();
            self.shared.operations.upkeep(&self.prometheus);
        }
    }
}
