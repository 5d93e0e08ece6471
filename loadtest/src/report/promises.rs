//! The targets of the original design, which are a minimum and not the goals, and the measured values.

use super::{Goal, ScenarioReport};
use crate::exposition::Exposition;
use serde::Serialize;

/// A target of the original design.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Promise {
    /// What was promised.
    pub(crate) what: String,
    /// The target.
    pub(crate) goal: Goal,
    pub(crate) unit: &'static str,
    /// The measured value, or `None` if no scenario that ran measures it.
    pub(crate) measured: Option<f64>,
}

const ASSEMBLY: &str = "profile_assembly_duration_seconds";

/// The stages of an assembly by their label, and the maximum milliseconds of each.
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

/// The scenarios that measure any of the targets.
const MEASURED_BY: [&str; 4] = ["read", "post", "live", "ingest"];

/// Returns all targets, or none if no scenario ran that measures any.
pub(crate) fn from_reports(reports: &[ScenarioReport]) -> Vec<Promise> {
    let any = reports.iter().any(|report| MEASURED_BY.contains(&report.scenario.as_str()));
    if any { all(reports) } else { Vec::new() }
}

/// Returns all targets, in the order of the original design.
fn all(reports: &[ScenarioReport]) -> Vec<Promise> {
    let sources = PromiseSources(reports);
    let mut promises = Vec::new();
    let mut add = |what: &str, goal, unit, measured| {
        promises.push(Promise { what: what.to_owned(), goal, unit, measured });
    };
    add("assembly, p50", Goal::AtMost(100.0), "ms", sources.assembly(0.5));
    add("assembly, p99", Goal::AtMost(200.0), "ms", sources.assembly(0.99));
    for (stage, most) in STAGES {
        add(&format!("  {stage}, p99"), Goal::AtMost(most), "ms", sources.stage(stage, 0.99));
    }
    add("cache hit ratio", Goal::AtLeast(85.0), "%", sources.cache_hits());
    add("mean completeness of the population", Goal::AtLeast(70.0), "%", sources.completeness());
    add("schema validation pass rate", Goal::AtLeast(99.9), "%", sources.pass_rate());
    add("mean patch", Goal::AtMost(2_048.0), "B", sources.figure("live", "mean patch"));
    add("history per user and month", Goal::AtMost(51_200.0), "B", None);
    add("assemblies", Goal::AtLeast(5_000.0), "/s", sources.figure("ingest", "durable events"));
    add("freshness, p99", Goal::AtMost(30_000.0), "ms", sources.figure("live", "event to frame, p99"));
    add("metadata read, p95", Goal::AtMost(20.0), "ms", sources.detail("read", "open_p95_ms"));
    add("metadata write, p95", Goal::AtMost(50.0), "ms", sources.detail("post", "open_p95_ms"));
    add("encryption, per field", Goal::AtMost(5.0), "ms", None);
    promises
}

/// The reports from which measured values are taken.
struct PromiseSources<'a>(&'a [ScenarioReport]);

impl PromiseSources<'_> {
    /// Reads a value from the metrics of the first of these scenarios that has it.
    fn first(&self, scenarios: &[&str], read: impl Fn(&Exposition) -> Option<f64>) -> Option<f64> {
        let ran = scenarios.iter().filter_map(|name| self.0.iter().find(|report| report.scenario == *name));
        ran.into_iter().find_map(|report| read(&report.exposition))
    }

    /// Returns a quantile of one stage in milliseconds. It is the upper bound of a bucket, so not less than the real
    /// value.
    fn stage(&self, stage: &str, quantile: f64) -> Option<f64> {
        let read = |metrics: &Exposition| metrics.quantile(ASSEMBLY, &[("stage", stage)], quantile);
        self.first(&["live", "post", "ingest"], read).map(|seconds| seconds * 1_000.0)
    }

    /// Returns the sum over the stages, which is an upper bound of the quantile of the sum.
    fn assembly(&self, quantile: f64) -> Option<f64> {
        STAGES.iter().filter_map(|(stage, _)| self.stage(stage, quantile)).reduce(|sum, stage| sum + stage)
    }

    fn cache_hits(&self) -> Option<f64> {
        const REQUESTS: &str = "profile_cache_requests_total";
        self.first(&["read"], |metrics| {
            let hits = metrics.sum(REQUESTS, &[("result", "hit")])?;
            Some(100.0 * hits / metrics.sum(REQUESTS, &[])?)
        })
    }

    fn completeness(&self) -> Option<f64> {
        // An ingest run ends before every user has events from every source.
        self.first(&["post", "live"], |metrics| metrics.mean("profile_completeness_pct", &[]))
    }

    fn pass_rate(&self) -> Option<f64> {
        const EVENTS: &str = "profile_feed_events_total";
        self.first(&["ingest", "post", "live"], |metrics| {
            let rejected = metrics.sum(EVENTS, &[("status", "rejected")]).unwrap_or_default();
            let all = metrics.sum(EVENTS, &[]).filter(|all| *all > 0.0)?;
            Some(100.0 * (1.0 - rejected / all))
        })
    }

    fn figure(&self, scenario: &str, what: &str) -> Option<f64> {
        let report = self.0.iter().find(|report| report.scenario == scenario)?;
        report.figures.iter().find(|figure| figure.what == what).map(|figure| figure.value)
    }

    fn detail(&self, scenario: &str, name: &str) -> Option<f64> {
        let report = self.0.iter().find(|report| report.scenario == scenario)?;
        report.details.get(name)?.as_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_looked_up_in_metrics_and_figures() {
        let mut ingest = ScenarioReport::new("ingest");
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
        assert!(from_reports(&[ScenarioReport::new("bodies")]).is_empty(), "nothing of them is measured there");
    }
}
