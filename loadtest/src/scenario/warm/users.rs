//! Requests about users in an order that jumps over all of them.

use crate::drive::RequestList;
use crate::http;
use crate::population::Feeds;
use crate::scenario::feeding::ALL_FEEDS;
use crate::server::Server;
use anyhow::Result;
use serde_json::json;
use std::ops::Range;
use std::rc::Rc;

/// A prime above every number of users, so that its multiples visit each user once.
const STRIDE: u64 = 2_654_435_761;

/// Renders requests about users, by their position in the order.
pub(super) struct UserRequests {
    pub(super) feeds: Rc<Feeds>,
    reader: String,
    writer: String,
    /// Another order than one that jumps over all of them.
    order: Vec<u32>,
}

impl UserRequests {
    pub(super) fn new(feeds: Rc<Feeds>, server: &Server) -> Result<Self> {
        let reader = server.token("svc:dashboard", "service", "profile:read")?;
        let writer = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        Ok(Self { feeds, reader, writer, order: Vec::new() })
    }

    /// Takes another order of the users, unless it is empty.
    pub(super) fn in_order(self, order: Vec<u32>) -> Self {
        Self { order, ..self }
    }

    /// Returns the user at a position of the order, which repeats itself after all users.
    fn user_at(&self, place: u64) -> u64 {
        let users = self.feeds.users();
        self.order.get((place % users) as usize).map_or_else(|| user_at(place, users), |index| u64::from(*index))
    }

    /// Returns a GET of each user in a part of the order.
    pub(super) fn reads(&self, part: Range<u64>) -> RequestList {
        let user_id = |place| self.feeds.people().user_id(self.user_at(place));
        let path = |place| format!("/api/v2/profile/{}", user_id(place));
        RequestList::new(part.map(|place| http::get(&path(place), &self.reader)).collect())
    }

    /// Returns the message that subscribes to the users in a part of the order.
    pub(super) fn subscription(&self, part: Range<u64>) -> String {
        let user_id = |place| self.feeds.people().user_id(self.user_at(place));
        let users: Vec<_> = part.map(|place| json!({"user_id": user_id(place)})).collect();
        json!({"type": "subscribe", "users": users}).to_string()
    }

    /// Returns a change of each user in a part of the order.
    pub(super) fn changes(&self, part: Range<u64>) -> RequestList {
        let render = |place| {
            let event = self.feeds.people().update(self.user_at(place), place / self.feeds.users());
            http::post_event(event.source, &event.json, &self.writer)
        };
        RequestList::new(part.map(render).collect())
    }
}

/// Returns the user at a position of the order that jumps.
fn user_at(place: u64, users: u64) -> u64 {
    (u128::from(place) * u128::from(STRIDE) % u128::from(users)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_order_visits_every_user_once_and_neighbours_late() {
        for users in [1, 2, 1_000, 65_536, 99_991] {
            let order: Vec<u64> = (0..users).map(|place| user_at(place, users)).collect();
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len() as u64, users);
            assert_eq!(user_at(users + 5, users), user_at(5, users));
        }
        let near =
            (0..9_999).filter(|&place| user_at(place, 10_000).abs_diff(user_at(place + 1, 10_000)) < 100).count();
        assert_eq!(near, 0);
    }
}
