use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

fn keys(provider: KeyProviderChoice) -> KeySettings {
    KeySettings {
        provider,
        command_timeout: Duration::from_secs(10),
        master_versions: 3,
        master_max_age: Duration::from_secs(1),
        credential_max_age: Duration::from_secs(1),
    }
}

fn environment_keys() -> KeySettings {
    keys(KeyProviderChoice::Environment)
}

fn newest(secrets: &Secrets) -> [u8; 32] {
    *secrets.master_key.versions().last().unwrap().1.expose_secret()
}

const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Returns a source of randomness of which every call fills its buffer with the next number.
fn counting() -> impl FnMut(&mut [u8]) -> io::Result<()> {
    let mut next = 6;
    move |buffer: &mut [u8]| {
        next += 1;
        buffer.fill(next);
        Ok(())
    }
}

fn load(dir: &Path, mode: Mode) -> Result<Secrets, ConfigError> {
    Secrets::load(dir, mode, &environment_keys(), &[], &mut counting())
}

fn write(dir: &TempDir, text: &str, mode: u32) {
    fs::write(dir.path().join(".env"), text).unwrap();
    fs::set_permissions(dir.path().join(".env"), Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn refused(result: Result<Secrets, ConfigError>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
    assert!(!message.contains('\n') && !message.contains(ONES), "{message}");
}

#[test]
fn development_makes_what_is_missing_once() {
    let dir = TempDir::new().unwrap();
    let data_dir = dir.path().join("fresh/data");
    let first = load(&data_dir, Mode::Development).unwrap();
    assert_eq!(newest(&first), [7; 32]);
    assert_eq!(first.development_secret.unwrap().expose_secret(), &[8; 32]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data_dir), mode(&data_dir.join(".env"))), (0o700, 0o600));

    let mut none_left = |_: &mut [u8]| Err(io::Error::other("no key is made twice"));
    let second = Secrets::load(&data_dir, Mode::Development, &environment_keys(), &[], &mut none_left).unwrap();
    assert_eq!(newest(&second), [7; 32]);
    assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn looking_makes_nothing_and_finds_what_is_broken() {
    let dir = TempDir::new().unwrap();
    assert!(Secrets::look(dir.path(), Mode::Development, &environment_keys(), &[]).unwrap().is_none());
    let broken = [(MASTER_KEY.to_owned(), "c2hvcnQ=".to_owned())];
    assert!(Secrets::look(dir.path(), Mode::Development, &environment_keys(), &broken).is_err());
    assert!(Secrets::look(dir.path(), Mode::Production, &environment_keys(), &[]).is_err());
    write(&dir, &format!("{MASTER_KEY}={ONES}\n"), 0o600);
    assert!(Secrets::look(dir.path(), Mode::Development, &environment_keys(), &[]).unwrap().is_none());
    assert!(Secrets::look(dir.path(), Mode::Production, &environment_keys(), &[]).unwrap().is_some());
    let text = fs::read_to_string(dir.path().join(".env")).unwrap();
    assert!(!text.contains(DEVELOPMENT_SECRET), "{text}");
}

#[test]
fn what_stands_in_the_file_is_kept() {
    let dir = TempDir::new().unwrap();
    write(&dir, &format!("# mine\nOTHER=1\nexport {MASTER_KEY}=\"{ONES}\""), 0o600);
    let secrets = load(dir.path(), Mode::Development).unwrap();
    assert_eq!(newest(&secrets), [1; 32]);
    let text = fs::read_to_string(dir.path().join(".env")).unwrap();
    assert!(text.starts_with("# mine\nOTHER=1\n") && text.contains(&format!("\n{DEVELOPMENT_SECRET}=")));
}

#[test]
fn the_environment_overrides_the_file() {
    let dir = TempDir::new().unwrap();
    write(&dir, &format!("{MASTER_KEY}=broken"), 0o600);
    let environment = [(MASTER_KEY.to_owned(), ONES.to_owned())];
    let secrets =
        Secrets::load(dir.path(), Mode::Production, &environment_keys(), &environment, &mut counting()).unwrap();
    assert_eq!(newest(&secrets), [1; 32]);
    assert_eq!(secrets.print(), format!("{MASTER_KEY} = (hidden)  # environment `{MASTER_KEY}`\n"));
    assert!(!format!("{secrets:?}").contains("1, 1"));
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    for mode in [0o644, 0o640, 0o602] {
        let dir = TempDir::new().unwrap();
        write(&dir, &format!("{MASTER_KEY}={ONES}"), mode);
        for run in [Mode::Development, Mode::Production] {
            refused(load(dir.path(), run), &["chmod 600", ".env", &format!("{mode:04o}")]);
        }
    }
}

#[test]
fn production_makes_no_key_and_takes_no_development_secret() {
    let dir = TempDir::new().unwrap();
    refused(load(dir.path(), Mode::Production), &[MASTER_KEY, ".env", "0600", "openssl rand -base64 32"]);
    assert!(!dir.path().join(".env").exists());
    write(&dir, &format!("{MASTER_KEY}={ONES}\n{DEVELOPMENT_SECRET}={ONES}\n"), 0o600);
    refused(load(dir.path(), Mode::Production), &[DEVELOPMENT_SECRET, "remove", ".env"]);
    write(&dir, &format!("{MASTER_KEY}={ONES}\n"), 0o600);
    assert!(load(dir.path(), Mode::Production).unwrap().development_secret.is_none());
}

#[test]
fn a_broken_secret_is_named_and_not_shown() {
    let dir = TempDir::new().unwrap();
    for wrong in ["", "c2hvcnQ=", "not base64 at all"] {
        write(&dir, &format!("{MASTER_KEY}={wrong}\n"), 0o600);
        refused(load(dir.path(), Mode::Development), &[MASTER_KEY, "32 bytes in base64"]);
    }
    write(&dir, &format!("\nPROFILE_SERVER_MASTERKEY={ONES}\n"), 0o600);
    refused(load(dir.path(), Mode::Development), &["line 2", "`PROFILE_SERVER_MASTERKEY`", MASTER_KEY]);
    write(&dir, ONES.trim_end_matches('='), 0o600);
    refused(load(dir.path(), Mode::Development), &["line 1", "`NAME=value`"]);
}

#[test]
fn a_master_key_that_another_provider_hides_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("master");
    fs::write(&path, ONES).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let from_file = keys(KeyProviderChoice::File(path));
    let load = |environment: &[(String, String)]| {
        Secrets::load(dir.path(), Mode::Development, &from_file, environment, &mut counting())
    };
    let secrets = load(&[]).unwrap();
    assert_eq!((newest(&secrets), secrets.master_key.newest()), ([1; 32], 1));
    let text = fs::read_to_string(dir.path().join(".env")).unwrap();
    assert!(!text.contains(MASTER_KEY), "no second master key is made");
    refused(load(&[(MASTER_KEY.to_owned(), ONES.to_owned())]), &["keys.provider", "environment", "remove"]);
    write(&dir, &format!("{MASTER_KEY}={ONES}\n"), 0o600);
    refused(load(&[]), &["keys.provider", ".env", "remove"]);
}

#[test]
fn two_first_starts_at_once_agree_on_the_key() {
    let dir = TempDir::new().unwrap();
    let start = |seed: u8| {
        let mut randomness = move |buffer: &mut [u8]| {
            buffer.fill(seed);
            Ok(())
        };
        let secrets = Secrets::load(dir.path(), Mode::Development, &environment_keys(), &[], &mut randomness).unwrap();
        newest(&secrets)
    };
    let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|seed| scope.spawn(move || start(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
}
