//! Forgetting what memory holds of a user whose stored state was replaced. The store refuses loads of the user meanwhile.

use domain::id::UserId;
use tokio::sync::oneshot;

use crate::error::Busy;
use crate::profile::Outlets;
use crate::profiles::Profiles;
use crate::request::{GetHead, Request};
use crate::roster::Presence;
use crate::runtime::Runtime;
use crate::shard_event::ShardEvent;

/// How often memory is looked at again: a user who was warm gets an actor first, which then ends.
const ATTEMPTS: usize = 4;

/// A user whom memory has forgotten. Dropped, it asks the subscribers to subscribe again: by then the user should be loadable, or
/// they are told that the user is not.
#[must_use = "it is held until the stored state has changed"]
#[derive(Debug)]
pub struct DiscardedUser {
    user: UserId,
    outlets: Vec<Outlets>,
}

impl DiscardedUser {
    pub(crate) fn new(user: UserId) -> Self {
        Self { user, outlets: Vec::new() }
    }

    /// Adds the subscribers of an actor that has ended.
    pub(crate) fn add(&mut self, outlets: Option<Box<Outlets>>) {
        self.outlets.extend(outlets.map(|outlets| *outlets));
    }

    fn merge(&mut self, mut other: Self) {
        self.outlets.append(&mut other.outlets);
    }
}

impl Drop for DiscardedUser {
    fn drop(&mut self) {
        self.outlets.iter().for_each(|outlets| outlets.resync(&self.user));
    }
}

impl Profiles {
    /// Ends the actor of a user and forgets the user's state and views. Subscribers are asked to subscribe again once the result
    /// is dropped, and writes that wait are answered busy. The store must refuse to load the user until this has returned.
    ///
    /// # Errors
    /// A limit is reached, and something is left. It may be tried again.
    pub async fn discard(&self, user: UserId) -> Result<DiscardedUser, Busy> {
        self.runtime().discard(user).await
    }

    /// Loads a user again whose stored state was replaced, so that the columns follow. Nobody waits for it.
    pub fn reload(&self, user: UserId) {
        self.runtime().missed.add(user);
        self.runtime().load_missed(vec![user]);
    }
}

impl Runtime {
    async fn discard(&self, user: UserId) -> Result<DiscardedUser, Busy> {
        let mut discarded = DiscardedUser::new(user);
        for _ in 0..ATTEMPTS {
            if self.roster.presence(&user) == Presence::Cold {
                return Ok(discarded);
            }
            // The state of a warm user goes to an actor, and so do the views, whose head cell ends with it.
            let _ = self.ask(user, |answer| Request::GetHead(GetHead { answer })).await;
            for shard in &self.shards {
                let (answer, ended) = oneshot::channel();
                // A shard that has stopped has no actors.
                if shard.send(ShardEvent::DiscardRequested(user, answer)).is_ok()
                    && let Ok(ended) = ended.await
                {
                    discarded.merge(ended);
                }
            }
        }
        if self.roster.presence(&user) == Presence::Cold { Ok(discarded) } else { Err(Busy) }
    }
}
