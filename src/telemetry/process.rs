//! The metrics of the process itself.

use std::sync::LazyLock;

use metrics_process::Collector;

static COLLECTOR: LazyLock<Collector> = LazyLock::new(|| {
    let collector = Collector::default();
    collector.describe();
    collector
});

/// Reads the process's figures into the recorder.
pub(crate) fn observe() {
    COLLECTOR.collect();
}
