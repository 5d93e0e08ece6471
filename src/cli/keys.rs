//! `keys`: the ages of the keys, and their rotation.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use config::{Secrets, Settings};
use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog, AuditValue};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::audit::{self, AuditKeys};
use store::disk::{Disk, RealDisk};
use store::{KeyAge, KeyManager, KeyStatus, OpenError, RotationProgress};

use super::admin_client::{AdminArguments, AdminClient};
use super::output::{print_error, print_line};
use super::settings::SettingsArguments;
use crate::key_rotations::{KeyRotations, RotatedKey};
use crate::{options, wiring};

/// Time between two looks at a rotation of a running server, and at one of this process.
const SERVER_PAUSE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// Shows how old the keys are, and rotates them.
///
/// The master key wraps the ring key, and the ring key wraps the key of each citizen. The keyring in the data directory holds all but
/// the master key.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server keys status --data-dir var
  profile-server keys rotate --data-dir var --master
  profile-server keys rotate --data-dir var --ring --token - < admin.token")]
pub(super) struct KeysArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Status(StatusArguments),
    Rotate(RotateArguments),
}

/// Prints the keys in use with their ages, one JSON object on each line.
///
/// Without a token the keyring of the data directory is read, whether a server runs or not. With the token of an administrator with
/// the scope `operate`, a running server is asked, which also knows the ages of credentials. Keys that are to be replaced are named on
/// stderr.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server keys status --data-dir var
  profile-server keys status --data-dir var --token - < admin.token")]
struct StatusArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    server: AdminArguments,
}

/// Rotates a key.
///
/// `--master` wraps the ring key under the newest version of the master key. In development a version is made in `.env` if there is
/// no newer one; elsewhere the operator provides it first. `--ring` wraps the key of each citizen under a new ring key, in two to
/// three seconds for each million. Both can be interrupted at any time, and repeated.
///
/// If the server runs, it does it, for an administrator with the scope `operate` and a fresh second factor; otherwise this command does.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server keys rotate --data-dir var --master
  profile-server keys rotate --data-dir var --ring --token - < admin.token")]
struct RotateArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    server: AdminArguments,
    #[command(flatten)]
    key: KeyArguments,
}

/// Which key to rotate.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct KeyArguments {
    /// Rotates the master key
    #[arg(long)]
    master: bool,
    /// Rotates the ring key
    #[arg(long)]
    ring: bool,
}

impl KeyArguments {
    fn key(&self) -> RotatedKey {
        if self.master { RotatedKey::Master } else { RotatedKey::Ring }
    }
}

pub(super) fn run(arguments: &KeysArguments) -> anyhow::Result<()> {
    match &arguments.action {
        Action::Status(arguments) => status(arguments),
        Action::Rotate(arguments) => rotate(arguments),
    }
}

fn status(arguments: &StatusArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings.sources())?;
    let keys = match AdminClient::with_given_token(&arguments.server, &settings)? {
        Some(client) => client.get("/admin/keys")?["keys"].clone(),
        None => stored_keys(&settings)?,
    };
    let keys = keys.as_array().context("the server's answer is not that of keys")?;
    for key in keys {
        print_line(&key.to_string())?;
    }
    for key in keys.iter().filter(|key| key["is_due"] == true) {
        let days = key["age_s"].as_u64().unwrap_or(0) / 86_400;
        print_error(&format!(
            "the key `{}` is {days} days old, and is to be replaced",
            key["key"].as_str().unwrap_or("")
        ));
    }
    Ok(())
}

/// Returns the keys of the data directory.
fn stored_keys(settings: &Settings) -> anyhow::Result<Value> {
    let status = KeyManager::read_status(&settings.data_dir)?;
    let (now, limit) = (wiring::wall_clock().now_micros(), settings.keys.master_max_age.as_secs());
    let listed = |name: &str, key: KeyAge| {
        let age = key.since.map(|since| now.saturating_sub(since).max(0) / 1_000_000);
        json!({
            "key": name,
            "version": key.version,
            "since": key.since.and_then(|since| Timestamp::from_microsecond(since).ok()).map(|since| since.to_string()),
            "age_s": age,
            "warn_at_s": limit,
            "is_due": age.is_some_and(|age| age.unsigned_abs() >= limit),
        })
    };
    Ok(json!([listed("master", status.master), listed("ring", status.ring)]))
}

