//! The headers and the problem that tell a caller about limits (draft-ietf-httpapi-ratelimit-headers).

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use domain::limits::{Allowed, Exceeded, LimitClass, Quota};

use super::plans;
use crate::http::problem::{Code, Problem};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const MICROS_PER_SECOND: u64 = 1_000_000;

/// What is left to a caller after a call, for the headers of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Allowance(Option<Counted>);

#[derive(Debug, Clone)]
struct Counted {
    policy: HeaderValue,
    allowed: Allowed,
}

impl Allowance {
    /// The allowance of a call that no limit counts.
    pub(crate) const UNCOUNTED: Self = Self(None);

    /// Returns the allowance of a counted call. `policy` is the ready header of its class.
    pub(super) fn new(policy: Option<&HeaderValue>, allowed: Allowed) -> Self {
        Self(policy.map(|policy| Counted { policy: policy.clone(), allowed }))
    }

    /// Adds the headers that tell the caller what is left.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let Some(Counted { policy, allowed }) = self.0 else { return };
        headers.insert(RATELIMIT_POLICY, policy);
        headers.insert(RATELIMIT, left(allowed.class, allowed.left));
    }
}

/// Returns the header `RateLimit` of an answer: `"read";r=99`.
fn left(class: LimitClass, left: u32) -> HeaderValue {
    let mut text = [0; 32];
    let (prefix, mut length) = (prefix(class).as_bytes(), 0);
    let mut put = |bytes: &[u8]| {
        text[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    };
    put(prefix);
    put(decimal(left, &mut [0; 10]));
    // Digits and the names of classes are valid in headers.
    HeaderValue::from_bytes(&text[..length]).unwrap_or(HeaderValue::from_static("0"))
}

/// Returns the digits of a number, written at the end of `digits`.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

const fn prefix(class: LimitClass) -> &'static str {
    match class {
        LimitClass::Auth => "\"auth\";r=",
        LimitClass::Sensitive => "\"sensitive\";r=",
        LimitClass::Diff => "\"diff\";r=",
        LimitClass::Read => "\"read\";r=",
        LimitClass::Write => "\"write\";r=",
        LimitClass::Snapshots => "\"snapshots\";r=",
        LimitClass::Assemble => "\"assemble\";r=",
        LimitClass::Feed => "\"feed\";r=",
        LimitClass::Export => "\"export\";r=",
        LimitClass::Internal => "\"internal\";r=",
    }
}

/// A limit that was reached.
#[derive(Debug, Clone)]
pub(super) struct LimitReached {
    /// The name of the limit: that of a class, or of what is counted by address.
    pub(super) name: &'static str,
    /// The header `RateLimit-Policy`.
    policy: Option<HeaderValue>,
    /// Whether it is the limit of an address, which its callers share.
    is_shared: bool,
    /// Microseconds until the call would be allowed.
    wait: u64,
}

impl LimitReached {
    /// Returns the limit that a caller has reached.
    pub(super) fn of_caller(exceeded: Exceeded, policy: Option<&HeaderValue>) -> Self {
        Self { name: exceeded.class.name(), policy: policy.cloned(), is_shared: false, wait: exceeded.wait }
    }

    /// Returns the limit that a client address has reached.
    pub(super) fn of_address(name: &'static str, quota: Quota, wait: u64) -> Self {
        let policy = HeaderValue::from_maybe_shared(Bytes::from(plans::policy_items(name, &quota))).ok();
        Self { name, policy, is_shared: true, wait }
    }

    /// Returns the answer.
    pub(super) fn problem(self) -> Problem {
        let seconds = self.wait.div_ceil(MICROS_PER_SECOND).max(1);
        let who = if self.is_shared { " of this client address" } else { "" };
        let detail = format!("the limit `{}`{who} was reached: try again in {seconds} s", self.name);
        let state = HeaderValue::from_maybe_shared(Bytes::from(format!("\"{}\";r=0;t={seconds}", self.name)));
        let headers =
            [self.policy.map(|policy| (RATELIMIT_POLICY, policy)), state.ok().map(|state| (RATELIMIT, state))];
        let problem = exceeded(detail, seconds);
        headers.into_iter().flatten().fold(problem, |problem, (name, value)| problem.with_header(name, value))
    }
}

/// Returns the answer to a request that the cap of all clients refuses.
pub(super) fn flood_problem() -> Problem {
    exceeded("the server gets more requests than it serves: try again in 1 s", 1)
}

fn exceeded(detail: impl Into<Cow<'static, str>>, seconds: u64) -> Problem {
    Problem::new(Code::RateLimitExceeded, detail).with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_each_class_names_it_and_what_is_left() {
        for class in LimitClass::ALL {
            for number in [0, 7, 10, 99, 600_000, u32::MAX] {
                assert_eq!(left(class, number).to_str().unwrap(), format!("\"{}\";r={number}", class.name()));
            }
        }
    }
}
