//! Where the key set comes from: a file, or an address that is asked over HTTP or HTTPS.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::StatusCode;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Maximum size of a key set, and of a file of certificates, in bytes.
const MAX_BYTES: u64 = 256 * 1024;
/// Maximum time of a request for a key set, from the look-up of the host to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The place of the key set.
#[derive(Debug, Clone)]
pub(crate) enum KeySource {
    /// A file, which is read again every second.
    File(PathBuf),
    /// An address.
    Url(KeyUrl),
}

/// An address that has the key set.
#[derive(Debug, Clone)]
pub(crate) struct KeyUrl {
    /// The address, which the settings have checked: HTTPS, or HTTP on this machine.
    pub(crate) url: String,
    /// The certificates of the authorities that may certify the host, as PEM; `None` for those that browsers know.
    pub(crate) authorities: Option<PathBuf>,
    /// The time between two requests.
    pub(crate) interval: Duration,
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
        source: io::Error,
    },
    /// The file of certificates cannot be read.
    #[error("could not read the certificates `{path}`: {source}")]
    Authorities {
        /// The path of the file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address does not answer with a key set.
    #[error("could not fetch the key set from `{url}`: {source}")]
    Url {
        /// The address.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The address answers with another status than 200, such as a redirection.
    #[error("could not fetch the key set from `{url}`: the answer is {status}")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// The key set is too large.
    #[error("the key set is larger than {MAX_BYTES} bytes")]
    TooLarge,
}

impl KeySourceError {
    /// Whether the fault is on this machine, so that waiting does not help.
    pub(crate) const fn is_local(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Authorities { .. })
    }
}

impl KeySource {
    /// Reads the key set. Blocks, for at most five seconds if it is asked for over a network.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub(super) fn read(&self) -> Result<Vec<u8>, KeySourceError> {
        let text = match self {
            Self::File(path) => {
                read_file(path).map_err(|source| KeySourceError::File { path: path.clone(), source })?
            }
            Self::Url(url) => url.fetch()?,
        };
        if text.len() as u64 > MAX_BYTES { Err(KeySourceError::TooLarge) } else { Ok(text) }
    }

    /// Returns the time between two reads.
    pub(super) fn interval(&self) -> Duration {
        match self {
            Self::File(_) => Duration::from_secs(1),
            Self::Url(url) => url.interval,
        }
    }
}

impl KeyUrl {
    fn fetch(&self) -> Result<Vec<u8>, KeySourceError> {
        let agent = self.agent()?;
        let failed = |error| KeySourceError::Url { url: self.url.clone(), source: Box::new(error) };
        let mut answer = agent.get(&self.url).header("accept", "application/json").call().map_err(failed)?;
        if answer.status() != StatusCode::OK {
            return Err(KeySourceError::Status { url: self.url.clone(), status: answer.status() });
        }
        answer.body_mut().with_config().limit(MAX_BYTES + 1).read_to_vec().map_err(failed)
    }

    /// Returns what sends the request. Redirections are not followed, since they could lead to any address, and no proxy is
    /// asked, since one would see and could change what is fetched without TLS.
    fn agent(&self) -> Result<ureq::Agent, KeySourceError> {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(0).proxy(None);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().root_certs(self.roots()?).unversioned_rustls_crypto_provider(provider);
        Ok(config.max_idle_connections(0).tls_config(tls.build()).build().into())
    }

    /// Returns the certificates that the host's own must lead to.
    fn roots(&self) -> Result<RootCerts, KeySourceError> {
        let Some(path) = &self.authorities else { return Ok(RootCerts::WebPki) };
        let failed = |source| KeySourceError::Authorities { path: path.clone(), source };
        let text = read_file(path).map_err(failed)?;
        let certificates: Vec<_> = parse_pem(&text)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if certificates.is_empty() {
            return Err(failed(io::Error::other("it has no certificate in PEM form")));
        }
        Ok(RootCerts::new_with_certs(&certificates))
    }
}

/// Reads a file up to one byte more than it may have.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    Ok(text)
}
