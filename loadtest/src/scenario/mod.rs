//! Scenarios: what is run, as files. Each kind has its settings and its run in one file.

mod amplification;
mod bodies;
mod existence;
mod fanout;
mod feeding;
mod ingest;
mod live;
mod neighbours;
mod post;
mod read;

pub(crate) use feeding::Tally;

use crate::progress::Progress;
use crate::report::Outcome;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The scenarios that come with the program, in the order in which they run.
pub(crate) const BUILT_IN: [(&str, &str); 5] = [
    ("read", include_str!("../../scenarios/read.toml")),
    ("post", include_str!("../../scenarios/post.toml")),
    ("live", include_str!("../../scenarios/live.toml")),
    ("fanout", include_str!("../../scenarios/fanout.toml")),
    ("ingest", include_str!("../../scenarios/ingest.toml")),
];

/// Scenarios of attacks, which run when they are named.
pub(crate) const ATTACKS: [(&str, &str); 4] = [
    ("neighbours", include_str!("../../scenarios/neighbours.toml")),
    ("amplification", include_str!("../../scenarios/amplification.toml")),
    ("bodies", include_str!("../../scenarios/bodies.toml")),
    ("existence", include_str!("../../scenarios/existence.toml")),
];

/// All scenarios that come with the program.
pub(crate) fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    BUILT_IN.into_iter().chain(ATTACKS)
}

/// A scenario's settings.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// GET of a hot profile.
    Read(read::Read),
    /// Durable NDJSON ingest.
    Ingest(ingest::Ingest),
    /// One event a request.
    Post(post::Post),
    /// Event to frame.
    Live(live::Live),
    /// One profile, many sockets.
    Fanout(fanout::Fanout),
    /// Others' requests beside one busy user.
    Neighbours(neighbours::Neighbours),
    /// Bytes on disk and in memory per byte posted.
    Amplification(amplification::Amplification),
    /// Large bodies that are worth nothing.
    Bodies(bodies::Bodies),
    /// Hidden users and unknown ids.
    Existence(existence::Existence),
}

/// What a run works with.
pub(crate) struct Bench {
    /// The server's program.
    pub(crate) server: PathBuf,
    /// This program, which also holds the bare handler.
    pub(crate) baseline: PathBuf,
    /// Where throw-away data may lie.
    pub(crate) scratch: PathBuf,
    pub(crate) progress: Progress,
}

impl Bench {
    /// Says on stderr what is being done.
    #[must_use]
    pub(crate) fn new(server: PathBuf, baseline: PathBuf, scratch: PathBuf) -> Self {
        Self { server, baseline, scratch, progress: Progress::new() }
    }
}

impl Scenario {
    /// Reads a scenario: `text` with its `[quick]` table over it where `quick`, and `key=value` pairs over that.
    ///
    /// # Errors
    /// When the text is no scenario, or a key or value does not fit.
    pub(crate) fn read(text: &str, quick: bool, overrides: &[String]) -> Result<Self> {
        let mut settings: toml::Table = text.parse().context("the scenario is not valid TOML")?;
        let quick_settings = settings.remove("quick");
        if let Some(toml::Value::Table(over)) = quick_settings.filter(|_| quick) {
            merge(&mut settings, over);
        }
        for pair in overrides {
            let over: toml::Table =
                pair.parse().with_context(|| format!("`{pair}` is no setting; write for example `users=100000`"))?;
            if let Some(unknown) = over.keys().find(|key| !settings.contains_key(*key) && *key != "server") {
                let known: Vec<&str> = settings.keys().map(String::as_str).collect();
                bail!("the scenario has no setting `{unknown}`; it has {}", known.join(", "));
            }
            merge(&mut settings, over);
        }
        settings.try_into().context("the scenario does not fit its kind")
    }

    /// Runs it. Every kind may hold a table `server`: settings of the server, over its defaults.
    ///
    /// # Errors
    /// When the server does not start, stops, or answers what it should not.
    pub(crate) fn run(&self, name: &str, bench: &Bench) -> Result<Outcome> {
        let mut outcome = Outcome::new(name);
        crate::drive::local(async {
            match self {
                Self::Read(read) => read.run(bench, &mut outcome).await,
                Self::Ingest(ingest) => ingest.run(bench, &mut outcome).await,
                Self::Post(post) => post.run(bench, &mut outcome).await,
                Self::Live(live) => live.run(bench, &mut outcome).await,
                Self::Fanout(fanout) => fanout.run(bench, &mut outcome).await,
                Self::Neighbours(neighbours) => neighbours.run(bench, &mut outcome).await,
                Self::Amplification(amplification) => amplification.run(bench, &mut outcome).await,
                Self::Bodies(bodies) => bodies.run(bench, &mut outcome).await,
                Self::Existence(existence) => existence.run(bench, &mut outcome).await,
            }
        })
        .with_context(|| format!("scenario `{name}`"))?;
        Ok(outcome)
    }
}

/// Puts settings over others, table by table.
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

/// Finds a scenario: one that comes with the program, by name, or a file.
///
/// # Errors
/// When there is neither.
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
    fn the_scenarios_that_come_along_can_be_read() {
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
    fn what_does_not_fit_is_refused_with_a_remedy() {
        let refused = |overrides: &str| {
            let (_, text) = find("ingest").expect("built in");
            format!("{:#}", Scenario::read(&text, false, &[overrides.to_owned()]).expect_err("refused"))
        };
        assert!(refused("user=7").contains("it has kind, seconds, templates, users"), "{}", refused("user=7"));
        assert!(refused("users").contains("write for example"), "{}", refused("users"));
        assert!(refused("users=\"many\"").contains("does not fit"), "{}", refused("users=\"many\""));
        assert!(find("reed").expect_err("unknown").to_string().contains("read, post, live, fanout, ingest"));
    }
}
