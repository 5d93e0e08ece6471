//! The horizon: the high watermark in the journal that followers may read up to. Up to it, every read of a profile
//! already shows what the journal holds.

use std::fmt;
use std::sync::Arc;

use domain::port::log::{EventLog, LogPosition};
use tokio::sync::watch;

/// The position in the journal up to which every actor has dealt with the outcomes of its commits. It moves only while
/// somebody watches it.
pub(crate) struct Horizon {
    log: Arc<dyn EventLog>,
    reached: watch::Sender<LogPosition>,
}

/// Moves the horizon when it has passed all shards. A copy goes through the channel of every shard, after the outcomes
/// of all frames that the journal held when the mark was made. When the last shard drops its copy, all of them have been
/// dealt with.
#[derive(Clone)]
pub(crate) struct HorizonMark(Arc<MarkedEnd>);

struct MarkedEnd {
    horizon: Arc<Horizon>,
    end: LogPosition,
}

impl Horizon {
    pub(super) fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, reached: watch::Sender::new(LogPosition::default()) }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<LogPosition> {
        self.reached.subscribe()
    }

    /// Returns the end of the journal.
    pub(crate) fn end(&self) -> LogPosition {
        self.log.end()
    }

    /// Returns whether somebody watches, so that a commit needs a mark.
    pub(crate) fn is_watched(&self) -> bool {
        self.reached.receiver_count() > 0
    }

    /// Returns a mark at the end of the journal. Only the commit thread may call this, after it has sent all outcomes to
    /// the shards.
    pub(crate) fn mark(self: &Arc<Self>) -> HorizonMark {
        HorizonMark(Arc::new(MarkedEnd { horizon: Arc::clone(self), end: self.log.end() }))
    }
}

impl Drop for MarkedEnd {
    fn drop(&mut self) {
        self.horizon.reached.send_if_modified(|reached| {
            let further = self.end > *reached;
            *reached = self.end.max(*reached);
            further
        });
    }
}

impl fmt::Debug for HorizonMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HorizonMark({})", self.0.end.0)
    }
}
