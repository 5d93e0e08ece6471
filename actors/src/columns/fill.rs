//! Filling the columns at a start: from what a checkpoint saved, or by a scan of all users.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use domain::columns::{Dictionaries, Row, layout};
use domain::port::journal::RowId;
use domain::port::projection::{ProjectionStore, SavedProjection, StoredState, UserScan, VisitedUser};
use domain::port::store::StoreError;
use domain::record::{self, DecodeError};

use super::column_store::{ColumnStore, erased_row};
use super::saved;
use super::workers::{Interrupted, Pace, share};
use crate::row_set::RowSet;

/// Time before a fill that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Time between two lines in the log about a scan.
const PROGRESS: Duration = Duration::from_secs(2);
/// A fill that took so long is worth a line in the log.
const NOTABLE: Duration = Duration::from_millis(100);

/// Fills the columns, once.
pub(crate) struct Filler {
    store: Arc<dyn ProjectionStore>,
    saved: Option<Box<dyn SavedProjection>>,
    dictionaries: Dictionaries,
}

impl Filler {
    /// Looks for saved columns in `store`. Their dictionaries are read at once: no row may be made with others.
    pub(crate) fn new(store: Arc<dyn ProjectionStore>) -> Self {
        let saved = store.saved(layout());
        match saved.as_ref().map(|saved| saved::dictionaries(saved.as_ref())) {
            Some(Ok(dictionaries)) => Self { store, saved, dictionaries },
            Some(Err(error)) => {
                tracing::warn!(%error, "the saved columns cannot be used");
                Self { store, saved: None, dictionaries: Dictionaries::default() }
            }
            None => Self { store, saved: None, dictionaries: Dictionaries::default() },
        }
    }

    /// Takes the dictionaries that the column store must begin with.
    pub(crate) fn take_dictionaries(&mut self) -> Dictionaries {
        std::mem::take(&mut self.dictionaries)
    }

    /// Fills `columns`, however often it has to be tried, until `stop` is set.
    pub(crate) fn run(mut self, columns: &ColumnStore, stop: &AtomicBool) {
        loop {
            match self.fill(columns, stop) {
                Ok(()) | Err(Interrupted::Stopped) => return,
                Err(Interrupted::Failed(error)) => {
                    let cause: &dyn std::error::Error = &error;
                    tracing::error!(error = cause, "the columns were not filled: trying again");
                }
            }
            let failed = Instant::now();
            while failed.elapsed() < RETRY {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn fill(&mut self, columns: &ColumnStore, stop: &AtomicBool) -> Result<(), Interrupted> {
        let started = Instant::now();
        let saved = self.saved.take();
        let is_restored = match saved.as_deref().map(|saved| self.restore(saved, columns, stop)) {
            Some(Err(Interrupted::Stopped)) => return Err(Interrupted::Stopped),
            Some(Err(Interrupted::Failed(error))) => {
                tracing::warn!(%error, "the saved columns cannot be used");
                false
            }
            Some(Ok(())) => true,
            None => false,
        };
        if !is_restored {
            let scan = self.store.scan(None).map_err(Interrupted::Failed)?;
            visit_all(scan.as_ref(), columns, Pace { rests: true, stop })?;
        }
        columns.set_ready();
        let took = started.elapsed();
        // A start that nobody waited for needs no line.
        if took >= NOTABLE {
            tracing::info!(millis = took.as_millis() as u64, is_restored, "the columns of all users are ready");
        }
        Ok(())
    }

    /// Reads saved rows, and makes those of users with later frames anew.
    fn restore(
        &self,
        saved: &dyn SavedProjection,
        columns: &ColumnStore,
        stop: &AtomicBool,
    ) -> Result<(), Interrupted> {
        // The users with later frames are found first. A row that would be behind its user must stay empty: the next commit
        // would change a part of it, and it would count as newer than the state that the scan reads.
        let scan = self.store.scan(Some(saved.position())).map_err(Interrupted::Failed)?;
        let later: RowSet = scan.rows().iter().copied().collect();
        let pace = Pace { rests: false, stop };
        share(saved::row_pieces(saved), pace, |number| {
            let piece = saved.read(number as u32)?;
            for (id, row) in saved::rows(&piece)? {
                if !later.has(id) {
                    columns.put(id, row);
                }
            }
            Ok(())
        })?;
        visit_all(scan.as_ref(), columns, Pace { rests: true, ..pace })
    }
}

/// Makes the rows of all users that a scan visits.
fn visit_all(scan: &dyn UserScan, columns: &ColumnStore, pace: Pace<'_>) -> Result<(), Interrupted> {
    let (started, parts) = (Instant::now(), scan.parts());
    let (done, told, unreadable) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    share(parts, pace, |part| {
        scan.visit(part, &mut |visited| match visited.and_then(|visited| make_row(visited, columns)) {
            Ok((id, row)) => columns.put(id, row),
            Err(_) => drop(unreadable.fetch_add(1, Ordering::Relaxed)),
        })?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let lines = (started.elapsed().as_millis() / PROGRESS.as_millis()) as usize;
        if told.fetch_max(lines, Ordering::Relaxed) < lines {
            tracing::info!(percent = 100 * done / parts, "making the columns of all users");
        }
        Ok(())
    })?;
    match unreadable.into_inner() {
        0 => {}
        // Their profiles cannot be read either, which the store reports.
        users => tracing::error!(users, "users that cannot be read have no columns"),
    }
    Ok(())
}

/// Makes the row of a stored user. Only the sections that rows are made of are decoded.
fn make_row(visited: VisitedUser, columns: &ColumnStore) -> Result<(RowId, Row), StoreError> {
    let StoredState { row, packed, frames } = match visited {
        VisitedUser::Living(stored) => stored,
        VisitedUser::Erased(row, tombstone) => return Ok((row, erased_row(&tombstone))),
    };
    let make = || -> Result<Row, DecodeError> {
        let mut state = packed.map(record::unpack_own).transpose()?;
        for frame in &frames {
            state = Some(record::replay(state, frame)?);
        }
        let state = state.ok_or(DecodeError::Truncated { doing: "a user without frames" })?;
        Ok(Row::from_state(&state, &columns.dictionaries))
    };
    // A part of the state that does not decode panics.
    let made = catch_unwind(AssertUnwindSafe(make));
    let made = made.unwrap_or(Err(DecodeError::Unknown { what: "part of a state" }))?;
    Ok((row, made))
}
