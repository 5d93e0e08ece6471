//! Rate limits, by class, caller and client address.

use std::net::IpAddr;

use actix_web::http::header::HeaderMap;

use super::caller::Caller;
use crate::http::problem::Problem;

/// The class of a rate limit. Calls of all operations of a class count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitClass {
    /// Tickets, tokens and sessions.
    Auth,
    /// Reads of profiles.
    Read,
    /// Changes by a citizen.
    Write,
    /// Feeds, which back-pressure bounds.
    Feed,
}

/// The rate limits in force.
pub(crate) struct Limits;

/// What is left to a caller after a call, for the headers of the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance;

impl Limits {
    /// Counts a call of an authenticated caller.
    ///
    /// # Errors
    /// The caller has reached the limit of the class.
    pub(crate) fn count(&self, _caller: &Caller, _class: LimitClass) -> Result<Allowance, Problem> {
        Ok(Allowance)
    }

    /// Counts a call without an accepted credential, by the address of its client. `problem` is the refusal.
    ///
    /// Returns the refusal, or the one of the limit if the address has reached it.
    pub(crate) fn count_failure(&self, _address: Option<IpAddr>, problem: Problem) -> Problem {
        problem
    }
}

impl Allowance {
    /// Adds the headers that tell the caller what is left.
    pub(crate) fn write(self, _headers: &mut HeaderMap) {}
}
