//! The server process, as `/proc` shows it.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::test_server::{TestServer, eventually};

/// Number of checks that a server at rest must pass, and the time between two checks.
const LOOKS: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// Maximum processor time of a server at rest during all checks, in ticks of a hundredth of a second.
const TICKS_AT_REST: u64 = 2;

impl TestServer {
    /// Returns the path of a file or directory of the process under `/proc`.
    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid()))
    }

    /// Returns the resident memory of the process, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// Returns the peak resident memory of the process, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, name: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let figure = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        figure.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// Returns the soft and the hard limit of a resource, such as `Max open files`.
    pub(crate) fn limit(&self, resource: &str) -> [String; 2] {
        let limits = fs::read_to_string(self.proc("limits")).unwrap();
        let figures = limits.lines().find_map(|line| line.strip_prefix(resource)).unwrap();
        let mut figures = figures.split_ascii_whitespace().map(str::to_owned);
        [figures.next().unwrap(), figures.next().unwrap()]
    }

    /// Returns the number of unlinked files that the process has open; results of feeds wait in such files.
    pub(crate) fn unlinked_files(&self) -> usize {
        let files = fs::read_dir(self.proc("fd")).unwrap();
        let links = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
        links.filter(|link| link.to_string_lossy().ends_with("(deleted)")).count()
    }

    /// Waits until the server does nothing. A server that has work but gets no processor is not at rest: its threads
    /// are ready to run.
    #[track_caller]
    pub(crate) fn wait_until_at_rest(&self) {
        eventually("the server is at rest", || self.is_at_rest());
    }

    /// Returns whether no thread runs or is ready to run during several checks.
    pub(crate) fn is_at_rest(&self) -> bool {
        let ticks = self.processor_ticks();
        let slept = (0..LOOKS).all(|_| {
            thread::sleep(BETWEEN_LOOKS);
            self.all_threads_sleep()
        });
        slept && self.processor_ticks() - ticks <= TICKS_AT_REST
    }

    fn all_threads_sleep(&self) -> bool {
        let threads = fs::read_dir(self.proc("task")).unwrap();
        // The file of a thread that has ended is gone.
        let states = threads.filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")).ok());
        states.map(|stat| behind_name(&stat)[0].clone()).all(|state| state == "S")
    }

    /// Returns the processor time that the process has used, in ticks.
    fn processor_ticks(&self) -> u64 {
        let fields = behind_name(&fs::read_to_string(self.proc("stat")).unwrap());
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

/// Returns the fields of a `stat` file after the name, which may contain any character; the state is the first.
fn behind_name(stat: &str) -> Vec<String> {
    stat.rsplit(')').next().unwrap().split_ascii_whitespace().map(str::to_owned).collect()
}
