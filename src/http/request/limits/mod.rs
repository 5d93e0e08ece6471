//! Rate limits, by class, caller and client address.
//!
//! The rules are in `domain::limits`; here they are shared by threads, follow the clock, and become headers.

pub(crate) mod account;
mod addresses;
mod allowance;
mod allowlist;
mod client_address;
pub(crate) mod clock;
mod flood;
mod plans;
mod refusals;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use domain::limits::LimitRules;
use domain::port::audit::AuditLog;
use domain::port::clock::Clock;
use domain::port::registry::Registry;

use super::caller::{Caller, Role};
use crate::http::problem::Problem;
use addresses::{AddressKind, Addresses};
pub(crate) use allowance::Allowance;
use allowance::LimitReached;
pub(crate) use allowlist::{Allowlist, AllowlistEntry, AllowlistError, AllowlistSubject};
pub(crate) use client_address::TrustedProxies;
pub(crate) use domain::limits::LimitClass;
use flood::FloodGate;
use plans::{AddressQuota, LimitedCaller, Plans};
use refusals::Refusals;

/// What the limits need.
pub(crate) struct LimitParts {
    pub(crate) rules: LimitRules,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) audit: Arc<dyn AuditLog>,
    /// The wall clock, by which entries of the allowlist expire.
    pub(crate) wall_clock: Arc<dyn Clock>,
    pub(crate) proxies: TrustedProxies,
}

/// The rate limits in force, and what was counted.
pub(crate) struct Limits {
    plans: Plans,
    addresses: Addresses,
    flood: FloodGate,
    allowlist: Allowlist,
    proxies: TrustedProxies,
    refusals: Refusals,
}

impl Limits {
    /// Returns the limits of a server that starts.
    pub(crate) fn new(parts: LimitParts) -> Self {
        let LimitParts { rules, registry, audit, wall_clock, proxies } = parts;
        let allowlist = Allowlist::load(registry, wall_clock);
        Self {
            flood: FloodGate::new(rules.flood_per_second),
            plans: Plans::new(rules, allowlist.callers()),
            addresses: Addresses::new(),
            allowlist,
            proxies,
            refusals: Refusals::new(audit),
        }
    }

    /// Returns the address of a request's client: that of the connection, or the one that a trusted proxy names.
    pub(crate) fn client_address(&self, request: &HttpRequest) -> Option<IpAddr> {
        self.proxies.client_address(request)
    }

    /// Counts a call of an authenticated caller.
    ///
    /// # Errors
    /// The caller has reached the limit of the class.
    pub(crate) fn count(
        &self,
        caller: &Caller,
        class: LimitClass,
        request: &HttpRequest,
    ) -> Result<Allowance, Problem> {
        self.count_many(caller, class, 1, request)
    }

    /// Counts a call that is worth `count` calls, such as one of a batch.
    ///
    /// # Errors
    /// The caller has reached the limit of the class, or the address that of all its callers.
    pub(crate) fn count_many(
        &self,
        caller: &Caller,
        class: LimitClass,
        count: u32,
        request: &HttpRequest,
    ) -> Result<Allowance, Problem> {
        let class = match (class, caller.role) {
            (LimitClass::Assemble, Role::Service) => LimitClass::Internal,
            (class, _) => class,
        };
        let now = clock::now();
        let limited = LimitedCaller { subject: caller.subject(), is_service: caller.role == Role::Service };
        let counted = caller.account.limits().count(limited, class, count, &self.plans, now);
        let counted = match self.plans.address_limit(class) {
            // The caller's own limit comes first: a call that it refuses is not counted for the address.
            Some(limit) if counted.is_ok() => self.count_class(class, limit, request, now).and(counted),
            _ => counted,
        };
        counted.map_err(|exceeded| {
            self.refusals.caller(caller, exceeded.name, now);
            exceeded.problem()
        })
    }

