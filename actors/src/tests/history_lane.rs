//! What the lane of reads through history counts.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use domain::port::store::StoreError;
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn};

use super::harness::run;
use super::ram_store::RamStore;
use crate::ReadError;
use crate::history_lane::{HistoryLane, HistoryReader};
use crate::metric::HistoryMetrics;

/// A metric that can be read: a count, the value of a gauge, or the number of durations.
#[derive(Default)]
struct Figure(AtomicU64);

impl CounterFn for Figure {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Figure {
    fn increment(&self, value: f64) {
        self.0.fetch_add(value as u64, Ordering::Relaxed);
    }

    fn decrement(&self, value: f64) {
        self.0.fetch_sub(value as u64, Ordering::Relaxed);
    }

    fn set(&self, value: f64) {
        self.0.store(value as u64, Ordering::Relaxed);
    }
}

impl HistogramFn for Figure {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Figures {
    waiting: Arc<Figure>,
    done: Arc<Figure>,
    failed: Arc<Figure>,
    refused: Arc<Figure>,
    abandoned: Arc<Figure>,
    wait: Arc<Figure>,
    read: Arc<Figure>,
}

impl Figures {
    fn metrics(&self) -> HistoryMetrics {
        let counter = |figure: &Arc<Figure>| Counter::from_arc(Arc::clone(figure));
        let histogram = |figure: &Arc<Figure>| Histogram::from_arc(Arc::clone(figure));
        HistoryMetrics {
            waiting: Gauge::from_arc(Arc::clone(&self.waiting)),
            done: counter(&self.done),
            failed: counter(&self.failed),
            refused: counter(&self.refused),
            abandoned: counter(&self.abandoned),
            wait: histogram(&self.wait),
            read: histogram(&self.read),
        }
    }

    /// Returns waiting, done, failed, refused, abandoned, and how many durations there are of each stage.
    fn now(&self) -> [u64; 7] {
        let Self { waiting, done, failed, refused, abandoned, wait, read } = self;
        [waiting, done, failed, refused, abandoned, wait, read].map(|figure| figure.0.load(Ordering::Relaxed))
    }
}

/// Begins a read, which then waits for a thread.
#[track_caller]
fn begin<T>(read: Pin<&mut impl Future<Output = T>>) {
    assert!(read.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn a_read_through_history_is_counted_by_what_becomes_of_it() {
    let figures = Figures::default();
    let lane = Arc::new(HistoryLane::new(2, figures.metrics()));
    let reader = HistoryReader::new(Arc::new(RamStore::default()), Arc::clone(&lane));
    run(async {
        let mut first = Box::pin(lane.read(|_| Ok(1)));
        let mut second = Box::pin(lane.read(|_| Err::<(), _>(StoreError::Damaged { what: "a block".to_owned() })));
        begin(first.as_mut());
        begin(second.as_mut());
        assert_eq!(figures.now(), [2, 0, 0, 0, 0, 0, 0]);
        assert!(matches!(lane.read(|_| Ok(2)).await, Err(ReadError::Busy)));
        assert_eq!(figures.now(), [2, 0, 0, 1, 0, 0, 0]);
        assert!(reader.step(false));
        assert!(matches!(first.await, Ok(1)));
        assert_eq!(figures.now(), [1, 1, 0, 1, 0, 1, 1]);
        assert!(reader.step(false));
        assert!(matches!(second.await, Err(ReadError::Unavailable)));
        assert_eq!(figures.now(), [0, 1, 1, 1, 0, 2, 2]);
        let mut third = Box::pin(lane.read(|_| Ok(3)));
        begin(third.as_mut());
        drop(third);
        assert!(reader.step(false) && !reader.step(false));
        assert_eq!(figures.now(), [0, 1, 1, 1, 1, 2, 2], "nobody waited for it, so it was not begun");
        let mut last = Box::pin(lane.read(|_| Ok(4)));
        begin(last.as_mut());
        lane.close();
        assert!(matches!(last.await, Err(ReadError::Busy)) && !reader.step(true));
        assert_eq!(figures.now()[0], 0);
    });
}
