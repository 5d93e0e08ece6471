//! Forgetting what memory holds of a user whose stored state was replaced. The store refuses loads of the user meanwhile.

use domain::id::UserId;
use tokio::sync::oneshot;

use crate::error::Busy;
use crate::profiles::Profiles;
use crate::request::{GetHead, Request};
use crate::roster::Presence;
use crate::runtime::Runtime;
use crate::shard_event::ShardEvent;

/// How often memory is looked at again: a user who was warm gets an actor first, which then ends.
const ATTEMPTS: usize = 4;

impl Profiles {
    /// Ends the actor of a user and forgets the user's state and views. Subscribers are asked to subscribe again, and writes
    /// that wait are answered busy. The store must refuse to load the user until this has returned.
    ///
    /// # Errors
    /// A limit is reached, and something is left. It may be tried again.
    pub async fn discard(&self, user: UserId) -> Result<(), Busy> {
        self.runtime().discard(user).await
    }

    /// Loads a user again whose stored state was replaced, so that the columns follow. Nobody waits for it.
    pub fn reload(&self, user: UserId) {
        self.runtime().missed.add(user);
        self.runtime().load_missed(vec![user]);
    }
}

impl Runtime {
    async fn discard(&self, user: UserId) -> Result<(), Busy> {
        for _ in 0..ATTEMPTS {
            if self.roster.presence(&user) == Presence::Cold {
                return Ok(());
            }
            // The state of a warm user goes to an actor, and so do the views, whose head cell ends with it.
            let _ = self.ask(user, |answer| Request::GetHead(GetHead { answer })).await;
            for shard in &self.shards {
                let (answer, ended) = oneshot::channel();
                // A shard that has stopped has no actors.
                if shard.send(ShardEvent::DiscardRequested(user, answer)).is_ok() {
                    let _ = ended.await;
                }
            }
        }
        if self.roster.presence(&user) == Presence::Cold { Ok(()) } else { Err(Busy) }
    }
}
