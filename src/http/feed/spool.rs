//! Results of a stream that its client has not read yet, in memory and then in a file.
//!
//! A client may send its whole stream before it reads the first result. If the server then stopped reading, both would
//! wait for ever; if it kept all results in memory, the client could exhaust it. So results wait in memory as far as
//! bounds and the memory budget allow, and then in an unlinked file of the data directory.
//!
//! `tempfile::SpooledTempFile` is not used: it is no queue, so it would keep what was read, and knows no budget over
//! all streams.

use std::cell::RefCell;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use actix_web::body::{BodySize, MessageBody};
use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::http::request::in_flight::{BudgetExceeded, Reservation};

/// Maximum number of bytes that one spool keeps in memory, besides a block for the file.
const MEMORY: usize = 1 << 20;
/// Number of bytes that are written to the file, and read from it, at once.
const BLOCK: usize = 128 * 1024;
/// Number of bytes in the files of all spools beyond which a stream with results in a file is not read until its client
/// has read them.
const FILE_BYTES: u64 = 1 << 30;

/// Maximum number of files of all spools, each of which is an open descriptor. A stream that needs a file and gets none
/// is not read until its client has read the results in memory.
pub(crate) const MAX_FILES: usize = 32;

/// The number of bytes in the files of all spools, and the number of the files.
#[derive(Clone, Default)]
pub(crate) struct SpoolSpace(Arc<SpaceUsage>);

#[derive(Default)]
struct SpaceUsage {
    bytes: AtomicU64,
    files: AtomicUsize,
    /// Wakes the spools of all streams that wait for bytes or for a file.
    freed: Notify,
}

