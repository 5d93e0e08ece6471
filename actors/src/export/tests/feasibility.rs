//! What an export of everyone would need: counted when somebody asks, and kept up with for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use domain::export::Feasibility;
use domain::port::journal::RowId;
use rayon::ThreadPool;
use serde_json::Value;

use super::super::feasibility::{FeasibilityCounter, Times};
use super::super::refusal::FeasibilityRefusal;
use super::super::worker::pool;
use super::fixture::{PEOPLE, columns, rules};
use crate::columns::ColumnStore;

/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(3_600);
/// Classes are counted again soon, for as long as the test takes.
const AGAIN: Times = Times { fresh: SOON, longest: LONG, followed: LONG };
/// Classes are counted once.
const ONCE: Times = Times { fresh: LONG, longest: LONG, followed: LONG };

struct Fixture {
    columns: Arc<ColumnStore>,
    is_stopping: Arc<AtomicBool>,
    counter: FeasibilityCounter,
}

impl Fixture {
    fn new(memory_bytes: u64, times: Times) -> Self {
        Self::on(pool(1).expect("a thread"), memory_bytes, times)
    }

    fn on(pool: ThreadPool, memory_bytes: u64, times: Times) -> Self {
        let (columns, is_stopping) = (Arc::new(columns()), Arc::<AtomicBool>::default());
        let counter =
            FeasibilityCounter::new(columns.clone(), Arc::new(rules()), memory_bytes, pool, is_stopping.clone());
        Self { columns, is_stopping, counter: counter.with_times(times) }
    }

    fn erase_everyone(&self) {
        (0..PEOPLE).for_each(|row| self.columns.erase(RowId(row), 1, u64::MAX >> 32));
    }

    fn rows(&self) -> Value {
        let answer = self.counter.feasibility(5, 1).expect("the columns are filled");
        answer.to_json()["rows"].clone()
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}: it did not come");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn answers_are_of_classes_that_are_counted_again_without_a_question() {
    let fixture = Fixture::new(1 << 30, AGAIN);
    assert_ne!(fixture.rows(), 0);
    fixture.counter.feasibility(10, 1).expect("the columns are filled");
    let (first, answers) = fixture.counter.counted().expect("they are kept");
    assert_eq!(answers, 2);
    fixture.erase_everyone();
    let erased = Instant::now();
    eventually("a later count", || fixture.counter.counted().is_some_and(|(at, _)| at > erased));
    assert!(fixture.counter.counted().expect("they are kept").0 > first);
    assert_eq!(fixture.counter.counted().expect("they are kept").1, 2, "both questions were answered anew");
    assert_eq!(fixture.rows(), 0);
}

#[test]
fn a_question_does_not_count_again_while_the_classes_are_new() {
    let fixture = Fixture::new(1 << 30, ONCE);
    let before = fixture.rows();
    let counted = fixture.counter.counted();
    fixture.erase_everyone();
    assert_eq!(fixture.rows(), before);
    // Numbers that are rounded up to the same k are one question, and only the last questions are remembered.
    for k in [3, 4, 5] {
        fixture.counter.feasibility(k, 1).expect("counted");
    }
    assert_eq!(fixture.counter.counted(), counted);
    for l in 1..=20 {
        fixture.counter.feasibility(5, l).expect("counted");
    }
    assert_eq!(fixture.counter.counted().map(|(at, _)| at), counted.map(|(at, _)| at));
    assert_eq!(fixture.counter.counted().map(|(_, answers)| answers), Some(8));
}

#[test]
fn nothing_is_kept_once_nobody_asks_or_the_server_stops() {
    let unasked = Fixture::new(1 << 30, Times { followed: SOON, ..AGAIN });
    unasked.rows();
    eventually("nobody asks", || unasked.counter.counted().is_none());
    assert_ne!(unasked.rows(), 0, "it begins anew");
    let stopping = Fixture::new(1 << 30, ONCE);
    stopping.rows();
    stopping.is_stopping.store(true, Ordering::Relaxed);
    eventually("the server stops", || stopping.counter.counted().is_none());
    let refused = stopping.counter.feasibility(5, 1);
    assert!(matches!(refused, Err(FeasibilityRefusal::Stopping)), "{refused:?}");
}

#[test]
fn too_many_people_are_refused_with_the_setting_that_bounds_them() {
    let fixture = Fixture::new(1_000, AGAIN);
    let refused: Result<Feasibility, _> = fixture.counter.feasibility(5, 1);
    let reason = refused.expect_err("there are more than four").to_string();
    assert!(reason.contains("export.memory_bytes"), "{reason}");
    assert!(fixture.counter.counted().is_none());
}

#[test]
fn after_an_erasure_only_answers_are_kept() {
    let fixture = Fixture::new(1 << 30, ONCE);
    let before = fixture.rows();
    let counted = fixture.counter.counted().map(|(at, _)| at);
    fixture.erase_everyone();
    fixture.counter.forget();
    assert_eq!(fixture.rows(), before, "an answer that is known has no person in it");
    assert_eq!(fixture.counter.counted().map(|(at, _)| at), counted);
    let another = fixture.counter.feasibility(10, 1).expect("the columns are filled");
    assert_eq!(another.to_json()["rows"], 0, "it needs the classes, which are counted anew");
    assert_ne!(fixture.counter.counted().map(|(at, _)| at), counted);
}

#[test]
fn classes_are_not_kept_if_somebody_was_erased_while_they_were_counted() {
    let (go, gone) = channel::<()>();
    let busy = pool(1).expect("a thread");
    busy.spawn(move || {
        let _ = gone.recv();
    });
    let fixture = Fixture::on(busy, 1 << 30, ONCE);
    thread::scope(|scope| {
        let first = scope.spawn(|| fixture.rows());
        eventually("a count", || fixture.counter.is_counting());
        fixture.counter.forget();
        drop(go);
        assert_ne!(first.join().expect("no panic"), 0);
    });
    let counted = fixture.counter.counted().map(|(at, _)| at);
    fixture.rows();
    assert_eq!(fixture.counter.counted().map(|(at, _)| at), counted, "its answer is kept");
    fixture.counter.feasibility(10, 1).expect("the columns are filled");
    assert_ne!(fixture.counter.counted().map(|(at, _)| at), counted);
}
