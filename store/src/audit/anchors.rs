//! The anchor file, to which a thread of its own appends: a slow target, such as a mount over the network, holds up neither
//! entries nor tree heads. A target that fails is tried again.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::head_log::last_of_each_hour;
use super::metrics::AuditMetrics;

/// Bytes at the end of the file in which its last line is looked for. A head is shorter.
const TAIL_BYTES: u64 = 4_096;
/// Maximum number of heads that wait. Beyond it the oldest is left out: a later head has all that it has.
const MAX_WAITING: usize = 256;

/// Size in bytes below which the server's own file is not thinned. It takes a busy server about seven weeks.
const MIN_THINNED_BYTES: u64 = 64 << 20;
/// How long to wait after the first failure. It doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Maximum time to wait after a failure.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The end of an anchor file.
#[derive(Debug, Default)]
pub(super) struct AnchorEnd {
    /// The last complete line.
    pub(super) line: Option<String>,
    /// Whether something without a line break follows it.
    is_torn: bool,
}

impl AnchorEnd {
    /// Reads the end of the file at `path`, which may be missing.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = match std::fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file?,
        };
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let is_torn = tail.last().is_some_and(|last| *last != b'\n');
        let last = tail.split(|byte| *byte == b'\n').rev().nth(1);
        let line = last.and_then(|line| String::from_utf8(line.to_vec()).ok()).filter(|line| !line.is_empty());
        Ok(Self { line, is_torn })
    }
}

/// The heads that are to be anchored.
#[derive(Default)]
struct AnchorState {
    waiting: VecDeque<String>,
    is_closed: bool,
    is_finished: bool,
}

/// The queue to the thread that appends anchors.
pub(super) struct Anchors {
    state: Mutex<AnchorState>,
    changed: Condvar,
    metrics: Arc<AuditMetrics>,
}

impl Anchors {
    /// Starts the thread, which appends to the file at `path` that ends with `end`. A file that `is_own` is in the data
    /// directory and belongs to the server, which thins it.
    pub(super) fn start(
        path: PathBuf,
        is_own: bool,
        end: &AnchorEnd,
        metrics: Arc<AuditMetrics>,
    ) -> io::Result<Arc<Self>> {
        let anchors = Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), metrics });
        let thin_from = is_own.then_some(MIN_THINNED_BYTES);
        let (queue, file) =
            (Arc::clone(&anchors), AnchorFile { path, is_torn: end.is_torn, is_name_durable: false, thin_from });
        thread::Builder::new().name("audit anchors".to_owned()).spawn(move || queue.run(file))?;
        Ok(anchors)
    }

    /// Queues the line of a head.
    pub(super) fn push(&self, line: &str) {
        let mut state = self.state.lock();
        if state.waiting.len() == MAX_WAITING {
            state.waiting.pop_front();
            self.metrics.anchor_failed();
        }
        state.waiting.push_back(line.to_owned());
        self.changed.notify_all();
    }

    /// Takes no more heads, and waits until those that wait are in the file, `longest` at most. A target that is still
    /// busy then is left to itself.
    pub(super) fn close(&self, longest: Duration) {
        let deadline = Instant::now() + longest;
        let mut state = self.state.lock();
        state.is_closed = true;
        self.changed.notify_all();
        while !state.is_finished {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                tracing::error!("the last tree heads were not anchored: the anchor file has not answered in time");
                return;
            }
        }
    }

    /// Waits for heads; `None` once the queue is closed and empty.
    fn next(&self) -> Option<Vec<String>> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() && !state.is_closed {
            self.changed.wait(&mut state);
        }
        let lines: Vec<String> = state.waiting.drain(..).collect();
        (!lines.is_empty()).then_some(lines)
    }

    fn run(&self, mut file: AnchorFile) {
        let _finished = FinishOnDrop(self);
        let mut delay = FIRST_DELAY;
        while let Some(lines) = self.next() {
            let Err(error) = file.append(&lines) else {
                delay = FIRST_DELAY;
                continue;
            };
            self.metrics.anchor_failed();
            let path = file.path.display();
            tracing::error!("tree heads were not added to the anchor file `{path}`, which is tried again: {error}");
            if !self.wait_after_failure(lines, delay) {
                return;
            }
            delay = MAX_DELAY.min(2 * delay);
        }
    }

    /// Keeps the newest of the heads that were not added, unless a newer one waits, and waits. The others are left out: what
    /// was written of them may be in the file, where an older head must not follow a newer one, and the newest has all that
    /// they have. Returns whether to try again; what waits when the queue is closed is tried once.
    fn wait_after_failure(&self, lines: Vec<String>, delay: Duration) -> bool {
        let mut state = self.state.lock();
        let has_newer = !state.waiting.is_empty();
        if !has_newer {
            state.waiting.extend(lines.into_iter().next_back());
        }
        let was_closed = state.is_closed;
        let deadline = Instant::now() + delay;
        while !state.is_closed && !self.changed.wait_until(&mut state, deadline).timed_out() {}
        !was_closed || has_newer
    }
}

