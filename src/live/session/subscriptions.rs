//! The users that a socket follows: subscriptions begin, end, and are resumed when an actor or a token ends.

use std::rc::Rc;
use std::sync::Arc;

use actors::Subscription;
use bytes::BytesMut;
use domain::id::UserId;

use super::super::message::{self, RequestedUser};
use super::super::outgoing::EndedSubscription;
use super::super::requested_view::RequestedView;
use super::attempts::{disclosed_again, unless_busy};
use super::{Session, SessionEnd};
use crate::http::problem::{Code, Problem};
use crate::http::request::access::{check_visibility, read_within};
use crate::http::request::caller::{Role, Scope};

/// A user that the socket follows.
pub(super) struct FollowedUser {
    /// Number of the subscription on this socket.
    pub(super) subscription: u64,
    requested: RequestedView,
}

/// Where a subscription begins.
#[derive(Default)]
struct SubscriptionStart {
    /// The client's id of the request, which its first frame carries.
    id: Option<String>,
    /// The cursor to continue from.
    cursor: Option<String>,
    /// Whether the socket has followed the user before: a user who has become invisible is then `gone`, not unknown.
    followed_before: bool,
}

/// What is needed to resume a subscription that has ended.
pub(super) struct SuspendedSubscription {
    user: UserId,
    requested: RequestedView,
    /// The client's id of the request, if the frame that carries it was not sent.
    id: Option<String>,
    /// Whether a frame with `reset` was due and was not sent.
    owes_reset: bool,
}

impl Session {
    /// Subscribes to each of `users`. A refusal is an answer of its own, and does not affect the other users.
    pub(super) async fn subscribe(
        &mut self,
        id: Option<&str>,
        users: &[RequestedUser],
        view: RequestedView,
        answers: &mut BytesMut,
    ) -> Result<(), SessionEnd> {
        for user in users {
            let outcome = match UserId::parse(&user.user_id) {
                Ok(id_of_user) => self.follow_first(id, id_of_user, view, user.cursor.clone()).await,
                Err(_) => Err(Problem::unknown_user())
                    .inspect_err(|problem| self.connection.deny(&self.caller, None, problem)),
            };
            if let Err(problem) = outcome {
                self.put(&message::error(id, Some(&user.user_id), &problem), answers).await?;
            }
        }
        Ok(())
    }

    /// Follows a user at the request of the client, and records it as a read of the profile is recorded.
    async fn follow_first(
        &mut self,
        id: Option<&str>,
        user: UserId,
        requested: RequestedView,
        cursor: Option<String>,
    ) -> Result<(), Problem> {
        let (connection, caller) = (Rc::clone(&self.connection), Arc::clone(&self.caller));
        check_visibility(&caller, &user)
            .and_then(|()| self.check_capacity(&user))
            .inspect_err(|problem| connection.deny(&caller, Some(user), problem))?;
        let disclosed = self.state.disclosed(&caller, user, requested).await;
        let admitted = connection.admit(&caller, Some(user), disclosed).await?;
        let start = SubscriptionStart { id: id.map(str::to_owned), cursor, followed_before: false };
        let followed = self.follow(user, requested, start).await;
        connection.settle(&caller, admitted, followed.as_ref().copied()).await;
        followed
    }

    /// Follows a user. An earlier subscription to the same user ends.
    async fn follow(
        &mut self,
        user: UserId,
        requested: RequestedView,
        start: SubscriptionStart,
    ) -> Result<(), Problem> {
        if !start.followed_before {
            check_visibility(&self.caller, &user)?;
        }
        self.unsubscribe(&user);
        self.check_capacity(&user)?;
        self.subscription_count += 1;
        let subscription = self.subscription_count;
        let SubscriptionStart { id, cursor, followed_before } = start;
        if let Some(id) = id {
            self.pending_ids.insert(subscription, id);
        }
        // Inserted before the actor is asked: if the session ends meanwhile, it ends this subscription too.
        self.followed.insert(user, FollowedUser { subscription, requested });
        let opened = {
            let (viewer, outlet) = (self.caller.viewer.clone(), self.outlet.clone());
            let RequestedView { schema, fields, names_sources } = requested;
            let id = subscription;
            let subscription =
                Subscription { id, viewer, fields, schema, names_sources, cursor, followed_before, outlet };
            let opened = self.state.profiles.subscribe(user, subscription);
            read_within(self.state.request_timeout, &self.caller.viewer, opened).await
        };
        if opened.is_err() {
            // After a time-out the actor may have opened it all the same.
            self.unsubscribe(&user);
        }
        opened
    }

