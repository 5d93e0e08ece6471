//! Authenticates callers by bearer tokens, which are verified as RFC 8725 requires and then remembered by hash.

mod account;
mod claims;
mod identity;
mod numeric_date;
mod role;
mod scopes;
mod token_error;
mod verify;

pub(crate) use claims::{Act, Audience, Claims};
pub(crate) use identity::Caller;
pub(crate) use numeric_date::NumericDate;
pub(crate) use role::Role;
pub(crate) use scopes::Scope;
pub(crate) use verify::{Verifier, sign};
