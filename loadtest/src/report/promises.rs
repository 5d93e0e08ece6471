//! What the original design promised for itself (a floor, not the goal), and what was measured of it.

use super::{Goal, Outcome};
use crate::exposition::Exposition;
use serde::Serialize;

/// One promise.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Promise {
    /// What was promised.
    pub(crate) what: String,
    /// The promise.
    pub(crate) goal: Goal,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// What was measured; nothing where the scenarios that ran cannot tell.
    pub(crate) measured: Option<f64>,
}

const ASSEMBLY: &str = "profile_assembly_duration_seconds";

/// The stages of an assembly, by their label, and the milliseconds that each may take.
const STAGES: [(&str, f64); 10] = [
    ("trigger", 5.0),
    ("routing", 2.0),
    ("fetch", 100.0),
    ("validate", 10.0),
    ("merge", 15.0),
    ("enrich", 20.0),
    ("diff", 15.0),
    ("mask", 5.0),
    ("serialize", 10.0),
    ("persist_publish", 20.0),
];

/// The scenarios that measure any of them.
const MEASURED_BY: [&str; 4] = ["read", "post", "live", "ingest"];

/// All of them, unless no scenario ran that measures any.
pub(crate) fn of(outcomes: &[Outcome]) -> Vec<Promise> {
    let any = outcomes.iter().any(|outcome| MEASURED_BY.contains(&outcome.scenario.as_str()));
    if any { all(outcomes) } else { Vec::new() }
}

/// All of them, in the order in which they were made.
fn all(outcomes: &[Outcome]) -> Vec<Promise> {
    let told_by = Told(outcomes);
    let mut promises = Vec::new();
    let mut add = |what: &str, goal, unit, measured| {
        promises.push(Promise { what: what.to_owned(), goal, unit, measured });
    };
    add("assembly, p50", Goal::AtMost(100.0), "ms", told_by.assembly(0.5));
    add("assembly, p99", Goal::AtMost(200.0), "ms", told_by.assembly(0.99));
    for (stage, most) in STAGES {
        add(&format!("  {stage}, p99"), Goal::AtMost(most), "ms", told_by.stage(stage, 0.99));
    }
    add("cache hit ratio", Goal::AtLeast(85.0), "%", told_by.cache_hits());
    add("mean completeness of the population", Goal::AtLeast(70.0), "%", told_by.completeness());
    add("schema validation pass rate", Goal::AtLeast(99.9), "%", told_by.pass_rate());
    add("mean patch", Goal::AtMost(2_048.0), "B", told_by.figure("live", "mean patch"));
    add("history per user and month", Goal::AtMost(51_200.0), "B", None);
    add("assemblies", Goal::AtLeast(5_000.0), "/s", told_by.figure("ingest", "durable events"));
    add("freshness, p99", Goal::AtMost(30_000.0), "ms", told_by.figure("live", "event to frame, p99"));
    add("metadata read, p95", Goal::AtMost(20.0), "ms", told_by.detail("read", "open_p95_ms"));
    add("metadata write, p95", Goal::AtMost(50.0), "ms", told_by.detail("post", "open_p95_ms"));
    add("encryption, per field", Goal::AtMost(5.0), "ms", None);
    promises
}

/// Where the answers are looked up.
struct Told<'a>(&'a [Outcome]);

impl Told<'_> {
    /// What the first of these scenarios that ran and can tell says.
    fn first(&self, scenarios: &[&str], ask: impl Fn(&Exposition) -> Option<f64>) -> Option<f64> {
        let ran = scenarios.iter().filter_map(|name| self.0.iter().find(|outcome| outcome.scenario == *name));
        ran.into_iter().find_map(|outcome| ask(&outcome.exposition))
    }

    /// A quantile of one stage, in milliseconds. A bucket's upper bound, so rather too much than too little.
    fn stage(&self, stage: &str, quantile: f64) -> Option<f64> {
        let ask = |told: &Exposition| told.quantile(ASSEMBLY, &[("stage", stage)], quantile);
        self.first(&["live", "post", "ingest"], ask).map(|seconds| seconds * 1_000.0)
    }

    /// No more than the sum of what the stages took.
    fn assembly(&self, quantile: f64) -> Option<f64> {
        STAGES.iter().filter_map(|(stage, _)| self.stage(stage, quantile)).reduce(|sum, stage| sum + stage)
    }

    fn cache_hits(&self) -> Option<f64> {
        const REQUESTS: &str = "profile_cache_requests_total";
        self.first(&["read"], |told| {
            let hits = told.sum(REQUESTS, &[("result", "hit")])?;
            Some(100.0 * hits / told.sum(REQUESTS, &[])?)
        })
    }

    fn completeness(&self) -> Option<f64> {
        // Not of an ingest, which is over before every engine has spoken of every user.
        self.first(&["post", "live"], |told| told.mean("profile_completeness_pct", &[]))
    }

    fn pass_rate(&self) -> Option<f64> {
        const EVENTS: &str = "profile_feed_events_total";
        self.first(&["ingest", "post", "live"], |told| {
            let rejected = told.sum(EVENTS, &[("status", "rejected")]).unwrap_or_default();
            let all = told.sum(EVENTS, &[]).filter(|all| *all > 0.0)?;
            Some(100.0 * (1.0 - rejected / all))
        })
    }

    fn figure(&self, scenario: &str, what: &str) -> Option<f64> {
        let outcome = self.0.iter().find(|outcome| outcome.scenario == scenario)?;
        outcome.figures.iter().find(|figure| figure.what == what).map(|figure| figure.value)
    }

    fn detail(&self, scenario: &str, name: &str) -> Option<f64> {
        let outcome = self.0.iter().find(|outcome| outcome.scenario == scenario)?;
        outcome.details.get(name)?.as_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_looked_up_in_metrics_and_figures() {
        let mut ingest = Outcome::new("ingest");
        ingest.figure("durable events", 41_000.0, "/s");
        ingest.exposition = Exposition::parse(
            "profile_assembly_duration_seconds_bucket{stage=\"merge\",le=\"0.00005\"} 99\n\
             profile_assembly_duration_seconds_bucket{stage=\"merge\",le=\"+Inf\"} 100\n\
             profile_feed_events_total{source=\"identity\",status=\"applied\"} 999\n\
             profile_feed_events_total{source=\"identity\",status=\"rejected\"} 1\n",
        );
        let promises = all(&[ingest]);
        let measured = |what: &str| promises.iter().find(|promise| promise.what == what).expect("a promise").measured;
        assert_eq!(measured("assemblies"), Some(41_000.0));
        assert_eq!(measured("  merge, p99"), Some(0.05));
        assert_eq!(measured("assembly, p50"), Some(0.05));
        assert_eq!(measured("  fetch, p99"), None);
        assert_eq!(measured("schema validation pass rate"), Some(99.9));
        assert_eq!(measured("freshness, p99"), None);
        assert!(of(&[Outcome::new("bodies")]).is_empty(), "nothing of them is measured there");
    }
}
