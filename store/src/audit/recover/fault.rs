//! Why a start is refused.

use std::path::Path;

use crate::error::OpenError;

/// Returns the error for a log that is not what was written.
pub(in crate::audit) fn damaged(path: &Path, what: &str) -> OpenError {
    let detail = format!("`{}`: {what} does not fit; see `verify-audit`", path.display());
    OpenError::Damaged { what: "the audit log", detail }
}
