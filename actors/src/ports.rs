//! What comes in from outside.

use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::access::Policy;
use domain::port::clock::{Clock, Entropy};
use domain::port::journal::Journal;
use domain::port::log::EventLog;
use domain::port::store::ProfileStore;
use domain::rules::Rules;

/// The ports and the facts that the live state stands on.
pub struct Ports {
    /// Makes acknowledgements; belongs to the commit thread alone.
    pub journal: Box<dyn Journal>,
    /// What cold users are loaded from.
    pub store: Arc<dyn ProfileStore>,
    /// The journal, for those who follow it.
    pub log: Arc<dyn EventLog>,
    /// The time of assembly and of the day.
    pub clock: Arc<dyn Clock>,
    /// Makes the ids and keys of new users.
    pub entropy: Arc<dyn Entropy>,
    /// The rules of assembly, fixed while the server runs.
    pub rules: Arc<Rules>,
    /// Who sees what; may be exchanged at any time.
    pub policy: Arc<ArcSwap<Policy>>,
}