/// Says that the thread has ended, also by a panic.
struct FinishOnDrop<'a>(&'a Anchors);

impl Drop for FinishOnDrop<'_> {
    fn drop(&mut self) {
        self.0.state.lock().is_finished = true;
        self.0.changed.notify_all();
    }
}

struct AnchorFile {
    path: PathBuf,
    /// Whether the file may end with a line that was cut.
    is_torn: bool,
    /// Whether the directory was synced since the start: the file may be new.
    is_name_durable: bool,
    /// The size in bytes from which on the file is thinned; `None` if it is not the server's own.
    thin_from: Option<u64>,
}

impl AnchorFile {
    /// Appends lines. Durable when it returns.
    fn append(&mut self, lines: &[String]) -> io::Result<()> {
        // The file may be on a mount that can only be appended to, so a line that was cut stays, on a line of its own.
        let mut text = String::from(if self.is_torn { "\n" } else { "" });
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.is_torn = true;
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        let length = file.metadata()?.len();
        if !self.is_name_durable {
            sync_directory_of(&self.path)?;
            self.is_name_durable = true;
        }
        self.is_torn = false;
        if self.thin_from.is_some_and(|from| length >= from) {
            // The heads are stored, whatever becomes of the older ones.
            let thinned = self.thin().unwrap_or_else(|error| {
                tracing::warn!("the anchor file `{}` was not thinned: {error}", self.path.display());
                length
            });
            self.thin_from = Some(MIN_THINNED_BYTES.max(2 * thinned));
        }
        Ok(())
    }

    /// Keeps the last head of each hour. Returns the new size in bytes.
    fn thin(&self) -> io::Result<u64> {
        let kept = last_of_each_hour(&std::fs::read(&self.path)?);
        let new = self.path.with_extension("tmp");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&kept)?;
        file.sync_data()?;
        std::fs::rename(&new, &self.path)?;
        sync_directory_of(&self.path)?;
        Ok(kept.len() as u64)
    }
}

/// Makes the name of a file durable. A directory that may not be read cannot be synced; its operator has made the file.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    match std::fs::File::open(directory.unwrap_or(Path::new("."))) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        directory => directory?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_file_is_thinned_when_it_is_large() {
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join("anchors");
        let head = |number: u32, hour: u32| format!("{{\"size\":{number},\"time\":\"2026-11-29T{hour:02}:00:00Z\"}}");
        let heads: Vec<String> = (0..20).map(|number| head(number, number / 10)).collect();
        let lines = || std::fs::read_to_string(&path).expect("a file").lines().map(str::to_owned).collect::<Vec<_>>();
        let mut file = AnchorFile { path: path.clone(), is_torn: false, is_name_durable: false, thin_from: None };
        file.append(&heads).expect("appended");
        assert_eq!(lines(), heads);
        file.thin_from = Some(100);
        file.append(&[head(20, 2)]).expect("appended");
        assert_eq!(lines(), [head(9, 0), head(19, 1), head(20, 2)]);
        assert_eq!(file.thin_from, Some(MIN_THINNED_BYTES), "not at once again");
    }

    #[test]
    fn heads_that_wait_when_the_queue_closes_are_tried_although_those_before_fail_afterwards() {
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join("anchors");
        // A pipe that nobody reads cannot be opened for writing, and cannot be synced.
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        let metrics = Arc::new(AuditMetrics::register());
        let anchors = Anchors::start(path.clone(), false, &AnchorEnd::default(), metrics).expect("a thread");
        anchors.push("first");
        while !anchors.state.lock().waiting.is_empty() {
            thread::yield_now();
        }
        anchors.push("second");
        let mut pipe = thread::scope(|scope| {
            let closing = scope.spawn(|| anchors.close(Duration::from_secs(60)));
            while !anchors.state.lock().is_closed {
                thread::yield_now();
            }
            let pipe = OpenOptions::new().read(true).write(true).open(&path).expect("a pipe");
            closing.join().expect("no panic");
            pipe
        });
        let mut bytes = [0; 64];
        let length = io::Read::read(&mut pipe, &mut bytes).expect("heads");
        assert_eq!(String::from_utf8_lossy(&bytes[..length]), "first\n\nsecond\n");
    }
}
