//! The ports of the live state.

use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::access::Policy;
use domain::port::clock::{Clock, Entropy};
use domain::port::journal::Journal;
use domain::port::log::EventLog;
use domain::port::projection::ProjectionStore;
use domain::port::store::ProfileStore;
use domain::rules::Rules;

/// The ports, rules and policy that the live state needs.
pub struct Ports {
    /// The journal that commits are appended to. The commit thread alone uses it.
    pub journal: Box<dyn Journal>,
    /// The store that users are loaded from.
    pub store: Arc<dyn ProfileStore>,
    /// The store that the columns of all users are filled from.
    pub projections: Arc<dyn ProjectionStore>,
    /// The journal as followers read it.
    pub log: Arc<dyn EventLog>,
    /// The clock, for the times of revisions and for the calendar day.
    pub clock: Arc<dyn Clock>,
    /// The source of random ids, keys and nonces.
    pub entropy: Arc<dyn Entropy>,
    /// The rules of assembly. They do not change while the server runs.
    pub rules: Arc<Rules>,
    /// The access policy. It may be exchanged at any time: see [`crate::Profiles::follow_policy`].
    pub policy: Arc<ArcSwap<Policy>>,
}
