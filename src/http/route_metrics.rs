//! The metrics of one route.

use std::cell::RefCell;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram};

use crate::telemetry::metric;

/// Values of the label `method`. All other methods count as `other`, since clients can invent any number of them.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"];

/// One worker's handles of the metrics of one route. A counter is registered when it is first needed; the counters of
/// all workers are added up.
pub(super) struct RouteMetrics {
    name: &'static str,
    duration: Histogram,
    /// The counters of the methods and statuses that have occurred, which are few.
    answered: RefCell<Vec<Answered>>,
}

/// The counter of one method and status.
struct Answered {
    method: &'static str,
    status: StatusCode,
    counter: Counter,
}

impl RouteMetrics {
    /// Registers the histogram of the route `name`.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, duration: metric::request_duration(name), answered: RefCell::default() }
    }

    /// Returns the label `route`.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Counts an answer and the time that it took.
    pub(super) fn count(&self, method: &Method, status: StatusCode, took: Duration) {
        let method = METHODS.into_iter().find(|name| *name == method.as_str()).unwrap_or("other");
        let mut answered = self.answered.borrow_mut();
        match answered.iter().find(|known| known.status == status && known.method == method) {
            Some(known) => known.counter.increment(1),
            None => {
                let counter = metric::requests(self.name, method, status.as_u16());
                counter.increment(1);
                answered.push(Answered { method, status, counter });
            }
        }
        self.duration.record(took);
    }
}