impl SpoolSpace {
    fn add(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn release(&self, bytes: u64) {
        let before = self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if before >= FILE_BYTES && before - bytes < FILE_BYTES {
            self.0.freed.notify_waiters();
        }
    }

    fn is_used_up(&self) -> bool {
        self.0.bytes.load(Ordering::Relaxed) >= FILE_BYTES
    }

    /// Counts one more file, and returns whether there may be one.
    fn add_file(&self) -> bool {
        let one_more = |files: usize| (files < MAX_FILES).then_some(files + 1);
        self.0.files.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn release_file(&self) {
        if self.0.files.fetch_sub(1, Ordering::Relaxed) == MAX_FILES {
            self.0.freed.notify_waiters();
        }
    }
}

/// Returns the two ends of a new spool. Its file, if it needs one, is in `directory` and counts against `space`. Its
/// memory is reserved in `memory`.
///
/// # Errors
/// The memory budget has no room for one block, which every spool reserves.
pub(super) fn spool(
    directory: PathBuf,
    space: SpoolSpace,
    mut memory: Reservation,
) -> Result<(SpoolWriter, SpoolReader), BudgetExceeded> {
    memory.grow_to(BLOCK)?;
    let state = Rc::new(RefCell::new(SpoolState {
        directory,
        space,
        memory,
        oldest: BytesMut::new(),
        file: None,
        written: 0,
        read: 0,
        newest: BytesMut::new(),
        is_complete: false,
        failure: None,
        is_abandoned: false,
        reader: None,
        writer: None,
    }));
    Ok((SpoolWriter(Rc::clone(&state)), SpoolReader(state)))
}

/// The state that both ends share. By age, the bytes are in `oldest`, then in the file, then in `newest`.
struct SpoolState {
    directory: PathBuf,
    space: SpoolSpace,
    memory: Reservation,
    oldest: BytesMut,
    file: Option<File>,
    /// Number of bytes written to the file.
    written: u64,
    /// Number of bytes read from the file.
    read: u64,
    /// Bytes that wait to be written to the file as a block.
    newest: BytesMut,
    /// Whether nothing more will be added.
    is_complete: bool,
    /// The error that the reader gets instead of the rest.
    failure: Option<io::Error>,
    /// Whether nobody reads any more.
    is_abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl SpoolState {
    /// Adds bytes, in memory or for the file.
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let in_memory = self.newest.is_empty() && self.written == self.read;
        let held = self.oldest.len() + bytes.len();
        if in_memory && held <= MEMORY && self.memory.grow_to(BLOCK + held).is_ok() {
            self.oldest.extend_from_slice(bytes);
            return Ok(());
        }
        self.newest.extend_from_slice(bytes);
        self.write_block()
    }

    /// Writes `newest` to the file, if it has the size of a block and there may be a file.
    fn write_block(&mut self) -> io::Result<()> {
        if self.newest.len() < BLOCK {
            return Ok(());
        }
        self.open_file()?;
        let Some(file) = &self.file else { return Ok(()) };
        // A write to the page cache, and a rare one, is not worth a thread.
        file.write_all_at(&self.newest, self.written)?;
        self.written += self.newest.len() as u64;
        self.space.add(self.newest.len() as u64);
        self.newest.clear();
        Ok(())
    }

    /// Creates the file, if there is none and there may be one.
    fn open_file(&mut self) -> io::Result<()> {
        if self.file.is_none() && self.space.add_file() {
            let file = tempfile::tempfile_in(&self.directory).inspect_err(|_| self.space.release_file())?;
            self.file = Some(file);
        }
        Ok(())
    }

    /// Closes the file after it was read to its end, so that another stream may have one.
    fn close_file(&mut self) {
        if self.file.take().is_some() {
            self.space.release(self.written);
            self.space.release_file();
            (self.read, self.written) = (0, 0);
        }
    }

    /// Whether nothing more may be added for now.
    fn is_full(&self) -> bool {
        let waits_for_file = self.file.is_none() && self.newest.len() >= BLOCK;
        waits_for_file || (self.written > 0 && self.space.is_used_up())
    }

    /// Writes what waits for the file. Returns whether somebody still reads; `None` if nothing may be added yet.
    fn try_make_room(&mut self) -> io::Result<Option<bool>> {
        if self.is_abandoned {
            return Ok(Some(false));
        }
        self.write_block()?;
        Ok((!self.is_full()).then_some(true))
    }

    /// Takes the oldest bytes, at most a block; `None` if there are none.
    fn pop(&mut self) -> io::Result<Option<Bytes>> {
        if !self.oldest.is_empty() {
            let length = self.oldest.len().min(BLOCK);
            let block = self.oldest.split_to(length).freeze();
            self.memory.shrink_to(BLOCK + self.oldest.len());
            return Ok(Some(block));
        }
        if let Some(file) = self.file.as_ref().filter(|_| self.read < self.written) {
            let length = usize::try_from(self.written - self.read).unwrap_or(BLOCK).min(BLOCK);
            let mut block = BytesMut::zeroed(length);
            file.read_exact_at(&mut block, self.read)?;
            self.read += length as u64;
            if self.read == self.written {
                self.close_file();
            }
            return Ok(Some(block.freeze()));
        }
        Ok((!self.newest.is_empty()).then(|| self.newest.split().freeze()))
    }
}

impl Drop for SpoolState {
    fn drop(&mut self) {
        self.close_file();
    }
}

/// The end that results are added to. Dropping it completes the spool.
pub(super) struct SpoolWriter(Rc<RefCell<SpoolState>>);

impl SpoolWriter {
    /// Adds bytes.
    ///
    /// # Errors
    /// They could not be written to the file.
    pub(super) fn push(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.push(bytes)?;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        Ok(())
    }

    /// Ends the response with `error` instead of the remaining bytes.
    pub(super) fn fail(&self, error: io::Error) {
        self.0.borrow_mut().failure = Some(error);
    }

    /// Whether nothing more may be added before [`SpoolWriter::has_room`] has returned.
    pub(super) fn is_full(&self) -> bool {
        self.0.borrow().is_full()
    }

    /// Waits until more may be added, because the client has read or another stream has released bytes or a file.
    /// Returns `false` if nobody reads any more.
    ///
    /// A spool without a file does not wait for bytes in files, since it can add only little before it is full.
    ///
    /// # Errors
    /// Bytes that waited for the file could not be written to it.
    pub(super) async fn has_room(&self) -> io::Result<bool> {
        let space = self.0.borrow().space.clone();
        loop {
            // Created before the check, so that no release in between is missed.
            let mut freed = pin!(space.0.freed.notified());
            let room = poll_fn(|context| {
                let mut state = self.0.borrow_mut();
                match state.try_make_room().transpose() {
                    Some(room) => Poll::Ready(Some(room)),
                    None => {
                        state.writer = Some(context.waker().clone());
                        freed.as_mut().poll(context).map(|()| None)
                    }
                }
            });
            if let Some(room) = room.await {
                return room;
            }
        }
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.is_complete = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

/// The end that results are read from: the body of the response.
pub(super) struct SpoolReader(Rc<RefCell<SpoolState>>);

impl MessageBody for SpoolReader {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut state = self.0.borrow_mut();
        let popped = match state.failure.take() {
            Some(error) => Some(Err(error)),
            None => state.pop().transpose(),
        };
        match popped {
            None if !state.is_complete => {
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
            popped => {
                if let Some(writer) = state.writer.take() {
                    writer.wake();
                }
                Poll::Ready(popped)
            }
        }
    }
}

impl Drop for SpoolReader {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.is_abandoned = true;
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::in_flight::{InFlight, Purpose};

    /// Returns a spool with a memory budget of its own.
    fn spool(directory: PathBuf, space: SpoolSpace) -> (SpoolWriter, SpoolReader) {
        super::spool(directory, space, InFlight::new(16 * MEMORY).reserve(Purpose::Feed)).expect("room")
    }

    fn waits(writer: &SpoolWriter) -> bool {
        futures_util::FutureExt::now_or_never(writer.has_room()).is_none()
    }

    #[actix_web::test]
    async fn everything_comes_out_in_order_through_memory_and_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let (writer, mut reader) = spool(directory.path().to_owned(), SpoolSpace::default());
        let mut read = Vec::new();
        let mut written = Vec::new();
        for round in 0..4_u32 {
            for number in 0..40_000_u32 {
                let line = format!("{round} {number} {}\n", "x".repeat(50));
                writer.push(line.as_bytes()).expect("room");
                written.extend_from_slice(line.as_bytes());
            }
            assert!(writer.0.borrow().oldest.len() <= MEMORY && writer.0.borrow().newest.len() < 2 * BLOCK);
            // Read a part, so that the next round meets a spool that is half full.
            for _ in 0..5 * round {
                let piece = poll_fn(|context| Pin::new(&mut reader).poll_next(context)).await;
                read.extend_from_slice(&piece.expect("more").expect("a piece"));
            }
        }
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0, "the file has no name");
        drop(writer);
        while let Some(piece) = poll_fn(|context| Pin::new(&mut reader).poll_next(context)).await {
            read.extend_from_slice(&piece.expect("a piece"));
        }
        assert!(read == written);
    }

    #[actix_web::test]
    async fn a_writer_is_told_that_nobody_reads() {
        let (writer, reader) = spool(std::env::temp_dir(), SpoolSpace::default());
        assert!(writer.has_room().await.expect("room"));
        drop(reader);
        assert!(!writer.has_room().await.expect("an end"));
    }

    #[actix_web::test]
    async fn spools_share_the_space_and_release_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let space = SpoolSpace::default();
        let (writer, mut reader) = spool(directory.path().to_owned(), space.clone());
        let (other, _other_reader) = spool(directory.path().to_owned(), space.clone());
        writer.push(&vec![b'x'; MEMORY]).expect("room");
        writer.push(&vec![b'x'; BLOCK]).expect("room");
        assert_eq!(space.0.bytes.load(Ordering::Relaxed), BLOCK as u64);
        space.add(FILE_BYTES);
        assert!(other.has_room().await.expect("room"), "a spool without a file may continue");
        assert!(waits(&writer));
        for _ in 0..=MEMORY / BLOCK {
            let piece = poll_fn(|context| Pin::new(&mut reader).poll_next(context)).await;
            assert_eq!(piece.expect("more").expect("a piece").len(), BLOCK);
        }
        assert!(!waits(&writer), "all was read");
        space.release(FILE_BYTES);
        writer.push(&vec![b'x'; 2 * MEMORY]).expect("room");
        drop((writer, reader));
        assert_eq!(space.0.bytes.load(Ordering::Relaxed), 0);
    }

    #[actix_web::test]
    async fn the_number_of_files_is_bounded_and_falls_when_a_spool_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let space = SpoolSpace::default();
        let full = || {
            let (writer, reader) = spool(directory.path().to_owned(), space.clone());
            writer.push(&vec![b'x'; MEMORY]).expect("room");
            writer.push(&vec![b'y'; BLOCK]).expect("room");
            (writer, reader)
        };
        let spools: Vec<_> = (0..MAX_FILES).map(|_| full()).collect();
        assert_eq!(space.0.files.load(Ordering::Relaxed), MAX_FILES);
        let (writer, mut reader) = full();
        assert!(waits(&writer) && writer.0.borrow().file.is_none(), "there is no file for it");
        let waiting = actix_web::rt::spawn(async move {
            let has_room = writer.has_room().await.expect("room");
            (writer, has_room)
        });
        tokio::task::yield_now().await;
        drop(spools);
        let (writer, has_room) = waiting.await.expect("it ends");
        assert!(has_room && writer.0.borrow().file.is_some(), "the end of the others woke it, and it has a file");
        assert_eq!(space.0.files.load(Ordering::Relaxed), 1);
        writer.push(b"z").expect("room");
        drop(writer);
        let mut read = Vec::new();
        while let Some(piece) = poll_fn(|context| Pin::new(&mut reader).poll_next(context)).await {
            read.extend_from_slice(&piece.expect("a piece"));
        }
        assert!(read == [vec![b'x'; MEMORY], vec![b'y'; BLOCK], b"z".to_vec()].concat());
    }

