//! The server of a demo, as its own client sees it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use config::Settings;
use data::{GeneratedEvent, Population};
use secrecy::SecretBox;
use serde_json::Value;

use super::super::http_client::{self, Call};
use super::sample_citizen::SampleCitizen;
use super::tokens::Tokens;

/// How many times events are posted to a feed that answers `busy`.
const MAX_ATTEMPTS: usize = 100;
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// A running server with a population, and the citizen that the demo shows.
pub(super) struct DemoServer {
    pub(super) listen: SocketAddr,
    pub(super) admin_listen: SocketAddr,
    pub(super) settings: Settings,
    /// Signs the tokens.
    pub(super) key: SecretBox<[u8; 32]>,
    /// Events to post every second after the history.
    pub(super) events_per_second: u32,
    pub(super) population: Population,
    /// Number of events in the history, repeated deliveries included.
    pub(super) history_events: u64,
    pub(super) sample_citizen: SampleCitizen,
}

/// What a feed did with events.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FeedTally {
    pub(super) applied: u64,
    /// Events that changed nothing, and repeated deliveries.
    pub(super) unchanged: u64,
    busy: u64,
    rejected: u64,
}

impl FeedTally {
    /// Reads the last line of the response, which counts all events.
    fn parse(response: &str) -> Option<Self> {
        let total: Value = serde_json::from_str(response.lines().next_back()?).ok()?;
        let count = |name: &str| total[name].as_u64();
        Some(Self {
            applied: count("applied")?,
            unchanged: count("unchanged")? + count("duplicates")?,
            busy: count("busy")?,
            rejected: count("rejected")?,
        })
    }

    pub(super) fn add(&mut self, other: Self) {
        self.applied += other.applied;
        self.unchanged += other.unchanged;
        self.busy += other.busy;
        self.rejected += other.rejected;
    }
}

impl DemoServer {
    pub(super) fn sign_tokens(&self) -> anyhow::Result<Tokens> {
        Tokens::sign(&self.settings, &self.key, &self.sample_citizen.id)
    }

    /// Posts events to their feeds, as NDJSON.
    pub(super) async fn post(
        &self,
        events: impl Iterator<Item = GeneratedEvent>,
        tokens: &Tokens,
    ) -> anyhow::Result<FeedTally> {
        let mut feeds: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for event in events {
            let lines = feeds.entry(event.source).or_default();
            lines.extend_from_slice(&event.json);
            lines.push(b'\n');
        }
        let mut tally = FeedTally::default();
        for (source, lines) in feeds {
            tally.add(self.post_to_feed(source, lines.into(), tokens).await?);
        }
        Ok(tally)
    }

    /// Posts lines to a feed until it answers `busy` to none of them. Events that it has already applied count as
    /// duplicates and change nothing.
    async fn post_to_feed(&self, source: &str, lines: Bytes, tokens: &Tokens) -> anyhow::Result<FeedTally> {
        let path = format!("/api/v2/feeds/{source}");
        let mut last_response = String::new();
        for _ in 0..MAX_ATTEMPTS {
            let call = Call {
                method: "POST",
                path: path.clone(),
                token: tokens.service.clone(),
                content_type: "application/x-ndjson",
                body: lines.clone(),
            };
            let (status, response) = http_client::send(self.listen, call).await?;
            match (status, FeedTally::parse(&response)) {
                (200, Some(FeedTally { rejected: 1.., .. })) => bail!("`{path}` rejected an event: {response}"),
                (200, Some(tally)) if tally.busy == 0 => return Ok(tally),
                (200 | 503, _) => {
                    last_response = response;
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                _ => bail!("`{path}` answered {status}: {response}"),
            }
        }
        bail!("`{path}` was busy {MAX_ATTEMPTS} times: {last_response}")
    }

    /// Gives full consent in the name of the sample citizen, so that a visitor can withdraw it.
    pub(super) async fn give_full_consent(&self, tokens: &Tokens) -> anyhow::Result<()> {
        let path = format!("/api/v2/profile/{}/consent", self.sample_citizen.id);
        let call = Call {
            method: "PUT",
            path: path.clone(),
            token: tokens.citizen.clone(),
            content_type: "application/json",
            body: Bytes::from_static(br#"{"data_sharing_level":"full","third_party_sharing":true}"#),
        };
        match http_client::send(self.listen, call).await? {
            (200, _) => Ok(()),
            (status, response) => bail!("`{path}` answered {status}: {response}"),
        }
    }
}
