//! Rate limits: how many calls a caller or an address may make within a sliding window.
//!
//! Times are microseconds on a clock that only goes forward, so a jump of the wall clock changes nothing. A window never lets
//! more calls through than its limit within any span of its length.

mod addresses;
mod counters;
mod network;
mod refusals;
mod resting;
mod rules;
mod window;

pub use addresses::{AddressCounters, AddressKey, AddressTable};
pub use counters::{Allowed, CallerCounters, Exceeded};
pub use network::Network;
pub use refusals::{DueRefusals, RefusalCount, RefusalLog};
pub use resting::{RestingCounters, RestingTable};
pub use rules::{ClassRules, LimitClass, LimitRules, Quota, Quotas};
pub use window::Window;
