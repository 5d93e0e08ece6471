//! `generate`: feed events of a synthetic population, its statistics, and the history of one person.

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

/// Default number of events per person.
const EVENTS_PER_PERSON: u64 = 25;

/// Minimum number of people for statistics: enough for shares to be accurate to a tenth of a percent.
const MIN_STATISTICS_USERS: u64 = 200_000;

/// Generates feed events of a synthetic population, as NDJSON.
///
/// Each line is a CloudEvent, in order of arrival. The same options give the same bytes. No person in it is real.
/// The last segment of an event's `source` is the name of its feed: post the event to `/api/v2/feeds/{source}`. If --out
/// is a directory, each source gets a file of its own.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server generate --users 1000 --events 25000 --out var/events.ndjson
  profile-server generate --users 1000 --out var/events/     (one file per source)
  profile-server generate --source identity | head -1
  profile-server generate --profile 7
  profile-server generate --stats")]
pub(super) struct GenerateArguments {
    /// Number of people [default: 2000; at least 200000 with --stats]
    // Planning takes seconds for a hundred million people before the first event.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    users: Option<u64>,
    /// Number of events, repeated deliveries included [default: 25 per person]
    #[arg(long, value_name = "M")]
    events: Option<u64>,
    /// Seed of the population; another seed gives other people
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Number of days that the events are spread over
    #[arg(long, value_name = "D", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// End of the last day; a server rejects events from its future
    #[arg(long, value_name = "RFC3339", default_value = "2026-01-21T12:00:00Z")]
    until: Timestamp,
    /// Output: a file, `-` for stdout, or a directory for one file per source (an existing one, or a path that ends in
    /// `/`)
    #[arg(long, value_name = "FILE|DIR|-", default_value = "-")]
    out: PathBuf,
    /// Generates the events of this source only
    #[arg(long, value_name = "NAME", value_parser = parse_source)]
    source: Option<Source>,
    /// Prints statistics instead of events: the population next to published figures, and its traffic
    #[arg(long, conflicts_with_all = ["out", "source", "profile", "events"])]
    stats: bool,
    /// Prints the history of one person instead, by number or user id: personal data, each event and its effect, and the
    /// resulting profile
    #[arg(long, value_name = "N|usr_…", conflicts_with_all = ["out", "source"])]
    profile: Option<String>,
}

pub(super) fn run(arguments: GenerateArguments) -> anyhow::Result<()> {
    let min_users = if arguments.stats { MIN_STATISTICS_USERS } else { 1 };
    let users = arguments.users.unwrap_or(2_000).max(min_users);
    let population = Population::new(PopulationOptions {
        users,
        seed: arguments.seed,
        base_time: arguments.until.as_microsecond(),
        days: arguments.days,
    });
    let events = arguments.events.unwrap_or(users.saturating_mul(EVENTS_PER_PERSON));
    if arguments.stats {
        return statistics::print(&population, arguments.until);
    }
    if let Some(who) = &arguments.profile {
        return story::print(&population, find_person(&population, who)?, events, arguments.until);
    }
    output::write(&population, events, arguments.source, &arguments.out)
}

/// Finds a person by number or user id.
fn find_person(population: &Population, who: &str) -> anyhow::Result<u64> {
    let found = match who.parse::<u64>() {
        Ok(index) => Some(index).filter(|index| *index < population.users()),
        Err(_) => population.find(who),
    };
    match found {
        Some(index) => Ok(index),
        None => bail!(
            "no person `{who}` among the {} people of this seed: give a number from 0, or a user id that `generate` \
             printed with the same --users and --seed",
            population.users()
        ),
    }
}

fn parse_source(name: &str) -> Result<Source, String> {
    let names = || Source::ALL.map(Source::name).join(", ");
    Source::parse(name).ok_or_else(|| format!("allowed: {}", names()))
}
