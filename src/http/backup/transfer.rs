//! A backup on its way to a client, who may come back for the rest after the connection broke.
//!
//! ```text
//!           kept, for a client that comes back      read next
//!   ├──────┼───────────────────────────────────────┼───────────▶
//!   0    kept_from                                 end
//! ```

use std::collections::VecDeque;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;

use super::stream::ReadPiece;

/// How many of the newest bytes are kept. More than the buffers between here and the client hold: what a client has not got is
/// kept.
const KEPT_BYTES: u64 = 32 << 20;

/// A backup that is being sent. At most one connection takes its pieces; one that begins ends the one before.
pub(crate) struct Transfer {
    id: String,
    state: Mutex<State>,
}

struct State {
    /// `None` once the transfer has ended.
    read: Option<ReadPiece>,
    kept: VecDeque<Bytes>,
    kept_from: u64,
    end: u64,
    /// How many connections there were.
    connections: u64,
    /// When the last connection broke, or had everything; `None` while there is one.
    idle_since: Option<Instant>,
}

/// Why a transfer cannot be continued.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotContinued {
    /// The transfer has ended.
    Ended,
    /// The bytes from there on are not kept, or not read yet.
    NotKept(RangeInclusive<u64>),
}

/// One connection of a transfer.
pub(super) struct Connection {
    transfer: Arc<Transfer>,
    number: u64,
    /// The next byte to send.
    next: u64,
}

impl Transfer {
    /// Returns the transfer of the backup `id`, of which nothing was read.
    pub(super) fn new(id: String, read: ReadPiece) -> Arc<Self> {
        let state = State {
            read: Some(read),
            kept: VecDeque::new(),
            kept_from: 0,
            end: 0,
            connections: 0,
            idle_since: Some(Instant::now()),
        };
        Arc::new(Self { id, state: Mutex::new(state) })
    }

    /// Returns the id of the backup.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Returns since when no connection takes the backup; `None` while one does, and once the transfer has ended.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        state.idle_since.filter(|_| state.read.is_some())
    }

    /// Returns whether a connection takes the backup. Does not wait while a piece is read.
    pub(super) fn is_taken(&self) -> bool {
        self.state.try_lock().is_none_or(|state| state.idle_since.is_none())
    }

    /// Ends the transfer and frees what the backup holds.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.read = None;
        state.kept = VecDeque::new();
    }

    /// Begins a connection, which takes the bytes from `from` on, and ends the one before. Blocks while a piece is read.
    ///
    /// # Errors
    /// The transfer has ended, or these bytes are not there.
    pub(super) fn connect(self: &Arc<Self>, from: u64) -> Result<Connection, NotContinued> {
        let mut state = self.state.lock();
        if state.read.is_none() {
            return Err(NotContinued::Ended);
        }
        let there = state.kept_from..=state.end;
        if !there.contains(&from) {
            return Err(NotContinued::NotKept(there));
        }
        state.connections += 1;
        state.idle_since = None;
        Ok(Connection { transfer: Arc::clone(self), number: state.connections, next: from })
    }
}

impl Connection {
    /// Returns the next piece; `None` at the end. Blocks for the disk and the rate.
    ///
    /// # Errors
    /// Another connection has begun, the transfer has ended, or the backup could not be read on, which ends it.
    pub(super) fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        let mut state = self.transfer.state.lock();
        if state.connections != self.number {
            return Err(io::Error::other("another connection continues the backup"));
        }
        if self.next == state.end && !state.read_piece()? {
            return Ok(None);
        }
        let piece = state.kept_at(self.next);
        self.next += piece.len() as u64;
        Ok(Some(piece))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.transfer.state.lock();
        if state.connections == self.number {
            state.idle_since = Some(Instant::now());
        }
    }
}

impl State {
    /// Reads a piece and keeps it, in place of the oldest ones; returns whether there was one.
    fn read_piece(&mut self) -> io::Result<bool> {
        let read = self.read.as_mut().ok_or_else(|| io::Error::other("the backup was ended"))?;
        let Some(piece) = read().inspect_err(|_| self.read = None)? else { return Ok(false) };
        self.end += piece.len() as u64;
        self.kept.push_back(piece);
        while self.end - self.kept_from > KEPT_BYTES
            && let Some(oldest) = self.kept.pop_front()
        {
            self.kept_from += oldest.len() as u64;
        }
        Ok(true)
    }