    /// Counts a request that arrived at `now` for the cap of all clients together.
    ///
    /// # Errors
    /// The server gets more requests than it may.
    pub(crate) fn count_request(&self, now: Instant) -> Result<(), Problem> {
        self.flood.count(clock::at(now)).map_err(|()| {
            self.refusals.flood();
            allowance::flood_problem()
        })
    }

    /// Counts a call without an accepted credential, by the address of its client. `problem` is the refusal.
    ///
    /// Returns the refusal with what is left to the address, or the one of the limit if the address has reached it.
    pub(crate) fn count_failure(&self, request: &HttpRequest, problem: Problem) -> Problem {
        if problem.status() == StatusCode::UNAUTHORIZED
            && let Some(address) = self.client_address(request)
        {
            self.refusals.failed_authentication(address, clock::now());
        }
        match self.count_address(AddressKind::Failure, request) {
            Ok(allowance) => allowance.on_problem(problem),
            Err(reached) => reached,
        }
    }

    /// Counts a call that needs no credential.
    ///
    /// # Errors
    /// The address has reached the limit.
    pub(crate) fn count_anonymous(&self, request: &HttpRequest) -> Result<Allowance, Problem> {
        self.count_address(AddressKind::Anonymous, request)
    }

    /// Counts a call that needs no credential in a class, by the address of its client.
    ///
    /// # Errors
    /// The address has reached the limit of the class.
    pub(crate) fn count_by_address(&self, class: LimitClass, request: &HttpRequest) -> Result<Allowance, Problem> {
        self.count_address(AddressKind::Class(class), request)
    }

    /// Puts other rules in force. What was counted stays counted.
    pub(crate) fn follow(&self, rules: LimitRules) {
        self.flood.set(rules.flood_per_second);
        self.plans.set_rules(rules);
    }

    /// Returns the entries that limits do not apply to.
    pub(crate) fn allowlist(&self) -> &Allowlist {
        &self.allowlist
    }

    /// Applies a change of the allowlist.
    pub(crate) fn follow_allowlist(&self) {
        self.plans.set_exempt(self.allowlist.callers());
    }

    /// Forgets what was counted for an address.
    pub(crate) fn reset_address(&self, address: IpAddr) {
        self.addresses.forget(address);
    }

    /// Does what is due: entries of the allowlist expire, and refusals of the last minute are recorded. It is called about
    /// once a second.
    pub(crate) fn upkeep(&self) {
        if self.allowlist.sweep() {
            self.follow_allowlist();
        }
        self.refusals.record_due(clock::now());
    }

    /// Records all refusals that were counted, when no more are.
    pub(crate) fn finish(&self) {
        self.refusals.record_due(u64::MAX);
    }

    fn count_class(
        &self,
        class: LimitClass,
        limit: AddressQuota,
        request: &HttpRequest,
        now: u64,
    ) -> Result<(), LimitReached> {
        let Some(address) = self.counted_address(request) else { return Ok(()) };
        let AddressQuota { quota, policy } = limit;
        let counted = self.addresses.count(AddressKind::Class(class), address, quota, now);
        counted.map(drop).map_err(|wait| LimitReached::of_address(class.name(), policy, wait))
    }

    fn count_address(&self, kind: AddressKind, request: &HttpRequest) -> Result<Allowance, Problem> {
        let Some(address) = self.counted_address(request) else { return Ok(Allowance::UNCOUNTED) };
        let Some(AddressQuota { quota, policy }) = self.plans.address_quota(kind) else {
            return Ok(Allowance::UNCOUNTED);
        };
        let now = clock::now();
        match self.addresses.count(kind, address, quota, now) {
            Ok(left) => Ok(Allowance::new(policy.as_ref(), kind.name(), left)),
            Err(wait) => {
                self.refusals.address(address, kind, now);
                Err(LimitReached::of_address(kind.name(), policy, wait).problem())
            }
        }
    }

    /// Returns the address of the client, unless the allowlist has it. A request without an address comes from a test.
    fn counted_address(&self, request: &HttpRequest) -> Option<IpAddr> {
        self.client_address(request).filter(|address| !self.allowlist.has_address(*address))
    }
}
