//! Periodic work: metrics, expired tickets, the access table and the rate limits.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use config::{AccessTable, Settings, Watched};
use domain::access::Policy;
use domain::limits::LimitRules;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::http::request::limits::Limits;
use crate::http::request::tickets::Tickets;
use crate::start_error::StartError;
use crate::wiring::Components;

/// Time between two rounds.
const TICK: Duration = Duration::from_secs(1);

/// Work that is done once a second while the server runs.
pub(crate) struct Upkeep {
    profiles: actors::Profiles,
    policy: Arc<ArcSwap<Policy>>,
    access_file: Watched<AccessTable>,
    limits: Arc<Limits>,
    limits_file: Watched<LimitRules>,
    tickets: Arc<Tickets>,
    prometheus: PrometheusHandle,
}

impl Upkeep {
    /// Returns the upkeep of a server that is made of `components`.
    pub(crate) fn new(
        settings: &Settings,
        components: &Components,
        tickets: &Arc<Tickets>,
        limits: &Arc<Limits>,
        prometheus: &PrometheusHandle,
    ) -> Self {
        Self {
            profiles: components.profiles.clone(),
            policy: Arc::clone(&components.policy),
            // The first round applies a change that came after the table was loaded.
            access_file: AccessTable::watch(&settings.data_dir),
            limits: Arc::clone(limits),
            limits_file: config::watch_limits(&settings.data_dir),
            tickets: Arc::clone(tickets),
            prometheus: prometheus.clone(),
        }
    }

    /// Runs until its task is aborted.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            self.prometheus.run_upkeep();
            self.tickets.sweep();
            self.reload_access_table();
            self.reload_limits();
            self.limits.upkeep();
        }
    }

    /// Applies a change of `limits.toml`. If the new limits are not valid, that is logged once and the old ones stay in use.
    fn reload_limits(&mut self) {
        match self.limits_file.look() {
            Ok(Some(rules)) => {
                tracing::info!("the rate limits were read again");
                self.limits.follow(rules);
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "`limits.toml` is not valid: the limits in use are kept"),
        }
    }

    /// Applies a change of `access.toml`. If the new table is not valid, that is logged once and the old one stays in
    /// use.
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
            Err(error) => tracing::error!(%error, "`access.toml` is not valid: the access table in use is kept"),
        }
    }
}
