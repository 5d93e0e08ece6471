//! What handlers share with the periodic work.

use std::sync::Arc;

use crate::http::request::limits::Limits;
use crate::http::request::tickets::Tickets;
use crate::http::{Denials, OperationsHistory, ServiceReads};
use crate::reload::Reloader;

/// Parts that handlers share with the periodic work.
#[derive(Clone)]
pub(crate) struct SharedParts {
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) operations: Arc<OperationsHistory>,
    pub(crate) service_reads: Arc<ServiceReads>,
    pub(crate) denials: Arc<Denials>,
}
