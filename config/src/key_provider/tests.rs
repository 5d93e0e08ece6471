use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const TWOS: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn settings(provider: KeyProviderChoice) -> KeySettings {
    KeySettings {
        provider,
        command_timeout: Duration::from_secs(10),
        master_versions: 3,
        master_max_age: Duration::from_secs(1),
        credential_max_age: Duration::from_secs(1),
    }
}

fn provider(dir: &Path, provider: KeyProviderChoice) -> Box<dyn KeyProvider> {
    for_settings(dir, Mode::Development, &settings(provider), &[])
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn numbers(provider: &dyn KeyProvider) -> Vec<u32> {
    provider.read().unwrap().unwrap().0.versions().map(|(number, _)| number).collect()
}

fn sevens(bytes: &mut [u8]) -> io::Result<()> {
    bytes.fill(7);
    Ok(())
}

#[test]
fn the_file_env_gets_a_new_version_and_keeps_three() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(".env");
    write(
        &path,
        &format!("# mine\nPROFILE_SERVER_MASTER_KEY={TWOS}\nOTHER=1\nexport {MASTER_KEY}=\"{ONES}\"\n"),
        0o600,
    );
    let keys = provider(dir.path(), KeyProviderChoice::Environment);
    assert_eq!(numbers(&*keys), [1]);
    for number in 2..=4 {
        assert_eq!(keys.add(&mut sevens).unwrap(), number);
    }
    assert_eq!(numbers(&*keys), [2, 3, 4]);
    let (read, origin) = keys.read().unwrap().unwrap();
    assert!(read.versions().all(|(_, key)| key.expose_secret() == &[7; 32]));
    assert_eq!(origin, Origin::File(path.clone()));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# mine\nOTHER=1\n"), "other lines are kept");
    assert!(!text.contains(ONES) && !text.contains(TWOS), "versions that are not kept are gone: {text}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_the_operator_sets_is_never_written() {
    let dir = TempDir::new().unwrap();
    write(&dir.path().join(".env"), &format!("{MASTER_KEY}={ONES}\n"), 0o600);
    let variable = [(MASTER_KEY.to_owned(), format!("2:{TWOS},1:{ONES}"))];
    let choice = settings(KeyProviderChoice::Environment);
    let from_variable = for_settings(dir.path(), Mode::Development, &choice, &variable);
    assert_eq!(numbers(&*from_variable), [1, 2]);
    let in_production = for_settings(dir.path(), Mode::Production, &choice, &[]);
    for keys in [from_variable, in_production] {
        let refused = keys.add(&mut sevens).unwrap_err().to_string();
        assert!(refused.contains("openssl rand -base64 32") && !refused.contains('\n'), "{refused}");
    }
    assert_eq!(fs::read_to_string(dir.path().join(".env")).unwrap(), format!("{MASTER_KEY}={ONES}\n"));
}

#[test]
fn a_file_gives_the_key_if_nobody_else_can_read_it() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("master");
    write(&path, &format!("2:{TWOS}\n1:{ONES}\n"), 0o400);
    let keys = provider(dir.path(), KeyProviderChoice::File(path.clone()));
    assert_eq!(numbers(&*keys), [1, 2]);
    write(&path, &format!("3:{TWOS}\n"), 0o600);
    assert_eq!(numbers(&*keys), [3], "it is read each time");
    assert!(keys.add(&mut sevens).is_err());

    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(keys.read().unwrap_err().to_string().contains("chmod 600"));
    write(&path, "c2hvcnQ=", 0o600);
    let wrong = keys.read().unwrap_err().to_string();
    assert!(wrong.contains("32 bytes in base64") && !wrong.contains("c2hvcnQ="), "{wrong}");
    fs::remove_file(&path).unwrap();
    assert!(keys.read().unwrap_err().to_string().contains("master"));
}

fn command(script: &str, timeout: Duration) -> CommandKeys {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    CommandKeys { command, timeout }
}

#[test]
fn a_command_gives_the_key() {
    let minute = Duration::from_secs(60);
    let keys = command(&format!("echo 2:{TWOS}; echo 1:{ONES}"), minute);
    assert_eq!(numbers(&keys), [1, 2]);
    assert_eq!(keys.read().unwrap().unwrap().1, Origin::Command("sh".to_owned()));

    let cases = [
        ("echo nothing".to_owned(), "printed no master key"),
        (format!("echo {ONES}; exit 3"), "exit status: 3"),
        (format!("echo {ONES}; yes {TWOS}"), "longer than 64 KiB"),
    ];
    for (script, expected) in cases {
        let refused = command(&script, minute).read().unwrap_err().to_string();
        assert!(refused.contains(expected) && !refused.contains(ONES) && !refused.contains('\n'), "{refused}");
    }
    let missing = CommandKeys { command: vec!["/does/not/exist".to_owned()], timeout: minute };
    assert!(missing.read().unwrap_err().to_string().contains("/does/not/exist"));
}

#[test]
fn a_command_that_does_not_end_is_killed() {
    let slow = command("exec sleep 1000", Duration::from_millis(100));
    let refused = slow.read().unwrap_err().to_string();
    assert!(refused.contains("took more than"), "{refused}");
}
