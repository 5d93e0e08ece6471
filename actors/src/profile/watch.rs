//! Live subscribers: opening, publishing, following the day and the policy.

use std::sync::Arc;

use domain::access::Viewer;
use domain::delta::Delta;
use domain::past::PastProfile;
use domain::port::journal::Committed;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet};

use super::core::Core;
use super::outlets::{First, Outlet, Studio};
use super::read::Found;
use super::request::{OpenOutlet, Opened, Request};
use crate::commit::Ticket;
use crate::error::ReadError;
use crate::head::HeadCell;
use crate::outlet::OutletSender;
use crate::roster::Local;

/// A cursor that lies further back gets the whole document: reading the way there would cost more than it saves.
const MOST_REVISIONS_BACK: u64 = 10_000;

/// What a subscriber wants.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its number, unique among those that share the outlet.
    pub id: u64,
    /// Who looks.
    pub viewer: Viewer,
    /// The leaves that it asks for; `None` asks for all.
    pub fields: Option<LeafSet>,
    /// Where it stands, by what an earlier message of ours said.
    pub cursor: Option<String>,
    /// Whether it followed the user before, with another view or another actor. Then a user who is hidden from it is
    /// `gone` until that changes, and not unknown.
    pub follows_on: bool,
    /// Where its frames go.
    pub outlet: OutletSender,
}

impl Core {
    /// The state goes out from the head, and every later frame continues from it: both are made here, on one thread,
    /// so nothing can come between.
    pub(super) fn open_outlet(&mut self, local: &Local, request: OpenOutlet) {
        match self.find(local) {
            Found::Pending => self.wait(Request::OpenOutlet(request)),
            found => self.answer_open(local, request, found),
        }
    }

    pub(super) fn answer_open(&mut self, local: &Local, request: OpenOutlet, found: Found) {
        let OpenOutlet { subscription, past, answer } = request;
        let (id, outlet) = (subscription.id, subscription.outlet.clone());
        let opened = match found {
            Found::Pending => Err(ReadError::Busy),
            Found::Nothing(error) => Err(error),
            Found::Head(head) | Found::Stale(head) => self.try_open(local, &head, subscription, past),
        };
        if answer.send(opened).is_err() {
            // Whoever gave up waiting has closed it already, and that came to nothing: it was not open yet.
            outlet.close(id);
            self.prune_outlets();
        }
    }

    fn try_open(
        &mut self,
        local: &Local,
        head: &UserState,
        subscription: Subscription,
        past: Option<Option<PastProfile>>,
    ) -> Result<Opened, ReadError> {
        let Subscription { id, viewer, fields, cursor, follows_on, outlet: sender } = subscription;
        let policy = local.shared.policy.load();
        let studio = studio(local, &self.user, &self.cell, head, &policy);
        // The others follow a new policy first, so that all stand on the same one.
        if let Some(outlets) = &mut self.outlets {
            outlets.reclass(&studio);
        }
        self.outlets.take_if(|outlets| outlets.len() == 0);
        let fields = fields.unwrap_or(LeafSet::ALL);
        let class = studio.class(&viewer, fields);
        let first = match class {
            Some(class) => match first(&studio, &cursor, class, past) {
                Ok(first) => first,
                Err(revision) => return Ok(Opened::NeedsPast(revision)),
            },
            None if follows_on => First::Gone,
            None => return Err(ReadError::Unknown),
        };
        let outlet = Outlet { id, viewer, fields, sender, class };
        self.outlets.get_or_insert_default().open(outlet, first, &studio);
        self.drop_empty_outlets();
        Ok(Opened::Open)
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
            let was_held_back = outlets.holds_back();
            outlets.publish(delta, &studio(local, &self.user, &self.cell, state, &policy));
            if !was_held_back && outlets.holds_back() {
                local.tell_held_soon(self.slot);
            }
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
            outlets.reclass(&studio(local, &self.user, &self.cell, head, &policy));
            self.drop_empty_outlets();
        }
    }

    /// Tells those who saw nothing of the last revisions that there were some.
    pub(crate) fn tell_held(&mut self, local: &Local) {
        let Some(head) = self.head(local) else { return };
        let policy = local.shared.policy.load();
        if let Some(outlets) = &mut self.outlets {
            let studio = studio(local, &self.user, &self.cell, &head, &policy);
            outlets.reclass(&studio);
            outlets.tell_held(&studio);
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

/// What comes first of a class, or the revision whose profile it takes to say.
fn first(
    studio: &Studio<'_>,
    cursor: &Option<String>,
    class: LeafSet,
    past: Option<Option<PastProfile>>,
) -> Result<First, u64> {
    let Some(cursor) = cursor else { return Ok(First::Profile { class, reset: false }) };
    let head = studio.state;
    match (studio.cursors.revision(cursor, studio.user, head, class), past) {
        (Some(revision), _) if revision == head.envelope.revision => {
            Ok(First::Continue { class, delta: Delta::none(head) })
        }
        (Some(revision), Some(Some(past))) if revision == past.revision => {
            Ok(First::Continue { class, delta: Delta::between(&past, head) })
        }
        (Some(revision), None) if is_near(revision, head) => Err(revision),
        _ => Ok(First::Profile { class, reset: true }),
    }
}

/// Whether the way from a revision to the head is worth reading.
fn is_near(revision: u64, head: &UserState) -> bool {
    let head = head.envelope.revision;
    revision < head && head - revision <= MOST_REVISIONS_BACK
}

fn studio<'a>(
    local: &'a Local,
    user: &'a domain::id::UserId,
    cell: &'a Arc<HeadCell>,
    state: &'a UserState,
    policy: &'a domain::access::Policy,
) -> Studio<'a> {
    let shared = &local.shared;
    Studio {
        user,
        state,
        policy,
        rules: &shared.rules,
        cell,
        cache: &shared.cache,
        cursors: &shared.cursors,
        metrics: &shared.metrics,
    }
}
