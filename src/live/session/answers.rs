//! Sends a session's answers to its client.

use actix_http::ws::CloseCode;
use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::{Session, SessionEnd};

/// Number of bytes of answers beyond which they are sent before the next message is handled.
const MAX_BATCH_BYTES: usize = 32 * 1024;

impl Session {
    /// Adds an answer to a batch, and sends the batch once it is large: the answers to one message cannot fill the
    /// memory.
    pub(super) async fn put(&self, answer: &[u8], batch: &mut BytesMut) -> Result<(), SessionEnd> {
        batch.extend_from_slice(answer);
        if batch.len() < MAX_BATCH_BYTES { Ok(()) } else { self.send(batch.split().freeze()).await }
    }

    /// Sends frames. While the client does not read answers, its messages are not read either; after two heartbeats the
    /// socket ends.
    pub(super) async fn send(&self, frames: Bytes) -> Result<(), SessionEnd> {
        if frames.is_empty() {
            return Ok(());
        }
        match timeout(self.state.settings.heartbeat * 2, self.answers.send(frames)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SessionEnd::Gone),
            Err(_) => Err(SessionEnd::Close(CloseCode::Policy, "the client does not read its answers")),
        }
    }
}
