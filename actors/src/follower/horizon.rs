//! How far followers may read: no further than every read already shows.

use std::fmt;
use std::sync::Arc;

use domain::port::log::{EventLog, LogPosition};
use tokio::sync::watch;

/// The place in the journal up to which every actor has its outcomes. It moves while somebody watches.
pub(crate) struct Horizon {
    log: Arc<dyn EventLog>,
    reached: watch::Sender<LogPosition>,
}

/// Goes through the channel of every shard, behind the outcomes of all that the journal held when it was made. When the
/// last shard has dropped it, they have all been dealt with.
#[derive(Clone)]
pub(crate) struct Mark(Arc<Reached>);

struct Reached {
    horizon: Arc<Horizon>,
    end: LogPosition,
}

impl Horizon {
    pub(super) fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, reached: watch::Sender::new(LogPosition::default()) }
    }

    pub(super) fn watch(&self) -> watch::Receiver<LogPosition> {
        self.reached.subscribe()
    }

    /// Whether it is worth a mark that something was committed.
    pub(crate) fn is_watched(&self) -> bool {
        self.reached.receiver_count() > 0
    }

    /// A mark at the journal's end. To be made by the commit thread, when the outcomes are on their way.
    pub(crate) fn mark(self: &Arc<Self>) -> Mark {
        Mark(Arc::new(Reached { horizon: Arc::clone(self), end: self.log.end() }))
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        self.horizon.reached.send_if_modified(|reached| {
            let further = self.end > *reached;
            *reached = self.end.max(*reached);
            further
        });
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark({})", self.0.end.0)
    }
}