    #[actix_web::test]
    async fn a_file_that_was_read_to_its_end_is_closed() {
        let directory = tempfile::tempdir().expect("a directory");
        let space = SpoolSpace::default();
        let (writer, mut reader) = spool(directory.path().to_owned(), space.clone());
        for _ in 0..2 {
            writer.push(&vec![b'x'; MEMORY]).expect("room");
            writer.push(&vec![b'y'; BLOCK]).expect("room");
            assert_eq!((space.0.files.load(Ordering::Relaxed), writer.0.borrow().file.is_some()), (1, true));
            for _ in 0..=MEMORY / BLOCK {
                let piece = poll_fn(|context| Pin::new(&mut reader).poll_next(context)).await;
                assert_eq!(piece.expect("more").expect("a piece").len(), BLOCK);
            }
            assert_eq!((space.0.files.load(Ordering::Relaxed), writer.0.borrow().file.is_some()), (0, false));
            assert_eq!(space.0.bytes.load(Ordering::Relaxed), 0);
        }
    }

    #[actix_web::test]
    async fn bytes_that_another_stream_releases_wake_the_writer() {
        let directory = tempfile::tempdir().expect("a directory");
        let space = SpoolSpace::default();
        let (writer, _reader) = spool(directory.path().to_owned(), space.clone());
        writer.push(&vec![b'x'; MEMORY + BLOCK]).expect("room");
        space.add(FILE_BYTES);
        let waiting = actix_web::rt::spawn(async move { writer.has_room().await.expect("room") });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        space.release(FILE_BYTES);
        assert!(waiting.await.expect("it ends"));
    }

    #[actix_web::test]
    async fn without_memory_results_wait_in_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let budget = InFlight::new(16 * MEMORY);
        let mut others = budget.reserve(Purpose::Feed);
        others.grow_to(15 * MEMORY - BLOCK).expect("room");
        let (writer, mut reader) =
            super::spool(directory.path().to_owned(), SpoolSpace::default(), budget.reserve(Purpose::Feed))
                .expect("room");
        let line = vec![b'x'; BLOCK];
        writer.push(&line).expect("room");
        assert_eq!((writer.0.borrow().memory.bytes(), writer.0.borrow().written), (BLOCK, BLOCK as u64));
        drop(others);
        let piece = poll_fn(|context| Pin::new(&mut reader).poll_next(context)).await;
        assert_eq!(piece.expect("more").expect("a piece"), line);
        writer.push(&line).expect("room");
        assert_eq!((writer.0.borrow().memory.bytes(), writer.0.borrow().written), (2 * BLOCK, 0));
    }
}
