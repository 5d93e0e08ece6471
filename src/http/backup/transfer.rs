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
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::stream::ReadPiece;

/// How many of the newest bytes are kept: more than the buffers of a connection hold, so what was lost with one is there. A proxy, or
/// a client that forgets what it had, may have lost more.
const KEPT_BYTES: u64 = 32 << 20;
/// How often it is looked whether a transfer is still to be held.
const HELD_CHECK: Duration = Duration::from_millis(100);

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

    /// Ends the transfer, unless a connection takes it, and frees what the backup holds. Returns whether it has ended.
    pub(super) fn end_if_idle(&self) -> bool {
        // Locked for longer only while a connection reads.
        let Some(mut state) = self.state.try_lock_for(HELD_CHECK) else { return false };
        if state.idle_since.is_some() {
            state.end();
        }
        state.read.is_none()
    }

    /// Waits until the transfer has ended. Ends it when it had no connection for a time, or when the server stops.
    pub(super) fn hold(&self, longest_idle: Duration, closing: &watch::Receiver<bool>) {
        loop {
            let mut state = self.state.lock();
            let is_forgotten = state.idle_since.is_some_and(|since| since.elapsed() > longest_idle);
            // After an error there is nothing to read, but something is kept.
            if state.read.is_none() || is_forgotten || *closing.borrow() {
                return state.end();
            }
            drop(state);
            thread::sleep(HELD_CHECK);
        }
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
    /// Returns the id of the backup.
    pub(super) fn backup_id(&self) -> &str {
        &self.transfer.id
    }

    /// Returns the next piece; `None` at the end. Blocks for the disk and the rate.
    ///
    /// # Errors
    /// Another connection has begun, the transfer has ended, or the backup could not be read on, which ends it.
    pub(super) fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        let mut state = self.transfer.state.lock();
        if state.connections != self.number {
            return Err(io::Error::other("another connection continues the backup"));
        }
        if state.read.is_none() {
            return Err(io::Error::other("the backup has ended early"));
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
    fn end(&mut self) {
        self.read = None;
        self.kept = VecDeque::new();
    }

    /// Reads a piece and keeps it, in place of the oldest ones; returns whether there was one.
    fn read_piece(&mut self) -> io::Result<bool> {
        // Put back if it succeeds: after an error or a panic the transfer has ended.
        let Some(mut read) = self.read.take() else { return Ok(false) };
        let piece = read()?;
        self.read = Some(read);
        let Some(piece) = piece else { return Ok(false) };
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
        let mut first = transfer.connect(0).expect("it begins");
        first.next_piece().expect("no error").expect("a piece");
        let mut second = transfer.connect(0).expect("it is kept");
        first.next_piece().expect_err("its end would look like that of the backup");
        drop(first);
        assert!(!transfer.end_if_idle(), "the second one goes on");
        assert_eq!(rest(&mut second), all);
        drop(second);
        assert!(transfer.end_if_idle());
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
    fn a_transfer_that_has_failed_or_panicked_is_not_continued() {
        let failing = |read: ReadPiece| Transfer::new("id".to_owned(), read);
        let failed = failing(Box::new(|| Err(io::Error::other("no disk"))));
        failed.connect(0).expect("it begins").next_piece().expect_err("it fails");
        assert_eq!(failed.connect(0).err(), Some(NotContinued::Ended));
        let panicked = failing(Box::new(|| panic!("a fault")));
        let mut connection = panicked.connect(0).expect("it begins");
        let piece = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| connection.next_piece().is_ok()));
        piece.expect_err("it panics");
        connection.next_piece().expect_err("its end would look like that of the backup");
        assert_eq!(panicked.connect(0).err(), Some(NotContinued::Ended));
    }

    #[test]
    fn a_transfer_is_held_until_nobody_has_come_for_a_while_or_the_server_stops() {
        let (stop, closing) = watch::channel(false);
        let (idle, _) = transfer(&[3, 5]);
        idle.connect(0).expect("it begins").next_piece().expect("no error").expect("a piece");
        idle.hold(Duration::from_millis(1), &closing);
        assert_eq!(idle.connect(3).err(), Some(NotContinued::Ended));

        let (taken, all) = transfer(&[3, 5]);
        thread::scope(|scope| {
            // Dropped before the holder is waited for, also if the test fails.
            let mut connection = taken.connect(0).expect("it begins");
            let holder = scope.spawn(|| taken.hold(Duration::ZERO, &closing));
            thread::sleep(3 * HELD_CHECK);
            assert_eq!(rest(&mut connection), all, "it is not idle");
            assert!(!holder.is_finished());
            // Pieces that are kept are not handed out either.
            let mut again = taken.connect(3).expect("it is kept");
            stop.send_replace(true);
            holder.join().expect("no panic");
            again.next_piece().expect_err("its end would look like that of the backup");
        });
    }
}
