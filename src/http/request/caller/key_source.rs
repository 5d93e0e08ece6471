//! Where the key set comes from: a file, or an address that is asked over HTTP.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// Maximum size of a key set, in bytes.
const MAX_BYTES: u64 = 256 * 1024;
/// Maximum time of a request for a key set.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The place of the key set.
#[derive(Debug, Clone)]
pub(crate) enum KeySource {
    /// A file, which is read again every second.
    File(PathBuf),
    /// An address, which is asked at this interval.
    Url(String, Duration),
}

/// Why a key set was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySourceError {
    /// The file cannot be read.
    #[error("could not read the key set `{path}`: {source}")]
    File {
        /// The path of the file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The address does not answer with a key set.
    #[error("could not fetch the key set from `{url}`: {source}")]
    Url {
        /// The address.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The key set is too large.
    #[error("the key set is larger than {MAX_BYTES} bytes")]
    TooLarge,
}

impl KeySource {
    /// Reads the key set. Blocks, for at most five seconds if it is asked over HTTP.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub(super) fn read(&self) -> Result<Vec<u8>, KeySourceError> {
        let text = match self {
            Self::File(path) => {
                let mut text = Vec::new();
                let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text));
                read.map(|_| text).map_err(|source| KeySourceError::File { path: path.clone(), source })?
            }
            Self::Url(url, _) => fetch(url).map_err(|source| KeySourceError::Url { url: url.clone(), source })?,
        };
        if text.len() as u64 > MAX_BYTES { Err(KeySourceError::TooLarge) } else { Ok(text) }
    }

    /// Returns the time between two reads.
    pub(super) fn interval(&self) -> Duration {
        match self {
            Self::File(_) => Duration::from_secs(1),
            Self::Url(_, interval) => *interval,
        }
    }
}

/// Asks for a key set. Redirections are not followed: they could lead to any address.
fn fetch(url: &str) -> Result<Vec<u8>, Box<ureq::Error>> {
    let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(0).build();
    let mut answer = ureq::Agent::new_with_config(config).get(url).header("accept", "application/json").call()?;
    Ok(answer.body_mut().with_config().limit(MAX_BYTES + 1).read_to_vec()?)
}
