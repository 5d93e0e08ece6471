//! The metrics of the process, such as its memory and open files.

use std::sync::LazyLock;

use metrics_process::Collector;

static COLLECTOR: LazyLock<Collector> = LazyLock::new(|| {
    let collector = Collector::default();
    collector.describe();
    collector
});

/// Updates the metrics of the process.
pub(crate) fn observe() {
    COLLECTOR.collect();
}
