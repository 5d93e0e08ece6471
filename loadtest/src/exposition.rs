//! The server's metrics, in the text format of Prometheus.

use crate::http::{self, Connection};
use anyhow::Result;
use std::net::SocketAddr;

/// The samples of one scrape.
#[derive(Default)]
pub(crate) struct Exposition(Vec<MetricSample>);

struct MetricSample {
    name: String,
    /// Pairs of name and value.
    labels: Vec<(String, String)>,
    value: f64,
}

impl MetricSample {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }

    fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name && labels.iter().all(|(name, value)| self.label(name) == Some(value))
    }
}

impl Exposition {
    /// Requests the metrics from the admin listener.
    pub(crate) async fn scrape(address: SocketAddr) -> Result<Self> {
        let mut connection = Connection::open(address).await?;
        let reply = connection.exchange(&http::get("/metrics", "")).await?;
        Ok(Self::parse(&String::from_utf8_lossy(reply.success()?)))
    }

    /// Parses the text. Lines that are not samples are ignored.
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(parse_sample).collect())
    }

    /// Returns the sum of all samples with this name and these labels; `None` if there are none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut values = self.0.iter().filter(|sample| sample.is(name, labels)).map(|sample| sample.value).peekable();
        values.peek()?;
        Some(values.sum())
    }

    /// Returns the mean of a histogram or summary.
    pub(crate) fn mean(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let count = self.sum(&format!("{name}_count"), labels).filter(|count| *count > 0.0)?;
        Some(self.sum(&format!("{name}_sum"), labels)? / count)
    }

    /// Returns a quantile. For a histogram it is the upper bound of the bucket, for a summary the greatest of the
    /// samples that match.
    pub(crate) fn quantile(&self, name: &str, labels: &[(&str, &str)], quantile: f64) -> Option<f64> {
        let buckets = format!("{name}_bucket");
        let mut bounds: Vec<(f64, f64)> = Vec::new();
        for sample in self.0.iter().filter(|sample| sample.is(&buckets, labels)) {
            let bound = sample.label("le")?.parse().ok()?;
            match bounds.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += sample.value,
                None => bounds.push((bound, sample.value)),
            }
        }
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, total)) = bounds.last().copied().filter(|(_, total)| *total > 0.0) {
            return bounds.iter().find(|(_, count)| *count >= total * quantile).map(|(bound, _)| *bound);
        }
        let samples = self.0.iter().filter(|sample| sample.is(name, labels));
        let samples =
            samples.filter(|sample| sample.label("quantile").and_then(|label| label.parse().ok()) == Some(quantile));
        samples.map(|sample| sample.value).reduce(f64::max)
    }
}

/// Parses `name{label="value",…} number`.
fn parse_sample(line: &str) -> Option<MetricSample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let mut rest = labels.trim_end_matches('}');
    let mut labels = Vec::new();
    while let Some((label, after)) = rest.split_once("=\"") {
        let end = after.find('"')?;
        labels.push((label.trim_start_matches(',').to_owned(), after[..end].to_owned()));
        rest = &after[end + 1..];
    }
    Some(MetricSample { name: name.trim().to_owned(), labels, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# TYPE profile_patch_bytes histogram
profile_patch_bytes_bucket{le="128"} 60
profile_patch_bytes_bucket{le="512"} 99
profile_patch_bytes_bucket{le="+Inf"} 100
profile_patch_bytes_sum 15000
profile_patch_bytes_count 100
profile_assembly_duration_seconds{stage="merge",quantile="0.5"} 0.000002
profile_feed_events_total{source="identity",status="applied"} 7
profile_feed_events_total{source="identity",status="rejected"} 1
profile_feed_events_total{source="metadata",status="applied"} 12
"#;

    #[test]
    fn samples_are_summed_over_labels() {
        let text = Exposition::parse(TEXT);
        assert_eq!(text.sum("profile_feed_events_total", &[]), Some(20.0));
        assert_eq!(text.sum("profile_feed_events_total", &[("status", "applied")]), Some(19.0));
        assert_eq!(text.sum("profile_feed_events_total", &[("source", "identity"), ("status", "rejected")]), Some(1.0));
        assert_eq!(text.sum("profile_unknown_total", &[]), None);
    }

    #[test]
    fn histograms_and_summaries_have_quantiles_and_means() {
        let text = Exposition::parse(TEXT);
        assert_eq!(text.mean("profile_patch_bytes", &[]), Some(150.0));
        assert_eq!(text.quantile("profile_patch_bytes", &[], 0.5), Some(128.0));
        assert_eq!(text.quantile("profile_patch_bytes", &[], 0.9), Some(512.0));
        let merge = [("stage", "merge")];
        assert_eq!(text.quantile("profile_assembly_duration_seconds", &merge, 0.5), Some(0.000_002));
        assert_eq!(text.quantile("profile_assembly_duration_seconds", &merge, 0.99), None);
    }
}
