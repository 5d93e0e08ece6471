//! The queue in front of the hydration threads.

use std::collections::VecDeque;

use domain::id::UserId;
use domain::past::PastProfile;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::error::{Busy, ReadError};
use crate::look_up::LookUp;

/// Maximum number of users, and of look-ups, that one thread takes at once.
const MAX_BATCH: usize = 64;

/// Users to load, look-ups to do and profiles of the past to read.
#[derive(Debug)]
pub(crate) struct LoadQueue {
    waiting: Mutex<WaitingLoads>,
    filled: Condvar,
    max_pasts: usize,
}

#[derive(Debug, Default)]
struct WaitingLoads {
    /// Users that passed the commit queue. The roster limits their number.
    users: VecDeque<UserId>,
    pasts: VecDeque<GetPast>,
    /// Look-ups that passed the commit queue. Their number is limited where they begin.
    look_ups: VecDeque<LookUp>,
    closed: bool,
}

/// Asks for a user's profile as it was at a revision. Answered with `None` if the store does not reach back to it.
#[derive(Debug)]
pub(crate) struct GetPast {
    pub(crate) user: UserId,
    pub(crate) revision: u64,
    pub(crate) answer: oneshot::Sender<Result<Option<PastProfile>, ReadError>>,
}

/// What one thread does next.
#[derive(Debug, Default)]
pub(crate) struct LoadBatch {
    pub(crate) users: Vec<UserId>,
    pub(crate) look_ups: Vec<LookUp>,
    pub(crate) past: Option<GetPast>,
}

impl LoadQueue {
    /// Returns an empty queue. At most `max_pasts` requests for the past may wait.
    pub(crate) fn new(max_pasts: usize) -> Self {
        Self { waiting: Mutex::default(), filled: Condvar::new(), max_pasts }
    }

    /// Adds a request for the past. It does not pass the commit queue, as what it asks for is committed.
    pub(crate) fn push_past(&self, request: GetPast) -> Result<(), Busy> {
        let mut waiting = self.waiting.lock();
        if waiting.closed || waiting.pasts.len() >= self.max_pasts {
            return Err(Busy);
        }
        waiting.pasts.push_back(request);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Adds users to load.
    pub(crate) fn push_users(&self, users: impl ExactSizeIterator<Item = UserId>) {
        if users.len() > 0 {
            self.waiting.lock().users.extend(users);
            self.filled.notify_all();
        }
    }

    /// Adds look-ups.
    pub(crate) fn push_look_ups(&self, look_ups: impl ExactSizeIterator<Item = LookUp>) {
        if look_ups.len() > 0 {
            self.waiting.lock().look_ups.extend(look_ups);
            self.filled.notify_all();
        }
    }

    /// Returns whether a request for the past waits.
    #[cfg(test)]
    pub(crate) fn has_past(&self) -> bool {
        !self.waiting.lock().pasts.is_empty()
    }

    /// Returns whether the queue is closed.
    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.waiting.lock().closed
    }

    /// Refuses further requests for the past, and lets each thread end when the queue is empty.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.filled.notify_all();
    }

    /// Moves some users, some look-ups and one request for the past into `batch`, so that none of the three waits for
    /// all of the others. Waits for the first if `wait` is set. Returns `false` when the queue is closed and empty.
    pub(crate) fn take(&self, batch: &mut LoadBatch, wait: bool) -> bool {
        let mut waiting = self.waiting.lock();
        while wait && waiting.is_empty() && !waiting.closed {
            self.filled.wait(&mut waiting);
        }
        let is_last = waiting.is_empty() && waiting.closed;
        let count = waiting.users.len().min(MAX_BATCH);
        batch.users.extend(waiting.users.drain(..count));
        let count = waiting.look_ups.len().min(MAX_BATCH);
        batch.look_ups.extend(waiting.look_ups.drain(..count));
        batch.past = waiting.pasts.pop_front();
        !is_last
    }
}

impl WaitingLoads {
    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.pasts.is_empty() && self.look_ups.is_empty()
    }
}
