//! The threads of the live state: how they start, and the order in which they stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter};
use parking_lot::Mutex;

use crate::assemble::Parts;
use crate::runtime::{RosterActor, Runtime};

/// How often [`Running::stop`] checks whether everything is done.
const DRAIN_CHECK: Duration = Duration::from_millis(2);

/// The running threads.
#[derive(Default)]
pub(crate) struct Running {
    threads: Mutex<Threads>,
    shards: Vec<Addr<RosterActor>>,
}

#[derive(Default)]
struct Threads {
    arbiters: Vec<Arbiter>,
    commit: Option<JoinHandle<()>>,
    hydration: Vec<JoinHandle<()>>,
    history: Vec<JoinHandle<()>>,
    columns: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts the shards, the commit thread, the hydration threads and those of reads through history.
    ///
    /// # Errors
    /// A thread could not be started.
    pub(crate) fn start(parts: Parts) -> std::io::Result<Self> {
        let Parts { runtime, committer, loaders, history_readers, filler, events } = parts;
        let (mut threads, mut shards) = (Threads::default(), Vec::new());
        for (index, events) in events.into_iter().enumerate() {
            let arbiter = Arbiter::try_new()?;
            let runtime = Arc::clone(&runtime);
            let shard = move |_: &mut _| RosterActor::new(runtime, index as u16, events);
            shards.push(RosterActor::start_in_arbiter(&arbiter.handle(), shard));
            threads.arbiters.push(arbiter);
        }
        threads.commit = Some(spawn("commit", || committer.run())?);
        for loader in loaders {
            threads.hydration.push(spawn("hydrate", || loader.run())?);
        }
        for reader in history_readers {
            threads.history.push(spawn("history", || reader.run())?);
        }
        threads.columns = Some(spawn("columns", move || filler.run(&runtime.columns, &runtime.closing))?);
        Ok(Self { threads: Mutex::new(threads), shards })
    }

    /// Returns the actors that a shard's counters are asked of.
    pub(crate) fn shards(&self) -> &[Addr<RosterActor>] {
        &self.shards
    }

    /// Refuses further writes, waits until every mailbox is empty and every commit is settled, and ends all threads.
    /// Returns `false` if that took longer than the options allow, or if a thread panicked.
    pub(crate) async fn stop(&self, runtime: &Arc<Runtime>) -> bool {
        runtime.closing.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + runtime.services.options.drain_timeout;
        while !is_drained(runtime) && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_CHECK).await;
        }
        let drained = is_drained(runtime);
        // After the drain: an event that waits in a mailbox still needs the queue.
        runtime.services.commits.close();
        let threads = std::mem::take(&mut *self.threads.lock());
        for arbiter in &threads.arbiters {
            arbiter.stop();
        }
        let joined = Arc::clone(runtime);
        let ended = tokio::task::spawn_blocking(move || threads.join(&joined)).await;
        let is_drained = drained && ended.unwrap_or(false);
        let _ = runtime.is_drained.set(is_drained);
        is_drained
    }
}

impl Threads {
    /// Waits until all threads have ended. Blocks. Returns `false` if one of them panicked.
    fn join(self, runtime: &Runtime) -> bool {
        let committed = self.commit.is_none_or(|commit| commit.join().is_ok());
        // After the commit thread: the users and look-ups that it passes on last are still loaded.
        runtime.loads.close();
        runtime.history.close();
        let hydration = self.hydration.into_iter().map(|thread| thread.join().is_ok());
        let history = self.history.into_iter().map(|thread| thread.join().is_ok());
        let arbiters = self.arbiters.into_iter().map(|arbiter| arbiter.join().is_ok());
        let columns = self.columns.into_iter().map(|thread| thread.join().is_ok());
        let ended = hydration.chain(history).chain(arbiters).chain(columns).fold(committed, |ended, one| ended && one);
        // Last: the requests that still wait for a user never get an actor.
        runtime.roster.refuse_waiting();
        ended
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn is_drained(runtime: &Runtime) -> bool {
    // Twice, since the first question looks at every user in memory. Then in this order: a request becomes a load or a commit
    // before it leaves its queue.
    runtime.services.permits.taken() == 0
        && runtime.roster.starting() == 0
        && runtime.roster.is_quiet()
        && runtime.roster.starting() == 0
        && runtime.services.commits.is_empty()
        && runtime.services.permits.taken() == 0
}
