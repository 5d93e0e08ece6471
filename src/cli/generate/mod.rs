//! `generate`: feed events of the made-up population, its statistics, and the story of one person.

mod assembly;
mod output;
mod statistics;
mod story;

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use data::{Population, PopulationOptions};
use domain::source::Source;
use jiff::Timestamp;

/// Events of a person, where nobody says how many there are in all.
const EVENTS_EACH: u64 = 25;

/// Enough people for shares to hold to a tenth of a percent: statistics are of at least as many.
const PEOPLE_OF_STATISTICS: u64 = 200_000;

/// Makes feed events of a made-up population, as NDJSON.
///
/// A line is a CloudEvent, and lines stand in the order in which events arrive. The same options give the same bytes.
/// Nobody in it is real. Each line belongs to the feed that the last segment of its `source` names: post it to
/// `/api/v2/feeds/{source}`. With a directory as `--out`, each source has its own file.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server generate --users 1000 --events 25000 --out var/events.ndjson
  profile-server generate --users 1000 --out var/events/     (a file for each source)
  profile-server generate --source identity | head -1
  profile-server generate --profile 7
  profile-server generate --stats")]
pub(super) struct Arguments {
    /// How many people there are [default: 2000; with --stats at least 200000]
    // A hundred million are counted through in seconds before the first event comes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    users: Option<u64>,
    /// How many events there are, deliveries of the same event counted [default: 25 a person]
    #[arg(long, value_name = "M")]
    events: Option<u64>,
    /// Another seed gives other people
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Over how many days the events lie
    #[arg(long, value_name = "D", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// When the last of the days ends; a server refuses events of its future
    #[arg(long, value_name = "RFC3339", default_value = "2026-01-21T12:00:00Z")]
    until: Timestamp,
    /// Where the events go: a file, `-` for stdout, or a directory (one that exists, or a path that ends in `/`) for a
    /// file of each source
    #[arg(long, value_name = "FILE|DIR|-", default_value = "-")]
    out: PathBuf,
    /// Only the events of this source
    #[arg(long, value_name = "NAME", value_parser = source)]
    source: Option<Source>,
    /// Prints the population beside published figures, and what its traffic is like, and makes no events
    #[arg(long, conflicts_with_all = ["out", "source", "profile", "events"])]
    stats: bool,
    /// Prints the story of one person, by number or user id: who they are, what each source said and what became of
    /// it, and the assembled profile
    #[arg(long, value_name = "N|usr_…", conflicts_with_all = ["out", "source"])]
    profile: Option<String>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let least = if arguments.stats { PEOPLE_OF_STATISTICS } else { 1 };
    let users = arguments.users.unwrap_or(2_000).max(least);
    let population = Population::new(PopulationOptions {
        users,
        seed: arguments.seed,
        base_time: arguments.until.as_microsecond(),
        days: arguments.days,
    });
    let events = arguments.events.unwrap_or(users.saturating_mul(EVENTS_EACH));
    if arguments.stats {
        return statistics::print(&population, arguments.until);
    }
    if let Some(who) = &arguments.profile {
        return story::print(&population, find(&population, who)?, events, arguments.until);
    }
    output::write(&population, events, arguments.source, &arguments.out)
}

/// The person of a number or a user id.
fn find(population: &Population, who: &str) -> anyhow::Result<u64> {
    let found = match who.parse::<u64>() {
        Ok(index) => Some(index).filter(|index| *index < population.users()),
        Err(_) => population.find(who),
    };
    match found {
        Some(index) => Ok(index),
        None => bail!(
            "nobody is called `{who}` among {} people of this seed: give a number from 0 on, or a user id that \
             `generate` printed with the same --users and --seed",
            population.users()
        ),
    }
}

fn source(name: &str) -> Result<Source, String> {
    let names = || Source::ALL.map(Source::name).join(", ");
    Source::parse(name).ok_or_else(|| format!("the sources are {}", names()))
}
