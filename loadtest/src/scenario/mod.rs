//! Scenarios. Each kind has a file with its settings and its run.

mod amplification;
mod batch;
mod bodies;
mod erasure;
mod existence;
mod export;
mod fanout;
mod feeding;
mod ingest;
mod live;
mod neighbours;
mod post;
mod read;
mod sockets;
mod warm;

use crate::progress::Progress;
use crate::report::ScenarioReport;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The built-in scenarios that run by default, in this order.
pub(crate) const BUILT_IN: [(&str, &str); 5] = [
    ("read", include_str!("../../scenarios/read.toml")),
    ("post", include_str!("../../scenarios/post.toml")),
    ("live", include_str!("../../scenarios/live.toml")),
    ("fanout", include_str!("../../scenarios/fanout.toml")),
    ("ingest", include_str!("../../scenarios/ingest.toml")),
];

/// The built-in attack scenarios, which run only when they are named.
pub(crate) const ATTACKS: [(&str, &str); 4] = [
    ("neighbours", include_str!("../../scenarios/neighbours.toml")),
    ("amplification", include_str!("../../scenarios/amplification.toml")),
    ("bodies", include_str!("../../scenarios/bodies.toml")),
    ("existence", include_str!("../../scenarios/existence.toml")),
];

/// The built-in scenarios that measure something special or take long, and run only when they are named.
pub(crate) const NAMED: [(&str, &str); 4] = [
    ("batch", include_str!("../../scenarios/batch.toml")),
    ("erasure", include_str!("../../scenarios/erasure.toml")),
    ("export", include_str!("../../scenarios/export.toml")),
    ("warm", include_str!("../../scenarios/warm.toml")),
];

/// Returns all built-in scenarios, as names and texts.
pub(crate) fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    BUILT_IN.into_iter().chain(ATTACKS).chain(NAMED)
}

/// A scenario's settings.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// GET of a hot profile.
    Read(read::ReadScenario),
    /// Durable NDJSON ingest.
    Ingest(ingest::IngestScenario),
    /// Posts one event per request.
    Post(post::PostScenario),
    /// Latency from event to frame.
    Live(live::LiveScenario),
    /// Patches of one profile to many sockets.
    Fanout(fanout::FanoutScenario),
    /// Requests of others during an attack by one user.
    Neighbours(neighbours::NeighboursScenario),
    /// Bytes on disk and in memory per byte posted.
    Amplification(amplification::AmplificationScenario),
    /// Large useless bodies.
    Bodies(bodies::BodiesScenario),
    /// Whether hidden users can be told from unknown ids.
    Existence(existence::ExistenceScenario),
    /// Many profiles in one request.
    Batch(batch::BatchScenario),
    /// Reads beside bulk exports.
    Export(export::ExportScenario),
    /// Erasures beside events and reads.
    Erasure(erasure::ErasureScenario),
    /// Users that are known and not in use.
    Warm(warm::WarmScenario),
}

/// The programs and folders that a run uses.
pub(crate) struct RunEnvironment {
    /// The server's program.
    pub(crate) server: PathBuf,
    /// This program, which also runs the bare handler.
    pub(crate) baseline: PathBuf,
    /// Folder for temporary data.
    pub(crate) scratch: PathBuf,
    pub(crate) progress: Progress,
}

impl RunEnvironment {
    /// Makes an environment with progress on stderr.
    #[must_use]
    pub(crate) fn new(server: PathBuf, baseline: PathBuf, scratch: PathBuf) -> Self {
        Self { server, baseline, scratch, progress: Progress::new() }
    }
}

impl Scenario {
    /// Parses a scenario. With `quick`, its `[quick]` table overrides the settings; `key=value` pairs override both.
    ///
    /// # Errors
    /// The text is not a scenario, or a key or value does not fit.
    pub(crate) fn read(text: &str, quick: bool, overrides: &[String]) -> Result<Self> {
        let mut settings: toml::Table = text.parse().context("the scenario is not valid TOML")?;
        let quick_settings = settings.remove("quick");
        if let Some(toml::Value::Table(over)) = quick_settings.filter(|_| quick) {
            merge(&mut settings, over);
        }
        for pair in overrides {
            let over: toml::Table =
                pair.parse().with_context(|| format!("`{pair}` is not a setting; write for example `users=100000`"))?;
            if let Some(unknown) = over.keys().find(|key| !settings.contains_key(*key) && *key != "server") {
                let known: Vec<&str> = settings.keys().map(String::as_str).collect();
                bail!("the scenario has no setting `{unknown}`; it has {}", known.join(", "));
            }
            merge(&mut settings, over);
        }
        settings.try_into().context("the scenario does not fit its kind")
    }

