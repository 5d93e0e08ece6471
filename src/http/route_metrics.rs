//! The metrics of one route.

use std::cell::RefCell;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram};

use crate::telemetry::metric;

/// Values of the label `method`. Any other method counts as the last one: clients may invent methods without end.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"];

/// One worker's handles of the metrics of one route. Each counter is registered when it is first needed, and all workers
/// count into the same one.
pub(super) struct RouteMetrics {
    name: &'static str,
    duration: Histogram,
    /// Few: those of the methods and statuses that occurred.
    answered: RefCell<Vec<Answered>>,
}

struct Answered {
    method: &'static str,
    status: StatusCode,
    counter: Counter,
}

impl RouteMetrics {
    /// Registers the duration of the route `name`.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, duration: metric::request_duration(name), answered: RefCell::default() }
    }

    /// The label `route`.
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
