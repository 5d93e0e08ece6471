//! docs/metrics.md, made from the tables of metrics.

use domain::metric::{Metric, MetricKind, MetricUnit};

use super::metric;

const HEAD: &str = "\
# Metrics

`GET /metrics` on the admin listener shows these in the text format of Prometheus. No label holds anything of a user. The
metrics of the process (`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds`, …) stand beside
them.

This page is made from the tables in the source: `UPDATE=1 cargo test --test tidy metrics` writes it anew.

| metric | type | unit | labels | meaning |
|---|---|---|---|---|
";

/// The page, as it must stand in docs/metrics.md.
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