    /// Runs the scenario. Every kind may contain a table `server` with settings that override the server's defaults.
    ///
    /// # Errors
    /// The server does not start, stops early, or gives an unexpected response.
    pub(crate) fn run(&self, name: &str, environment: &RunEnvironment) -> Result<ScenarioReport> {
        let mut report = ScenarioReport::new(name);
        crate::drive::local(async {
            match self {
                Self::Read(read) => read.run(environment, &mut report).await,
                Self::Ingest(ingest) => ingest.run(environment, &mut report).await,
                Self::Post(post) => post.run(environment, &mut report).await,
                Self::Live(live) => live.run(environment, &mut report).await,
                Self::Fanout(fanout) => fanout.run(environment, &mut report).await,
                Self::Neighbours(neighbours) => neighbours.run(environment, &mut report).await,
                Self::Amplification(amplification) => amplification.run(environment, &mut report).await,
                Self::Bodies(bodies) => bodies.run(environment, &mut report).await,
                Self::Existence(existence) => existence.run(environment, &mut report).await,
                Self::Batch(batch) => batch.run(environment, &mut report).await,
                Self::Export(export) => export.run(environment, &mut report).await,
                Self::Erasure(erasure) => erasure.run(environment, &mut report).await,
                Self::Warm(warm) => warm.run(environment, &mut report).await,
            }
        })
        .with_context(|| format!("scenario `{name}`"))?;
        Ok(report)
    }
}

/// Overrides settings with others, recursively.
fn merge(settings: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (settings.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(value)) => merge(below, value),
            (_, value) => {
                settings.insert(key, value);
            }
        }
    }
}

/// Finds a scenario by its built-in name or its path. Returns its name and its text.
///
/// # Errors
/// There is neither a built-in scenario nor a file.
pub(crate) fn find(name: &str) -> Result<(String, String)> {
    if let Some((name, text)) = known().find(|(built_in, _)| *built_in == name) {
        return Ok((name.to_owned(), text.to_owned()));
    }
    let path = Path::new(name);
    let known = known().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("no scenario `{name}`: give the path of a file, or one of {known}"))?;
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    Ok((stem.to_string_lossy().into_owned(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scenarios_are_valid() {
        for (name, text) in known() {
            for quick in [false, true] {
                Scenario::read(text, quick, &[]).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            }
        }
    }

    #[test]
    fn quick_settings_and_overrides_win() {
        let (_, text) = find("ingest").expect("built in");
        let users = |quick, overrides: &[&str]| {
            let overrides: Vec<String> = overrides.iter().map(|&pair| pair.to_owned()).collect();
            match Scenario::read(&text, quick, &overrides).expect("a scenario") {
                Scenario::Ingest(ingest) => ingest.users,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(users(false, &[]), 1_000_000);
        assert_eq!(users(true, &[]), 20_000);
        assert_eq!(users(true, &["users=7"]), 7);
    }

    #[test]
    fn settings_of_the_server_can_be_given_one_by_one() {
        let (_, text) = find("post").expect("built in");
        let overrides = ["server.http.workers=1", "server.http.keep_alive_s=9"].map(str::to_owned);
        let Scenario::Post(post) = Scenario::read(&text, true, &overrides).expect("a scenario") else {
            panic!("a post")
        };
        assert_eq!(post.server, "[http]\nkeep_alive_s = 9\nworkers = 1\n".parse().expect("TOML"));
    }

    #[test]
    fn a_setting_that_does_not_fit_is_an_error_that_says_how_to_fix_it() {
        let refused = |overrides: &str| {
            let (_, text) = find("ingest").expect("built in");
            format!("{:#}", Scenario::read(&text, false, &[overrides.to_owned()]).expect_err("refused"))
        };
        assert!(
            refused("user=7").contains("it has floor_s, kind, rounds, seconds, state_bytes, stop_s, templates, users"),
            "{}",
            refused("user=7")
        );
        assert!(refused("users").contains("write for example"), "{}", refused("users"));
        assert!(refused("users=\"many\"").contains("does not fit"), "{}", refused("users=\"many\""));
        assert!(find("reed").expect_err("unknown").to_string().contains("read, post, live, fanout, ingest"));
    }
}
