//! `history`: the revisions of a profile as a table.

use anyhow::Context;
use clap::Args;
use domain::id::UserId;
use serde_json::Value;

use super::api_client::{ApiClient, ReadArguments};
use super::output::print_line;
use super::terminal::Terminal;

/// Maximum number of revisions in one answer of the server.
const PAGE: usize = 200;

/// Prints the revisions of a profile, newest first: when and why each was made, and which fields it changed.
///
/// Shows what the caller may see today. Ids of events and persons are for the citizen and for administrators.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server history usr_7Qm2Xr9TzKpA
  profile-server history usr_7Qm2Xr9TzKpA --limit 500 --reason 'complaint 42'")]
pub(super) struct HistoryArguments {
    #[command(flatten)]
    read: ReadArguments,
    /// Id of the user
    #[arg(value_parser = user_id)]
    user: UserId,
    /// Maximum number of revisions
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(super) fn run(arguments: &HistoryArguments) -> anyhow::Result<()> {
    let (client, terminal) = (ApiClient::new(&arguments.read)?, Terminal::from_stdout());
    let mut left = arguments.limit as usize;
    let mut cursor = String::new();
    print_line(&row("revision", "generated_at", "why", "changed"))?;
    loop {
        let user = arguments.user.as_str();
        let page = client.get(&format!("/api/v2/profile/{user}/history?limit={}{cursor}", left.min(PAGE)))?;
        let items = page["items"].as_array().context("the server's answer is not a list of revisions")?;
        for item in items {
            print_line(&terminal.fit(&line(item)))?;
        }
        left = left.saturating_sub(items.len());
        match page["next_cursor"].as_str() {
            Some(next) if left > 0 => cursor = format!("&cursor={next}"),
            _ => return Ok(()),
        }
    }
}

fn row(revision: &str, generated_at: &str, why: &str, changed: &str) -> String {
    format!("{revision:<9} {generated_at:<27} {why:<40} {changed}").trim_end().to_owned()
}

/// Returns the line of a revision.
fn line(item: &Value) -> String {
    let changed: Vec<_> = item["changed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let generated_at = item["generated_at"].as_str().unwrap_or_default();
    row(&item["revision"].to_string(), generated_at, &why(&item["cause"]), &changed.join(", "))
}

/// Returns the cause of a revision in a few words; `-` if the caller may not learn it.
fn why(cause: &Value) -> String {
    let text = |name: &str| cause[name].as_str();
    let source = text("source").unwrap_or("-");
    match (text("kind"), text("person"), text("event_id")) {
        (None, ..) => "-".to_owned(),
        (Some("roll"), ..) => "roll".to_owned(),
        (Some("person"), Some(person), _) => format!("person {person}: {source}"),
        (Some("person"), None, _) => format!("person: {source}"),
        (_, _, Some(id)) => format!("{source} {id}"),
        (_, _, None) => source.to_owned(),
    }
}

/// Parses the id of a user.
pub(super) fn user_id(text: &str) -> Result<UserId, String> {
    UserId::parse(text).map_err(|_| "it must be a user id, such as usr_7Qm2Xr9TzKpA".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_when_why_and_what() {
        for (cause, expected) in [
            (json!({"kind": "feed", "source": "metadata", "event_id": "e-1"}), "metadata e-1"),
            (json!({"kind": "feed", "source": "metadata"}), "metadata"),
            (
                json!({"kind": "person", "source": "consent", "person": "usr_x", "event_id": "e"}),
                "person usr_x: consent",
            ),
            (json!({"kind": "person", "source": "consent"}), "person: consent"),
            (json!({"kind": "roll"}), "roll"),
            (Value::Null, "-"),
        ] {
            assert_eq!(why(&cause), expected);
        }
        let item = json!({"revision": 7, "generated_at": "2026-01-21T12:00:00Z", "changed": ["a.b", "c"]});
        let words: Vec<_> = line(&item).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["7", "2026-01-21T12:00:00Z", "-", "a.b,", "c"]);
    }
}
