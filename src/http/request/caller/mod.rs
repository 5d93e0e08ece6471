//! Authenticates callers by bearer tokens and by sessions of pages. Tokens are verified as RFC 8725 requires and then
//! remembered by hash.
//!
//! `verify` is the way in. `key_store` holds the public keys, `revocations` what is no longer accepted, and `sessions` the
//! sessions of pages.

mod account;
mod claims;
mod credential_version;
mod identity;
mod key_set;
mod key_source;
mod key_store;
mod lifetime;
mod login_code;
#[cfg(test)]
pub(crate) mod memory_registry;
mod numeric_date;
mod oldest_token;
mod revocations;
mod role;
mod scopes;
mod session_index;
mod sessions;
mod sign;
mod token_error;
mod token_hash;
mod verify;
mod weak_rsa;

#[cfg(test)]
pub(crate) use account::Accounts;
pub(crate) use claims::{Act, Audience, Claims};
pub(crate) use credential_version::CredentialVersion;
pub(crate) use identity::Caller;
pub(crate) use key_source::{KeySource, KeyUrl};
pub(crate) use key_store::KeyStore;
pub(crate) use login_code::LoginCodes;
pub(crate) use numeric_date::NumericDate;
pub(crate) use revocations::{Revocation, Revocations};
pub(crate) use role::Role;
pub(crate) use scopes::Scope;
pub(crate) use sessions::{NewSession, SessionError, Sessions, StoredSession, csrf_token};
pub(crate) use sign::{sign, sign_with};
pub(crate) use verify::{Verifier, VerifierParts};
