//! Reading the recording of `recorder.c`.

use std::ops::Range;
use std::path::PathBuf;

/// One recorded operation.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Opened {
        descriptor: i32,
        path: PathBuf,
        create: bool,
        truncate: bool,
    },
    Closed {
        descriptor: i32,
    },
    /// The payload is a range of [`Recording::bytes`].
    Wrote {
        descriptor: i32,
        offset: usize,
        payload: Range<usize>,
    },
    SyncBegins {
        descriptor: i32,
        id: u64,
    },
    SyncEnds {
        id: u64,
    },
    Truncated {
        descriptor: i32,
        length: usize,
    },
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    Unlinked {
        path: PathBuf,
    },
    MadeDirectory {
        path: PathBuf,
    },
}

/// All operations, in their order, and the bytes that they wrote.
pub(crate) struct Recording {
    pub(crate) bytes: Vec<u8>,
    pub(crate) operations: Vec<Operation>,
}

const ENTRY_BYTES: usize = 24;

impl Recording {
    pub(crate) fn parse(bytes: Vec<u8>) -> Self {
        let mut operations = Vec::new();
        let mut at = 0;
        // A killed process may leave its last entry unfinished.
        while at + ENTRY_BYTES <= bytes.len() {
            let word = |from: usize| u32::from_le_bytes(bytes[at + from..at + from + 4].try_into().expect("four"));
            let long = |from: usize| u64::from_le_bytes(bytes[at + from..at + from + 8].try_into().expect("eight"));
            let (operation, descriptor, number) = (word(0), word(4) as i32, long(8));
            let payload = at + ENTRY_BYTES..at + ENTRY_BYTES + long(16) as usize;
            let Some(content) = bytes.get(payload.clone()) else { break };
            let path = || PathBuf::from(std::str::from_utf8(content).expect("a path"));
            at = payload.end;
            operations.push(match operation {
                1 => Operation::Opened {
                    descriptor,
                    path: path(),
                    create: number & 0o100 != 0,
                    truncate: number & 0o1000 != 0,
                },
                2 => Operation::Closed { descriptor },
                3 => Operation::Wrote { descriptor, offset: number as usize, payload },
                4 => Operation::SyncBegins { descriptor, id: number },
                5 => Operation::SyncEnds { id: number },
                6 => Operation::Truncated { descriptor, length: number as usize },
                7 => {
                    let both = std::str::from_utf8(content).expect("paths");
                    let (from, to) = both.split_once('\0').expect("two paths");
                    Operation::Renamed { from: from.into(), to: to.into() }
                }
                8 => Operation::Unlinked { path: path() },
                9 => Operation::MadeDirectory { path: path() },
                other => panic!("the recorder knows no operation {other}"),
            });
        }
        Self { bytes, operations }
    }

    /// Returns the recording of a process that has gone on after another one was killed, with the bytes of both: what the first
    /// one wrote can still be lost.
    pub(crate) fn after(mut self, before: &Self) -> Self {
        let shift = before.bytes.len();
        for operation in &mut self.operations {
            if let Operation::Wrote { payload, .. } = operation {
                *payload = payload.start + shift..payload.end + shift;
            }
        }
        self.bytes.splice(0..0, before.bytes.iter().copied());
        self
    }
}
