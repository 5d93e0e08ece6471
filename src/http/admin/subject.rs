//! Whom an operation of an administrator is about: a caller or an address.

use domain::limits::Network;

use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::limits::AllowlistSubject;

/// Maximum length of the subject of a caller, in bytes.
const MAX_SUBJECT: usize = 128;

/// Returns whom one of two values names, and notes it for the entry of the call.
///
/// # Errors
/// None or both are given, or one is not valid.
pub(super) fn parse(
    context: &RequestContext,
    caller: Option<&str>,
    address: Option<&str>,
) -> Result<AllowlistSubject, Problem> {
    let refuse = |detail| Problem::new(Code::InvalidParameter, detail);
    match (caller, address) {
        (Some(caller), None) if !caller.is_empty() && caller.len() <= MAX_SUBJECT => {
            context.concerns("caller", caller.to_owned());
            Ok(AllowlistSubject::Caller(caller.to_owned()))
        }
        (None, Some(address)) => {
            let network = Network::parse(address)
                .ok_or_else(|| refuse("`address` must be an address, or a network such as `10.0.0.0/8`"))?;
            context.concerns("address", network.to_string());
            Ok(AllowlistSubject::Address(network))
        }
        _ => Err(refuse("name either a `caller`, by its `sub`, or an `address`")),
    }
}
