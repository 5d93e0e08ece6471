//! `quarantine`: users whose frames could not be folded, and the ways out.

mod restore;

use anyhow::Context;
use clap::{Args, Subcommand};
use config::Settings;
use domain::id::UserId;
use serde_json::{Value, json};
use store::UserKey;

use super::admin_client::{AdminArguments, AdminClient};
use super::output::print_line;
use super::settings::SettingsArguments;

/// Users in one answer of the server.
const PAGE: usize = 200;

/// Shows the users whose stored changes could not be folded, and lets them go on.
///
/// A user is known by a keyed hash. The commands ask a running server, as an administrator with the scope `operate`; each call is
/// recorded in the audit log.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server quarantine list --data-dir var --token - < admin.token
  profile-server quarantine inspect 5f0c21d7a9b3e8461c7d2e9054ab83f1 --data-dir var --token - < admin.token")]
pub(super) struct QuarantineArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List(ListArguments),
    Inspect(InspectArguments),
    Retry(RetryArguments),
    Drop(DropArguments),
    Restore(restore::RestoreArguments),
}

/// Which server, and as whom.
#[derive(Args)]
struct Target {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    server: AdminArguments,
}

/// Prints the users in quarantine, one JSON object on each line: how many frames they have there, why, and since when.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server quarantine list --data-dir var --token - < admin.token
  profile-server quarantine list --user usr_7Qm2Xr9TzKpA --data-dir var --token - < admin.token")]
struct ListArguments {
    /// Prints only this user, if it is there
    #[arg(long, value_parser = super::history::user_id)]
    user: Option<UserId>,
    #[command(flatten)]
    target: Target,
}

/// Prints the frames of a user, one JSON object on each line: whether the seal opens, and whether the frame folds. Nothing that
/// is printed is a value of the profile.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server quarantine inspect 5f0c21d7a9b3e8461c7d2e9054ab83f1 --data-dir var --token - < admin.token")]
struct InspectArguments {
    /// Key of the user, as `quarantine list` prints it
    #[arg(value_parser = key)]
    key: UserKey,
    #[command(flatten)]
    target: Target,
}

/// Folds the frames of a user again, after a release that mends the fault, or after a part of the data directory was restored. If
/// they fold, the user goes on with all of them; otherwise nothing changes.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server quarantine retry 5f0c21d7a9b3e8461c7d2e9054ab83f1 --data-dir var --token - < admin.token")]
struct RetryArguments {
    /// Key of the user, as `quarantine list` prints it
    #[arg(value_parser = key)]
    key: UserKey,
    #[command(flatten)]
    target: Target,
}

/// Drops the frames of a user, who goes on with the state of the last checkpoint. What is dropped cannot be read again. Consent is
/// withdrawn until the citizen gives it again, because a dropped frame may have withdrawn it.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server quarantine drop 5f0c21d7a9b3e8461c7d2e9054ab83f1 --confirm --data-dir var --token - < admin.token")]
struct DropArguments {
    /// Key of the user, as `quarantine list` prints it
    #[arg(value_parser = key)]
    key: UserKey,
    /// Says that the frames are to be dropped for good
    #[arg(long, required = true)]
    confirm: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(arguments: &QuarantineArguments) -> anyhow::Result<()> {
    match &arguments.action {
        Action::List(ListArguments { user, target }) => list(&client(target)?, *user),
        Action::Inspect(InspectArguments { key, target }) => {
            let user = client(target)?.get(&format!("/admin/quarantine/{key}"))?;
            print_line(&without_items(&user).to_string())?;
            user["items"].as_array().into_iter().flatten().try_for_each(|frame| print_line(&frame.to_string()))?;
            Ok(())
        }
        Action::Retry(RetryArguments { key, target }) => {
            let released = client(target)?.post(&format!("/admin/quarantine/{key}/retry"), &json!({}))?;
            Ok(print_line(&released.to_string())?)
        }
        Action::Drop(DropArguments { key, target, .. }) => {
            let released = client(target)?.delete(&format!("/admin/quarantine/{key}?confirm={key}"))?;
            Ok(print_line(&released.to_string())?)
        }
        Action::Restore(arguments) => restore::run(arguments),
    }
}

fn list(client: &AdminClient, user: Option<UserId>) -> anyhow::Result<()> {
    let user = user.map_or(String::new(), |user| format!("&user={}", user.as_str()));
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/admin/quarantine?limit={PAGE}{user}{cursor}"))?;
        let items = page["items"].as_array().context("the server's answer is not a list of users")?;
        items.iter().try_for_each(|user| print_line(&user.to_string()))?;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(()),
        }
    }
}

fn client(target: &Target) -> anyhow::Result<AdminClient> {
    let sources = target.settings.sources();
    AdminClient::new(&target.server, &Settings::load(&sources)?, &sources)
}

/// Returns what an answer says of the user, without the frames.
fn without_items(user: &Value) -> Value {
    let members = user.as_object().into_iter().flatten().filter(|(name, _)| *name != "items");
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn key(text: &str) -> Result<UserKey, String> {
    UserKey::parse(text).ok_or_else(|| "it must be 32 hexadecimal digits, as `quarantine list` prints them".to_owned())
}
