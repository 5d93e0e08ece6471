//! `diff`: what changed in a profile between two points of its history.

use anyhow::Context;
use clap::Args;
use domain::id::UserId;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::api_client::{ApiClient, ReadArguments};
use super::history::user_id;
use super::output::print_line;
use super::terminal::Terminal;

/// Prints what changed in a profile between two points: a line for each operation of the JSON Patch.
///
/// A point is a revision, the id of a snapshot, or a time. The second may be the earlier one. Shows what the caller may see
/// today.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server diff usr_7Qm2Xr9TzKpA 17 42
  profile-server diff usr_7Qm2Xr9TzKpA 2026-01-15T10:30:00+05:30 42 --json")]
pub(super) struct DiffArguments {
    #[command(flatten)]
    read: ReadArguments,
    /// Id of the user
    #[arg(value_parser = user_id)]
    user: UserId,
    /// Point before
    from: String,
    /// Point after
    to: String,
    /// Prints the server's answer as it is
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &DiffArguments) -> anyhow::Result<()> {
    let (client, terminal) = (ApiClient::new(&arguments.read)?, Terminal::from_stdout());
    let [from, to] = [&arguments.from, &arguments.to].map(|point| utf8_percent_encode(point, NON_ALPHANUMERIC));
    let difference = client.get(&format!("/api/v2/profile/{}/diff?from={from}&to={to}", arguments.user.as_str()))?;
    if arguments.json {
        print_line(&difference.to_string())?;
        return Ok(());
    }
    let operations = difference["operations"].as_array().context("the server's answer is not a difference")?;
    for operation in operations {
        print_line(&terminal.fit(&line(operation)))?;
    }
    Ok(())
}

/// Returns the line of an operation.
fn line(operation: &Value) -> String {
    let text = |name: &str| operation[name].as_str().unwrap_or_default();
    match operation.get("value") {
        Some(value) => format!("{} {} {value}", text("op"), text("path")),
        None => format!("{} {}", text("op"), text("path")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_has_the_operation_its_path_and_its_value() {
        assert_eq!(line(&json!({"op": "replace", "path": "/a/b", "value": {"c": [1]}})), "replace /a/b {\"c\":[1]}");
        assert_eq!(line(&json!({"op": "remove", "path": "/a"})), "remove /a");
    }
}
