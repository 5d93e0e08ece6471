//! `GET /api/v2/operations`: what the server does now, and what it did in the last hour, for operators.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::request::context::RequestContext;

/// Time between two samples.
const STEP: Duration = Duration::from_secs(5);
/// Number of samples that are kept: those of an hour.
const SAMPLES: usize = 720;

/// The metrics of the view. Values of all labels are added up.
const METRICS: [&str; 14] = [
    "profile_http_requests_total",
    "profile_http_connections",
    "profile_http_in_flight_bytes",
    "profile_feed_events_total",
    "profile_rate_limited_total",
    "profile_actors_live",
    "profile_actors_hydrated_total",
    "profile_actors_passivated_total",
    "profile_mailbox_rejected_total",
    "profile_warm_users",
    "profile_cache_requests_total",
    "profile_live_connections",
    "profile_live_frames_total",
    "profile_store_bytes",
];

type Sample = [f64; METRICS.len()];

/// The samples of the last hour, in memory.
pub(crate) struct OperationsHistory(Mutex<Samples>);

struct Samples {
    taken: VecDeque<Sample>,
    last: Option<Instant>,
}

impl OperationsHistory {
    /// Returns a history without samples.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Samples { taken: VecDeque::new(), last: None }))
    }

    /// Takes a sample if one is due. It is called about once a second.
    pub(crate) fn upkeep(&self, metrics: &PrometheusHandle) {
        let now = Instant::now();
        // Upkeep comes a little early or late, and a step must not become six seconds for that.
        let is_due = |last: Instant| now.duration_since(last) + Duration::from_millis(500) >= STEP;
        if self.0.lock().last.is_none_or(is_due) {
            let sample = sample(metrics);
            self.0.lock().add(sample, now);
        }
    }
}

impl Samples {
    fn add(&mut self, sample: Sample, now: Instant) {
        if self.taken.len() >= SAMPLES {
            self.taken.pop_front();
        }
        self.taken.push_back(sample);
        self.last = Some(now);
    }
}

/// Reads the metrics of the view.
fn sample(metrics: &PrometheusHandle) -> Sample {
    sums(&metrics.render())
}

/// Adds up the values of each metric in the text format of Prometheus.
fn sums(text: &str) -> Sample {
    let mut sums = [0.0; METRICS.len()];
    for line in text.lines() {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let Some(index) = METRICS.iter().position(|metric| *metric == name) else { continue };
        let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        sums[index] += value.filter(|value| value.is_finite()).unwrap_or(0.0);
    }
    sums
}

/// Answers with the values now, and with the samples of the last hour by metric, oldest first.
pub(super) async fn get(
    _: &RequestContext,
    (history, metrics): (Data<OperationsHistory>, Data<PrometheusHandle>),
) -> Result<HttpResponse, Problem> {
    let named = |value: &dyn Fn(usize) -> Value| -> Map<String, Value> {
        METRICS.iter().enumerate().map(|(index, name)| ((*name).to_owned(), value(index))).collect()
    };
    let current = sample(&metrics);
    let samples = history.0.lock();
    let last = samples.last.map(|last| last.elapsed().as_secs());
    let series = named(&|index| samples.taken.iter().map(|sample| sample[index]).collect());
    let body = json!({
        "current": named(&|index| current[index].into()),
        "history": { "step_s": STEP.as_secs(), "last_sample_age_s": last, "series": series },
    });
    drop(samples);
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_all_labels_are_added_up() {
        let text = "# TYPE profile_http_requests_total counter\n\
                    profile_http_requests_total{route=\"a\"} 2\n\
                    profile_http_requests_total{route=\"b c\"} 3\n\
                    profile_http_requests_totally 9\n\
                    profile_live_connections 4\n\
                    profile_warm_users NaN\n";
        let sums = sums(text);
        let of = |name: &str| sums[METRICS.iter().position(|metric| *metric == name).unwrap()];
        assert_eq!((of("profile_http_requests_total"), of("profile_live_connections")), (5.0, 4.0));
        assert!(of("profile_warm_users").abs() < 1e-9);
    }

    #[test]
    fn an_hour_is_kept() {
        let history = OperationsHistory::new();
        for number in 0..SAMPLES + 5 {
            history.0.lock().add([number as f64; METRICS.len()], Instant::now());
        }
        let samples = history.0.lock();
        assert_eq!((samples.taken.len(), samples.taken[0][0]), (SAMPLES, 5.0));
    }
}
