//! The headers and the problem that tell a caller about limits (draft-ietf-httpapi-ratelimit-headers).

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use domain::limits::Exceeded;

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
    /// The name of the limit with the fewest calls left.
    name: &'static str,
    left: u32,
}

impl Allowance {
    /// The allowance of a call that no limit counts.
    pub(crate) const UNCOUNTED: Self = Self(None);

    /// Returns the allowance of a counted call. `policy` is the ready header of its limits, and `name` the limit with the
    /// fewest calls left.
    pub(super) fn new(policy: Option<&HeaderValue>, name: &'static str, left: u32) -> Self {
        Self(policy.map(|policy| Counted { policy: policy.clone(), name, left }))
    }

    /// Adds the headers that tell the caller what is left. Those of a limit that was reached stay.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let Some(Counted { policy, name, left }) = self.0 else { return };
        headers.insert(RATELIMIT_POLICY, policy);
        headers.insert(RATELIMIT, state(name, left));
    }

    /// Adds the headers to an answer, which may be a problem.
    ///
    /// # Errors
    /// The answer is a problem.
    pub(crate) fn on(self, answer: Result<HttpResponse, Problem>) -> Result<HttpResponse, Problem> {
        match answer {
            Ok(mut answer) => {
                self.write(answer.headers_mut());
                Ok(answer)
            }
            Err(problem) => Err(self.on_problem(problem)),
        }
    }

    /// Adds the headers to a problem. Those of a limit that was reached stay.
    pub(crate) fn on_problem(self, problem: Problem) -> Problem {
        match self.0 {
            Some(Counted { policy, name, left }) if !problem.is(Code::RateLimitExceeded) => {
                problem.with_header(RATELIMIT_POLICY, policy).with_header(RATELIMIT, state(name, left))
            }
            _ => problem,
        }
    }
}

/// Returns the header `RateLimit` of an answer: `"read";r=99`.
fn state(name: &str, left: u32) -> HeaderValue {
    let mut text = [0; 64];
    let mut length = 0;
    let mut put = |bytes: &[u8]| {
        text[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    };
    put(b"\"");
    put(name.as_bytes());
    put(b"\";r=");
    put(decimal(left, &mut [0; 10]));
    // Digits and the names of limits are valid in headers.
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
    pub(super) fn of_address(name: &'static str, policy: Option<HeaderValue>, wait: u64) -> Self {
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
    use domain::limits::LimitClass;

    use super::super::addresses::AddressKind;
    use super::*;

    #[test]
    fn the_header_of_each_limit_names_it_and_what_is_left() {
        let of_addresses = [AddressKind::Failure, AddressKind::Anonymous].map(AddressKind::name);
        for name in LimitClass::ALL.map(LimitClass::name).into_iter().chain(of_addresses) {
            for number in [0, 7, 10, 99, 600_000, u32::MAX] {
                assert_eq!(state(name, number).to_str().unwrap(), format!("\"{name}\";r={number}"));
            }
        }
    }

    #[test]
    fn a_problem_has_the_headers_of_an_answer_unless_a_limit_was_reached() {
        let policy = HeaderValue::from_static("\"read\";q=5;w=60");
        let headers = |problem: Problem| {
            let answer = Allowance::new(Some(&policy), "read", 4).on_problem(problem).answer(None, None);
            let text =
                |name: HeaderName| answer.headers().get_all(name).map(|value| value.to_str().unwrap().to_owned());
            (text(RATELIMIT_POLICY).collect::<Vec<_>>(), text(RATELIMIT).collect::<Vec<_>>())
        };
        let refused = headers(Problem::new(Code::Forbidden, "not you"));
        assert_eq!(refused, (vec!["\"read\";q=5;w=60".to_owned()], vec!["\"read\";r=4".to_owned()]));
        let exceeded = Exceeded { class: LimitClass::Write, wait: 1 };
        let reached = headers(LimitReached::of_caller(exceeded, None).problem());
        assert_eq!(reached, (Vec::new(), vec!["\"write\";r=0;t=1".to_owned()]));
    }
}
