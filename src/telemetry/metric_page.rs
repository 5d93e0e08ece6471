//! Generates `docs/metrics.md` from the tables of metrics.

use domain::metric::{Metric, MetricKind, MetricUnit};

use super::metric;

const HEAD: &str = "\
# Metrics

`GET /metrics` on the admin listener returns these metrics in the text format of Prometheus. No label contains data of a
user. The response also contains metrics of the process, such as `process_cpu_seconds_total`,
`process_resident_memory_bytes` and `process_open_fds`.

This page is generated from the tables in the source code by `UPDATE=1 cargo test --workspace --test tidy metrics`.

| metric | type | unit | labels | meaning |
|---|---|---|---|---|
";

/// Returns the text of `docs/metrics.md`.
pub fn page() -> String {
    let mut metrics: Vec<&Metric> = metric::all().collect();
    metrics.sort_by_key(|metric| metric.name);
    metrics.into_iter().fold(HEAD.to_owned(), |page, metric| page + &row(metric))
}

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    let unit = match metric.unit {
        MetricUnit::Count => "",
        MetricUnit::Seconds => "seconds",
        MetricUnit::Bytes => "bytes",
        MetricUnit::Percent => "percent",
    };
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    format!("| `{}` | {kind} | {unit} | {} | {} |\n", metric.name, labels.join(", "), metric.help)
}
