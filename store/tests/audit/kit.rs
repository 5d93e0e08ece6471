//! Shared helpers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::id::UserId;
use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog, AuditValue};
use domain::port::clock::Clock;
use store::audit::{self, AuditKeys, AuditOptions, AuditStore, VerifyFault, VerifyOptions, VerifyReport};

pub(crate) use crate::clock::{DAY, TestClock};

/// 2026-11-10, in days since the Unix epoch.
pub(crate) const TODAY: i64 = 20_767;

pub(crate) fn keys() -> AuditKeys {
    AuditKeys::from_keys([7; 32], &[7; 32], &[7; 32])
}

pub(crate) fn options(dir: &Path, clock: Arc<dyn Clock>) -> AuditOptions {
    AuditOptions {
        confirm_clock: Duration::ZERO,
        head_interval: Duration::from_secs(3600),
        ..AuditOptions::new(dir, clock)
    }
}

/// Opens the log of a data directory at noon of [`TODAY`].
#[track_caller]
pub(crate) fn open(dir: &Path) -> AuditStore {
    open_at(dir, TestClock::at_day(TODAY))
}

#[track_caller]
pub(crate) fn open_at(dir: &Path, clock: Arc<TestClock>) -> AuditStore {
    audit::open(&options(dir, clock), keys()).unwrap_or_else(|error| panic!("the log opens: {error}"))
}

pub(crate) fn user(number: u64) -> UserId {
    UserId::parse(&format!("usr_{number:012}")).expect("an id")
}

/// An entry about user `number`.
pub(crate) fn entry(category: AuditCategory, number: u64) -> AuditEntry {
    let actor = AuditActor::Caller(format!("adm:{}", number % 3).into());
    let mut entry = AuditEntry::new(category, ["profile.read", "consent.write"][(number % 2) as usize], actor);
    entry.subject = Some(user(number));
    entry.reason = Some(format!("complaint {number}"));
    entry.with("number", AuditValue::Integer(number as i64))
}

/// Writes compliance entries about the users 0 to `count` - 1, one after the other.
#[track_caller]
pub(crate) fn write(log: &AuditStore, count: u64) {
    for number in 0..count {
        log.write_blocking(entry(AuditCategory::Compliance, number)).expect("an entry");
    }
}

pub(crate) fn directory(dir: &Path) -> PathBuf {
    dir.join("audit")
}

pub(crate) fn anchors(dir: &Path) -> PathBuf {
    dir.join("audit-anchors.log")
}

/// Checks a log, with its keys or with the public key alone.
pub(crate) fn verify(dir: &Path, with_keys: bool) -> Result<VerifyReport, VerifyFault> {
    let keys = keys();
    let anchors = Some(anchors(dir)).filter(|path| path.exists());
    audit::verify(&VerifyOptions {
        directory: directory(dir),
        public_key: keys.public_key(),
        keys: with_keys.then_some(&keys),
        anchors: anchors.into_iter().collect(),
    })
}

/// Asserts that a log is sound, with its keys and without.
#[track_caller]
pub(crate) fn assert_sound(dir: &Path) -> VerifyReport {
    verify(dir, false).unwrap_or_else(|fault| panic!("by the public key: {fault}"));
    verify(dir, true).unwrap_or_else(|fault| panic!("with the keys: {fault}"))
}

/// Returns the path of the segment of a category in a month.
pub(crate) fn segment(dir: &Path, category: &str, month: &str) -> PathBuf {
    directory(dir).join(format!("{category}-{month}.log"))
}

/// Returns the lines of a file.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).expect("a file").lines().map(str::to_owned).collect()
}

/// Replaces the lines of a file.
pub(crate) fn set_lines(path: &Path, lines: &[String]) {
    fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("a file");
}

/// Changes the lines of a file.
pub(crate) fn change_lines(path: &Path, change: impl Fn(&mut Vec<String>)) {
    let mut all = lines(path);
    change(&mut all);
    set_lines(path, &all);
}

/// Waits until something holds, which another thread brings about.
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Copies a data directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for item in fs::read_dir(from).expect("a folder") {
        let path = item.expect("an item").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}
