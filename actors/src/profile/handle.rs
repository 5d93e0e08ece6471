//! Requests find the code that answers them.

use super::environment::Environment;
use super::state::ProfileState;
use crate::request::{Request, UserCounters};

impl ProfileState {
    /// Deals with one request. The state must not be detached.
    pub(crate) fn handle(&mut self, environment: &Environment<'_>, request: Request) {
        self.mark_used(environment.tick);
        self.answer(environment, request);
    }

    pub(super) fn answer(&mut self, environment: &Environment<'_>, request: Request) {
        match request {
            Request::ApplyFeedEvent(request) => self.apply_event(environment, request),
            Request::WriteConsent(request) => self.write_consent(environment, request),
            Request::MarkSnapshot(request) => self.mark_snapshot(environment, request),
            Request::Erase(request) => self.erase(environment, request),
            Request::GetHead(request) => self.get_head(environment, request),
            Request::Subscribe(request) => self.subscribe(environment, request),
            Request::PruneOutlets => self.prune_outlets(),
            Request::Reload => {}
            Request::WakeUp(flight) => drop(flight),
            Request::Observe(answer) => drop(answer.send(self.observe())),
            #[cfg(test)]
            Request::Panic => panic!("injected"),
        }
    }

    fn observe(&self) -> UserCounters {
        UserCounters { pending: self.pending.len(), outlets: self.outlets(), is_unpacked: self.is_unpacked() }
    }
}
