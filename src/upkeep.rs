//! Periodic work beside serving requests: metrics, expired tickets, the access table.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use config::AccessFile;
use domain::access::Policy;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::live::Tickets;
use crate::start_error::StartError;

/// Time between two rounds.
const TICK: Duration = Duration::from_secs(1);

/// Periodic work beside serving requests.
pub(crate) struct Upkeep {
    pub(crate) profiles: actors::Profiles,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) access_file: AccessFile,
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) prometheus: PrometheusHandle,
}

impl Upkeep {
    /// Works until it is aborted.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            self.prometheus.run_upkeep();
            self.tickets.sweep();
            self.reload_access_table();
        }
    }

    /// Applies a change of `access.toml`. A table that is not valid is logged once, and the one in use stays.
    fn reload_access_table(&mut self) {
        let mut look = || {
            let table = self.access_file.look()?;
            Ok::<_, StartError>(table.map(|table| Policy::compile(&table.rules)).transpose()?)
        };
        match look() {
            Ok(Some(policy)) if policy.version != self.policy.load().version => {
                tracing::info!(version = policy.version, "the access table has changed");
                self.policy.store(Arc::new(policy));
                self.profiles.follow_policy();
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "`access.toml` is not valid: the access table in use stays"),
        }
    }
}
