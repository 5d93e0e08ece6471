//! State of the handlers of live sockets, profile streams and tickets.

use std::sync::Arc;
use std::time::Duration;

use actors::Profiles;
use domain::id::UserId;
use tokio::sync::watch;

use super::requested_view::RequestedView;
use super::sockets::Sockets;
use crate::http::audit::Disclosed;
use crate::http::problem::Problem;
use crate::http::request::access::read_within;
use crate::http::request::caller::{Caller, Verifier};
use crate::http::request::expiry::Expiry;
use crate::http::request::tickets::Tickets;

/// State of `/api/v2/live`, `/api/v2/live/ticket` and `/api/v2/profile/{user_id}/events`.
pub(crate) struct LiveState {
    pub(crate) profiles: Profiles,
    pub(crate) verifier: Arc<Verifier>,
    /// The open sockets and profile streams.
    pub(crate) sockets: Sockets,
    /// The tickets that were issued and not redeemed yet.
    pub(crate) tickets: Arc<Tickets>,
    /// The settings of the section `[live]`.
    pub(crate) settings: config::Live,
    /// Origins of pages that may request tickets, besides the server's own.
    pub(crate) cors_origins: Vec<String>,
    /// How long a read of a profile may take.
    pub(crate) request_timeout: Duration,
    /// Turns true when the server stops.
    pub(crate) closing: watch::Receiver<bool>,
}

impl LiveState {
    /// Returns what `caller` sees of a user now, reduced to the `requested` view.
    ///
    /// # Errors
    /// The caller sees nothing of the user, or the profile cannot be read.
    pub(super) async fn disclosed(
        &self,
        caller: &Caller,
        user: UserId,
        requested: RequestedView,
    ) -> Result<Disclosed, Problem> {
        let read = self.profiles.view(user, &caller.viewer, requested.schema);
        let view = read_within(self.request_timeout, &caller.viewer, read).await?;
        let leaves = view.class.leaves();
        Ok(Disclosed::new(requested.fields.map_or(leaves, |fields| fields.and(leaves)), view.generation))
    }

    /// Returns the expiry of a connection that `caller` opens now.
    pub(super) fn expiry(&self, caller: &Arc<Caller>) -> Expiry {
        Expiry::new(&self.verifier, caller, self.closing.clone())
    }
}