fn rotate(arguments: &RotateArguments) -> anyhow::Result<()> {
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    if let Some(client) = AdminClient::with_given_token(&arguments.server, &settings)? {
        return rotate_in_server(&client, arguments.key.key());
    }
    let no_data = || anyhow!("there is no keyring in `{}`: check the path", settings.data_dir.display());
    if !settings.data_dir.is_dir() {
        return Err(no_data());
    }
    let secrets = wiring::look_at_secrets(&settings, &sources.environment)?.ok_or_else(no_data)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (clock, master) = (wiring::wall_clock(), wiring::master_key(&secrets));
    match KeyManager::open(&disk, &settings.data_dir, &master, clock, wiring::entropy()) {
        Ok(manager) => rotate_here(&settings, secrets, manager, arguments.key.key()),
        Err(OpenError::Locked { .. }) => {
            bail!(
                "the server runs, and rotates keys for an administrator: give a token with `--token`, or stop the server"
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// Lets a running server rotate a key, and waits until it has.
fn rotate_in_server(client: &AdminClient, key: RotatedKey) -> anyhow::Result<()> {
    let mut answer = client.post("/admin/keys/rotate", &json!({ "key": key.name() }))?;
    if key == RotatedKey::Master {
        let keys = answer["keys"].as_array().context("the server's answer is not that of keys")?;
        let rotated = keys.iter().find(|key| key["key"] == "master").context("the server names no master key")?;
        return Ok(print_line(&rotated.to_string())?);
    }
    let before = answer["last_rotation"].clone();
    let bar = progress_bar();
    loop {
        show(&bar, answer["rotation"]["done"].as_u64(), answer["rotation"]["total"].as_u64());
        let last = &answer["last_rotation"];
        if answer["rotation"].is_null() && *last != before {
            bar.finish_and_clear();
            return match last["error"].as_str() {
                Some(error) => bail!("{error}"),
                None => Ok(print_line(&last.to_string())?),
            };
        }
        thread::sleep(SERVER_PAUSE);
        answer = client.get("/admin/keys")?;
    }
}

/// Rotates a key of a data directory that no server uses. The audit log has an entry before it.
fn rotate_here(settings: &Settings, secrets: Secrets, manager: KeyManager, key: RotatedKey) -> anyhow::Result<()> {
    let audit_keys = AuditKeys::derive(&manager.system_keys());
    let log = Arc::new(audit::open(&options::audit_options(settings, wiring::wall_clock()), audit_keys)?);
    let entry = AuditEntry::new(AuditCategory::Compliance, "keys.rotate", AuditActor::System);
    let entry = entry.with("key", AuditValue::Text(key.name().into()));
    log.write_blocking(entry).context("the audit log could not be written, and nothing was changed")?;
    let rotations = KeyRotations::new(manager.clone(), secrets.key_provider, log.clone(), wiring::wall_clock());
    let rotated = match key {
        RotatedKey::Master => rotations.rotate_master().map(|key| json!({ "key": "master", "version": key.version })),
        RotatedKey::Ring => watched(&manager, || rotations.rotate_ring()).map(|rotation| {
            json!({
                "key": "ring",
                "version": rotation.number,
                "wrapped_keys": rotation.keys,
                "damaged_slots": rotation.damaged,
            })
        }),
    };
    log.close();
    Ok(print_line(&rotated?.to_string())?)
}

/// Shows the progress of a rotation on a terminal while it runs.
fn watched<T>(manager: &KeyManager, rotate: impl FnOnce() -> T) -> T {
    let (bar, has_ended) = (progress_bar(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                let KeyStatus { rotation, .. } = manager.status();
                show(&bar, rotation.map(|RotationProgress { done, .. }| done), rotation.map(|progress| progress.total));
                thread::sleep(PAUSE);
            }
        });
        let rotated = rotate();
        has_ended.store(true, Ordering::Relaxed);
        bar.finish_and_clear();
        rotated
    })
}

fn show(bar: &ProgressBar, done: Option<u64>, total: Option<u64>) {
    if let (Some(done), Some(total)) = (done, total) {
        bar.set_length(total);
        bar.set_position(done);
    }
}

fn progress_bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    // The template is a constant that is valid.
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} slots");
    ProgressBar::new(1).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
