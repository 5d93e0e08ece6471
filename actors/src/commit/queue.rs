//! The queue in front of the commit thread.

use std::collections::VecDeque;

use domain::id::UserId;
use domain::port::journal::Record;
use parking_lot::{Condvar, Mutex};

use super::Ticket;
use crate::error::Busy;
use crate::look_up::LookUp;
use crate::priority::Limits;

/// Records to commit, users to load and look-ups to do, in one order.
///
/// The order is the barrier of the commit protocol: a load leaves the queue after every record that was put in before
/// it, so a user is read only after the commits of its last incarnation.
#[derive(Debug)]
pub(crate) struct CommitQueue {
    waiting: Mutex<WaitingJobs>,
    filled: Condvar,
    limits: CommitLimits,
}

/// Limits of the queue and of a group. Bytes are limited too, as a small event can make a large record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommitLimits {
    /// Maximum number of records that wait.
    pub(crate) records: Limits,
    /// Maximum number of bytes of the bodies of the records that wait.
    pub(crate) bytes: Limits,
    /// Maximum number of records of a group.
    pub(crate) group_records: usize,
    /// Maximum number of bytes of the bodies of a group with more than one record.
    pub(crate) group_bytes: usize,
}

#[derive(Debug, Default)]
struct WaitingJobs {
    jobs: VecDeque<Job>,
    commits: usize,
    bytes: usize,
    closed: bool,
}

#[derive(Debug)]
enum Job {
    Commit(Record, Ticket),
    // Not counted: the roster limits the users that wait to be loaded.
    Load(UserId),
    // Not counted: look-ups are limited where they begin.
    LookUp(LookUp),
    // Not counted: followers are limited.
    Mark,
}

/// What leaves the queue together. The records share one sync; loads and look-ups come after it.
#[derive(Debug, Default)]
pub(crate) struct CommitGroup {
    pub(crate) records: Vec<Record>,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) loads: Vec<UserId>,
    pub(crate) look_ups: Vec<LookUp>,
    /// Whether a follower waits for the horizon to move.
    pub(crate) mark: bool,
}

impl CommitQueue {
    /// Returns an empty queue.
    pub(crate) fn new(limits: CommitLimits) -> Self {
        Self { waiting: Mutex::default(), filled: Condvar::new(), limits }
    }

    /// Adds a record. Never waits. The class of its permit decides how much of the queue it may use.
    pub(crate) fn commit(&self, record: Record, ticket: Ticket) -> Result<(), Busy> {
        let priority = ticket.permit.priority();
        let mut waiting = self.waiting.lock();
        let bytes = waiting.bytes + record.body.len();
        let is_full = waiting.commits >= self.limits.records.of(priority) || bytes > self.limits.bytes.of(priority);
        // A record that is larger than the limit is taken when no other waits.
        if waiting.closed || (is_full && waiting.commits > 0) {
            return Err(Busy);
        }
        waiting.commits += 1;
        waiting.bytes = bytes;
        waiting.jobs.push_back(Job::Commit(record, ticket));
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Has `user` loaded after everything before is committed. Busy if the queue is closed.
    pub(crate) fn load(&self, user: UserId) -> Result<(), Busy> {
        self.push(Job::Load(user))
    }

    /// Has a look-up done after everything before is committed. Busy if the queue is closed.
    pub(crate) fn look_up(&self, look_up: LookUp) -> Result<(), Busy> {
        self.push(Job::LookUp(look_up))
    }

    fn push(&self, job: Job) -> Result<(), Busy> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(Busy);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Has the followers' horizon move to the end of everything before.
    pub(crate) fn mark(&self) {
        self.waiting.lock().jobs.push_back(Job::Mark);
        self.filled.notify_one();
    }

    /// Fills `group` with as many records as it may have, and with the loads and look-ups between them. Waits for the
    /// first job if `wait` is set. Returns `false` when the queue is closed and empty.
    pub(crate) fn take(&self, group: &mut CommitGroup, wait: bool) -> bool {
        let mut waiting = self.waiting.lock();
        while wait && waiting.jobs.is_empty() && !waiting.closed {
            self.filled.wait(&mut waiting);
        }
        let mut bytes = 0;
        while group.records.len() < self.limits.group_records {
            if let Some(Job::Commit(record, _)) = waiting.jobs.front() {
                bytes += record.body.len();
                if bytes > self.limits.group_bytes && !group.records.is_empty() {
                    break;
                }
            }
            match waiting.jobs.pop_front() {
                Some(Job::Commit(record, ticket)) => {
                    waiting.commits -= 1;
                    waiting.bytes -= record.body.len();
                    group.records.push(record);
                    group.tickets.push(ticket);
                }
                Some(Job::Load(user)) => group.loads.push(user),
                Some(Job::LookUp(look_up)) => group.look_ups.push(look_up),
                Some(Job::Mark) => group.mark = true,
                None => break,
            }
        }
        !(group.records.is_empty() && group.loads.is_empty() && group.look_ups.is_empty() && waiting.closed)
    }

    /// Refuses all further jobs. The commit thread ends when it has done those before.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.filled.notify_all();
    }

    /// Returns whether no job waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().jobs.is_empty()
    }
}