    /// Checks whether the socket may follow a user besides the others that it follows.
    fn check_capacity(&self, user: &UserId) -> Result<(), Problem> {
        let others = self.followed.len() - usize::from(self.followed.contains_key(user));
        if others >= self.state.settings.max_subscriptions_per_socket {
            return Err(Problem::new(
                Code::Forbidden,
                "the socket follows `live.max_subscriptions_per_socket` users: open another socket",
            ));
        }
        if others > 0 && self.caller.role == Role::Service && !self.caller.has(Scope::LiveMany) {
            return Err(Problem::new(
                Code::MissingScope,
                "following more than one user on a socket needs the scope `live:many`",
            ));
        }
        Ok(())
    }

    /// Deals with a subscription that gets no further frame. If the user's actor has ended, the next one continues with the
    /// current state.
    pub(super) async fn on_ended(&mut self, ended: EndedSubscription) -> Result<(), SessionEnd> {
        let (EndedSubscription::Resync { user, subscription, .. } | EndedSubscription::Erased { user, subscription }) =
            ended;
        let requested = match self.followed.get(&user) {
            Some(followed) if followed.subscription == subscription => followed.requested,
            // The client has subscribed to the user again, or unsubscribed.
            _ => return Ok(()),
        };
        let EndedSubscription::Resync { owes_reset, .. } = ended else {
            self.unsubscribe(&user);
            return Ok(());
        };
        let id = self.pending_ids.take(subscription);
        let mut answers = BytesMut::new();
        self.resume(vec![SuspendedSubscription { user, requested, id, owes_reset }], &mut answers).await?;
        self.send(answers.freeze()).await
    }

    /// Resumes subscriptions that have ended, from the current state of their users.
    pub(super) async fn resume(
        &mut self,
        suspended: Vec<SuspendedSubscription>,
        answers: &mut BytesMut,
    ) -> Result<(), SessionEnd> {
        for subscription in suspended {
            if let Err(problem) = self.follow_again(&subscription).await {
                let SuspendedSubscription { user, id, .. } = subscription;
                self.put(&message::error(id.as_deref(), Some(user.as_str()), &problem), answers).await?;
            }
        }
        Ok(())
    }

    /// Resumes subscriptions with the view that a newer token gives, and records each as a new one.
    pub(super) async fn resume_renewed(
        &mut self,
        suspended: Vec<SuspendedSubscription>,
        answers: &mut BytesMut,
    ) -> Result<(), SessionEnd> {
        for subscription in suspended {
            if let Err(problem) = self.follow_renewed(&subscription).await {
                let SuspendedSubscription { user, id, .. } = subscription;
                self.put(&message::error(id.as_deref(), Some(user.as_str()), &problem), answers).await?;
            }
        }
        Ok(())
    }

    async fn follow_renewed(&mut self, suspended: &SuspendedSubscription) -> Result<(), Problem> {
        let (connection, caller) = (Rc::clone(&self.connection), Arc::clone(&self.caller));
        let user = suspended.user;
        let disclosed = disclosed_again(|| self.state.disclosed(&caller, user, suspended.requested)).await;
        let admitted = connection.admit(&caller, Some(user), disclosed).await?;
        let followed = self.follow_again(suspended).await;
        connection.settle(&caller, admitted, followed.as_ref().copied()).await;
        followed
    }

    async fn follow_again(&mut self, suspended: &SuspendedSubscription) -> Result<(), Problem> {
        unless_busy(async || {
            // No state continues an empty cursor, so the first frame says `reset` again.
            let cursor = suspended.owes_reset.then(String::new);
            let start = SubscriptionStart { id: suspended.id.clone(), cursor, followed_before: true };
            self.follow(suspended.user, suspended.requested, start).await
        })
        .await
    }

    /// Ends the subscription to a user, and returns what is needed to resume it; `None` if there is none.
    pub(super) fn unsubscribe(&mut self, user: &UserId) -> Option<SuspendedSubscription> {
        let FollowedUser { subscription, requested } = self.followed.remove(user)?;
        let id = self.pending_ids.take(subscription);
        let owes_reset = self.state.profiles.unsubscribe(*user, subscription, &self.outlet);
        Some(SuspendedSubscription { user: *user, requested, id, owes_reset })
    }

    /// Accepts a newer token of the same caller, which extends the life of the socket. If the token gives another view,
    /// all subscriptions end and are returned to be resumed with that view: the next frame of each shows nothing that
    /// has become hidden.
    pub(super) async fn renew(&mut self, token: &str) -> Result<Vec<SuspendedSubscription>, Problem> {
        let caller = self.connection.renew(&self.caller, token).await?;
        self.expiry.extend(&caller);
        let before = std::mem::replace(&mut self.caller, caller);
        if before.viewer == self.caller.viewer && before.has(Scope::LiveMany) == self.caller.has(Scope::LiveMany) {
            return Ok(Vec::new());
        }
        let users: Vec<UserId> = self.followed.keys().copied().collect();
        Ok(users.iter().filter_map(|user| self.unsubscribe(user)).collect())
    }
}
