//! The queue in front of the commit thread.

use std::collections::VecDeque;

use domain::id::UserId;
use domain::port::journal::Record;
use parking_lot::{Condvar, Mutex};

use super::Ticket;
use crate::error::Busy;
use crate::existence::LookUp;
use crate::priority::Limits;

/// Records to commit and users to load, in one order.
///
/// A load in the queue is the barrier of the protocol: it comes out after every record that was put in before it,
/// so a user is read only when the commits of the last incarnation are through.
#[derive(Debug)]
pub(crate) struct CommitQueue {
    state: Mutex<State>,
    filled: Condvar,
    bounds: Bounds,
}

/// What the queue and a group hold at most. A small event can make a large record, so bytes are bounded, too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) records: Limits,
    /// Of the bodies of the records that wait.
    pub(crate) bytes: Limits,
    pub(crate) group_records: usize,
    /// Of the bodies of a group with more than one record.
    pub(crate) group_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    commits: usize,
    bytes: usize,
    closed: bool,
}

#[derive(Debug)]
enum Job {
    Commit(Record, Ticket),
    // Not counted: the users that wait to be loaded have their own bound.
    Load(UserId),
    // Not counted: so have look-ups.
    LookUp(LookUp),
    // Not counted: so have followers.
    Mark,
}

/// What comes out together: the records share one sync, and the loads come after them.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) records: Vec<Record>,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) loads: Vec<UserId>,
    pub(crate) look_ups: Vec<LookUp>,
    /// Whether somebody waits to hear how far the commits have come.
    pub(crate) mark: bool,
}

impl CommitQueue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), bounds }
    }

    /// Puts a record in, without waiting. The class of its permit says how much of the queue it may use.
    pub(crate) fn commit(&self, record: Record, ticket: Ticket) -> Result<(), Busy> {
        let priority = ticket.permit.priority();
        let mut state = self.state.lock();
        let bytes = state.bytes + record.body.len();
        let is_full = state.commits >= self.bounds.records.of(priority) || bytes > self.bounds.bytes.of(priority);
        // A record that is larger than the bound is taken when nothing else waits.
        if state.closed || (is_full && state.commits > 0) {
            return Err(Busy);
        }
        state.commits += 1;
        state.bytes = bytes;
        state.jobs.push_back(Job::Commit(record, ticket));
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Lets `user` be loaded once everything before is committed. Busy when the queue is closed: nobody would take it out.
    pub(crate) fn load(&self, user: UserId) -> Result<(), Busy> {
        self.push(Job::Load(user))
    }

    /// Lets a look-up be done once everything before is committed. Busy when the queue is closed.
    pub(crate) fn look_up(&self, look_up: LookUp) -> Result<(), Busy> {
        self.push(Job::LookUp(look_up))
    }

    fn push(&self, job: Job) -> Result<(), Busy> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Busy);
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Lets those who follow the journal hear how far they may read once everything before is committed.
    pub(crate) fn mark(&self) {
        self.state.lock().jobs.push_back(Job::Mark);
        self.filled.notify_one();
    }

    /// Fills `group` with as many records as it may have and the loads between them. Waits for the first if `wait` is
    /// set. `false` when the queue is closed and empty.
    pub(crate) fn take(&self, group: &mut Group, wait: bool) -> bool {
        let mut state = self.state.lock();
        while wait && state.jobs.is_empty() && !state.closed {
            self.filled.wait(&mut state);
        }
        let mut bytes = 0;
        while group.records.len() < self.bounds.group_records {
            if let Some(Job::Commit(record, _)) = state.jobs.front() {
                bytes += record.body.len();
                if bytes > self.bounds.group_bytes && !group.records.is_empty() {
                    break;
                }
            }
            match state.jobs.pop_front() {
                Some(Job::Commit(record, ticket)) => {
                    state.commits -= 1;
                    state.bytes -= record.body.len();
                    group.records.push(record);
                    group.tickets.push(ticket);
                }
                Some(Job::Load(user)) => group.loads.push(user),
                Some(Job::LookUp(look_up)) => group.look_ups.push(look_up),
                Some(Job::Mark) => group.mark = true,
                None => break,
            }
        }
        !(group.records.is_empty() && group.loads.is_empty() && group.look_ups.is_empty() && state.closed)
    }

    /// Refuses whatever comes from now on, and lets the commit thread end when it is through with what came before.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().jobs.is_empty()
    }
}
