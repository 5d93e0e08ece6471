//! Live subscribers: opening, publishing, following the day and the policy.

use domain::access::Viewer;
use domain::port::journal::Committed;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet};

use super::core::Core;
use super::outlets::{Outlet, Studio};
use super::read::Found;
use super::request::{OpenOutlet, Request};
use crate::commit::Ticket;
use crate::error::ReadError;
use crate::outlet::OutletSender;
use crate::roster::Local;

/// What a subscriber wants.
#[derive(Debug)]
pub struct Subscription {
    /// Its number, unique among those that share the outlet.
    pub id: u64,
    /// Who looks.
    pub viewer: Viewer,
    /// The leaves that it asks for; `None` asks for all.
    pub fields: Option<LeafSet>,
    /// Where its frames go.
    pub outlet: OutletSender,
}

impl Core {
    /// The state goes out from the head, and every later frame continues from it: both are made here, on one thread,
    /// so nothing can come between.
    pub(super) fn open_outlet(&mut self, local: &Local, request: OpenOutlet) {
        let head = match self.find(local) {
            Found::Pending => return self.wait(Request::OpenOutlet(request)),
            Found::Nothing(error) => return Request::OpenOutlet(request).fail(error),
            Found::Head(head) | Found::Stale(head) => head,
        };
        let OpenOutlet { subscription, answer } = request;
        let Subscription { id, viewer, fields, outlet: sender } = subscription;
        let outlet = Outlet { id, viewer, fields: fields.unwrap_or(LeafSet::ALL), sender, class: None };
        // The others follow a new policy first, so that all stand on the same one.
        self.reclass(local, &head);
        let policy = local.shared.policy.load();
        let outlets = self.outlets.get_or_insert_default();
        let opened = outlets.open(outlet, &studio(local, &self.user, &head, &policy));
        self.drop_empty_outlets();
        let _ = answer.send(if opened { Ok(()) } else { Err(ReadError::Unknown) });
    }

    /// Stage 6: what is published is committed, or it would not be here.
    pub(super) fn publish(&mut self, local: &Local, state: &UserState, ticket: &Committed<Ticket>) {
        let Some(delta) = &ticket.get().delta else { return };
        if let Some(pct) = state.profile.get(Leaf::ProfileCompletenessPct).and_then(|pct| pct.as_str().parse().ok()) {
            let pct: f64 = pct;
            local.shared.metrics.completeness_pct.record(pct);
        }
        if let Some(outlets) = &mut self.outlets {
            let policy = local.shared.policy.load();
            outlets.publish(delta, &studio(local, &self.user, state, &policy));
            self.drop_empty_outlets();
        }
    }

    /// Follows the policy and rolls to today; the patch follows when it is durable. `false` when the roll found the
    /// system busy: then it is to be tried again, but nobody sees a moment longer what a new policy takes from them.
    pub(crate) fn refresh_outlets(&mut self, local: &Local) -> bool {
        let found = self.find(local);
        if let Some(head) = self.head(local) {
            self.reclass(local, &head);
        }
        !matches!(found, Found::Stale(_))
    }

    fn reclass(&mut self, local: &Local, head: &UserState) {
        let policy = local.shared.policy.load();
        if let Some(outlets) = &mut self.outlets {
            outlets.reclass(&studio(local, &self.user, head, &policy));
            self.drop_empty_outlets();
        }
    }

    fn drop_empty_outlets(&mut self) {
        self.outlets.take_if(|outlets| outlets.len() == 0);
    }

    /// Lets closed outlets go.
    pub(crate) fn prune_outlets(&mut self) {
        self.outlets.take_if(|outlets| !outlets.prune());
    }

    /// How many subscribers there are.
    pub(crate) fn outlets(&self) -> usize {
        self.outlets.as_ref().map_or(0, |outlets| outlets.len())
    }
}

fn studio<'a>(
    local: &'a Local,
    user: &'a domain::id::UserId,
    state: &'a UserState,
    policy: &'a domain::access::Policy,
) -> Studio<'a> {
    let shared = &local.shared;
    Studio { user, state, policy, cursors: &shared.cursors, metrics: &shared.metrics }
}
