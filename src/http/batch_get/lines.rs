//! The lines of a batch, in the order of its ids, in pieces.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{Stream, StreamExt};

use super::BatchReads;

/// Maximum number of profiles that are read at the same time.
const READS: usize = 32;
/// Bytes of lines that are sent together, and of one more line.
const PIECE_BYTES: usize = 64 * 1024;

/// The lines of a batch. Profiles are read as the connection takes pieces. As long as no line waits, views that are in the cache are
/// written one behind the other, without a future for each.
pub(super) struct Lines {
    reads: Rc<BatchReads>,
    ids: IntoIter<String>,
    waiting: FuturesOrdered<LocalBoxFuture<'static, Vec<u8>>>,
}

impl Lines {
    /// Returns the lines of these ids.
    pub(super) fn new(reads: Rc<BatchReads>, ids: Vec<String>) -> Self {
        Self { reads, ids: ids.into_iter(), waiting: FuturesOrdered::new() }
    }

    /// Takes ids until the piece is full, or as many reads wait as may.
    fn take_ids(&mut self, piece: &mut Vec<u8>) {
        while self.waiting.len() < READS && piece.len() < PIECE_BYTES {
            let Some(id) = self.ids.next() else { return };
            if self.waiting.is_empty() {
                if piece.capacity() == 0 {
                    piece.reserve(PIECE_BYTES + PIECE_BYTES / 8);
                }
                if self.reads.write_at_once(piece, &id) {
                    continue;
                }
            }
            let reads = Rc::clone(&self.reads);
            self.waiting.push_back(Box::pin(async move { reads.line(&id).await }));
        }
    }
}

impl Stream for Lines {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut piece = Vec::new();
        while piece.len() < PIECE_BYTES {
            self.take_ids(&mut piece);
            match self.waiting.poll_next_unpin(context) {
                Poll::Ready(Some(line)) => piece.extend_from_slice(&line),
                Poll::Pending if piece.is_empty() => return Poll::Pending,
                Poll::Ready(None) if piece.is_empty() => return Poll::Ready(None),
                Poll::Pending | Poll::Ready(None) => break,
            }
        }
        Poll::Ready(Some(Ok(piece.into())))
    }
}
