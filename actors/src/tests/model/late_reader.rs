//! A reader that takes a head and makes its view from it much later, when anything may have happened to the user.

use domain::access::Viewer;
use domain::day::Day;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::super::fixture::user;
use super::super::harness::Harness;
use crate::request::{CommittedHead, GetHead, Request};
use crate::{ReadError, View};

pub(super) struct LateReader {
    pub(super) number: usize,
    pub(super) viewer: Viewer,
    /// The revision that was acknowledged, and the day, when the head was asked for.
    pub(super) acknowledged: u64,
    pub(super) day: Day,
    head: oneshot::Receiver<Result<CommittedHead, ReadError>>,
}

impl LateReader {
    /// Asks for the head of a user. Returns `None` if a queue is full.
    pub(super) fn ask(harness: &Harness, number: usize, viewer: Viewer, acknowledged: u64) -> Option<Self> {
        let (answer, head) = oneshot::channel();
        harness.runtime.dispatch(user(number), Request::GetHead(GetHead { answer })).ok()?;
        let day = harness.runtime.services.today();
        Some(Self { number, viewer, acknowledged, day, head })
    }

    /// Makes the view. Returns `None` if the head is not there yet.
    pub(super) fn finish(&mut self, harness: &Harness) -> Option<Result<View, ReadError>> {
        match self.head.try_recv() {
            Ok(head) => Some(head.and_then(|head| harness.runtime.view_from(&user(self.number), &self.viewer, &head))),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(ReadError::Busy)),
        }
    }
}