    /// Returns the bytes from `from` to the end of the kept piece that has them; empty if there are none.
    fn kept_at(&self, from: u64) -> Bytes {
        let mut piece_from = self.kept_from;
        for piece in &self.kept {
            let skipped = from - piece_from;
            if skipped < piece.len() as u64 {
                return piece.slice(skipped as usize..);
            }
            piece_from += piece.len() as u64;
        }
        Bytes::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a transfer of pieces of these lengths, whose bytes are their offsets modulo 251, and all of these bytes.
    fn transfer(lengths: &[usize]) -> (Arc<Transfer>, Vec<u8>) {
        let all: Vec<u8> = (0..lengths.iter().sum()).map(|at: usize| (at % 251) as u8).collect();
        let (mut lengths, mut rest) = (lengths.to_vec(), all.clone());
        let read =
            move || Ok((!lengths.is_empty()).then(|| rest.drain(..lengths.remove(0)).collect::<Vec<_>>().into()));
        (Transfer::new("id".to_owned(), Box::new(read)), all)
    }

    /// Takes the rest of a backup.
    fn rest(connection: &mut Connection) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(piece) = connection.next_piece().expect("no error") {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    #[test]
    fn a_client_that_comes_back_gets_the_rest_from_any_byte_on() {
        let (transfer, all) = transfer(&[3, 5, 1, 4]);
        let mut first = transfer.connect(0).expect("it begins");
        assert_eq!(first.next_piece().expect("no error").expect("a piece"), all[..3]);
        assert_eq!(first.next_piece().expect("no error").expect("a piece"), all[3..8]);
        assert_eq!(transfer.connect(9).err(), Some(NotContinued::NotKept(0..=8)));
        for from in 0..=8 {
            drop(transfer.connect(from).expect("it is kept"));
        }
        assert_eq!(rest(&mut transfer.connect(4).expect("it is kept")), all[4..]);
        // The end may have been lost on its way, too.
        for from in 0..=all.len() {
            assert_eq!(rest(&mut transfer.connect(from as u64).expect("it is kept")), all[from..]);
        }
    }

    #[test]
    fn a_new_connection_ends_the_one_before_which_leaves_no_mark() {
        let (transfer, all) = transfer(&[3, 5]);
        assert!(transfer.idle_since().is_some());
        let mut first = transfer.connect(0).expect("it begins");
        first.next_piece().expect("no error").expect("a piece");
        let mut second = transfer.connect(0).expect("it is kept");
        first.next_piece().expect_err("its end would look like that of the backup");
        drop(first);
        assert_eq!(transfer.idle_since(), None, "the second one goes on");
        assert_eq!(rest(&mut second), all);
        drop(second);
        assert!(transfer.idle_since().is_some());
    }

    #[test]
    fn what_is_kept_is_bounded_and_older_bytes_cannot_be_had() {
        let piece = 1 << 20;
        let (transfer, all) = transfer(&[piece; 40]);
        let mut connection = transfer.connect(0).expect("it begins");
        assert!(rest(&mut connection) == all);
        let kept = all.len() as u64 - KEPT_BYTES;
        assert_eq!(transfer.connect(kept - 1).err(), Some(NotContinued::NotKept(kept..=all.len() as u64)));
        assert!(rest(&mut transfer.connect(kept).expect("it is kept")) == all[kept as usize..]);
    }

    #[test]
    fn a_transfer_that_was_ended_or_has_failed_is_not_continued() {
        let (ended, _) = transfer(&[3]);
        let mut connection = ended.connect(0).expect("it begins");
        ended.end();
        connection.next_piece().expect_err("its end would look like that of the backup");
        assert_eq!(ended.connect(0).err(), Some(NotContinued::Ended));
        let failed = Transfer::new("id".to_owned(), Box::new(|| Err(io::Error::other("no disk"))));
        failed.connect(0).expect("it begins").next_piece().expect_err("it fails");
        assert_eq!(failed.connect(0).err(), Some(NotContinued::Ended));
    }
}
