//! Tests of layers, error messages and printing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::{DEFAULT_TOML, Mode, Settings, Sources};

fn variable(name: &str, value: &str) -> Sources {
    Sources { environment: vec![(name.to_owned(), value.to_owned())], ..Sources::default() }
}

/// Returns sources whose data directory is `dir`, with `local` as its `config.local.toml`.
fn with_local(dir: &Path, local: &str) -> Sources {
    fs::write(dir.join("config.local.toml"), local).unwrap();
    Sources::default().with("data_dir", dir.display(), "--data-dir")
}

#[track_caller]
fn refused(sources: &Sources, parts: &[&str]) {
    let message = Settings::load(sources).unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
    assert!(!message.contains('\n'), "more than one line: {message}");
}

#[test]
fn the_defaults_stand_by_themselves() {
    let settings = Settings::load(&Sources::default()).unwrap();
    assert_eq!(settings.mode, Mode::Development);
    assert_eq!(settings.listen.port(), 8080);
    assert_eq!(settings.http.request_timeout, Duration::from_secs(30));
    assert_eq!(settings.commit.max_group, 4_096);
    assert_eq!(settings.journal.segment_bytes, 64 << 20);
    assert!(settings.http.workers > 0 && settings.actors.shards > 0);
    assert!(settings.time.fixed_clock.is_none());
}

#[test]
fn every_key_of_the_manual_is_read() {
    let mut unread = Vec::new();
    let settings = Settings::load(&Sources::default()).unwrap();
    for line in settings.print().lines() {
        let key = line.split(" = ").next().unwrap();
        // No setting is a date, so every setting that is read refuses one.
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("wrong.toml");
        fs::write(&file, format!("{key} = 2026-01-01")).unwrap();
        let sources = Sources { file: Some(file), ..Sources::default() };
        match Settings::load(&sources) {
            Ok(_) => unread.push(key.to_owned()),
            Err(fault) => assert!(fault.to_string().contains(key), "{fault}"),
        }
    }
    assert!(unread.is_empty(), "default.toml has keys that no setting reads: {unread:?}");
}

#[test]
fn every_key_of_the_manual_has_a_comment_or_stands_under_one() {
    let mut commented = false;
    for line in DEFAULT_TOML.lines() {
        match line.trim() {
            "" => commented = false,
            text if text.starts_with('#') || text.starts_with('[') => commented = true,
            text => assert!(commented, "`{text}` has no comment"),
        }
    }
}

#[test]
fn a_later_layer_wins() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("given.toml");
    fs::write(&file, "[http]\nworkers = 2\n[live]\nheartbeat_s = 2\n[cache]\nidle_s = 2\n[auth]\nleeway_s = 2")
        .unwrap();
    let mut sources = with_local(dir.path(), "[http]\nworkers = 3\n[live]\nheartbeat_s = 3\n[cache]\nidle_s = 3");
    sources.file = Some(file);
    for name in ["HTTP__WORKERS", "LIVE__HEARTBEAT_S"] {
        sources.environment.push((format!("PROFILE_SERVER__{name}"), "4".to_owned()));
    }
    let settings = Settings::load(&sources.with("http.workers", 5, "--workers")).unwrap();
    assert_eq!(settings.auth.leeway.as_secs(), 2, "file over default");
    assert_eq!(settings.cache.idle.as_secs(), 3, "local file over file");
    assert_eq!(settings.live.heartbeat.as_secs(), 4, "environment over local file");
    assert_eq!(settings.http.workers, 5, "flag over environment");

    let printed = settings.print();
    assert!(printed.contains("http.workers = 5  # flag `--workers`\n"), "{printed}");
    assert!(printed.contains("live.heartbeat_s = 4  # environment `PROFILE_SERVER__LIVE__HEARTBEAT_S`\n"));
    assert!(printed.contains("dead_letters.retain_days = 30  # embedded `default.toml`\n"));
    assert!(printed.contains("0 = one per core"));
}

#[test]
fn an_unknown_key_is_refused_with_the_keys_there_are() {
    refused(
        &variable("PROFILE_SERVER__HTTP__WORKER", "4"),
        &["`http.worker` = `4`", "environment `PROFILE_SERVER__HTTP__WORKER`", "`http.workers`"],
    );
    refused(&variable("PROFILE_SERVER__HTPP__WORKERS", "4"), &["`htpp.workers`", "section `http`", "`listen`"]);
    refused(&Sources::default().with("nonsense", 1, "--nonsense"), &["`nonsense` = `1`", "flag `--nonsense`"]);
    let dir = TempDir::new().unwrap();
    refused(&with_local(dir.path(), "[live]\nmax_sockets = 3"), &["`live.max_sockets`", "config.local.toml"]);
    refused(&with_local(dir.path(), "live = 3"), &["unknown setting `live` = `3`"]);
}

#[test]
fn an_empty_section_changes_nothing() {
    let dir = TempDir::new().unwrap();
    assert!(Settings::load(&with_local(dir.path(), "[http]\n[live]\n")).is_ok());
}

#[test]
fn a_wrong_type_or_range_is_refused_with_what_is_allowed() {
    refused(
        &variable("PROFILE_SERVER__HTTP__WORKERS", "many"),
        &["`http.workers` = `many`", "PROFILE_SERVER__HTTP__WORKERS", "an integer from 0 to 1024"],
    );
    let dir = TempDir::new().unwrap();
    refused(
        &with_local(dir.path(), "[http]\nworkers = \"4\""),
        &["`http.workers` = `4`", "config.local.toml", "integer"],
    );
    refused(&variable("PROFILE_SERVER__AUTH__LEEWAY_S", "301"), &["`301`", "from 0 to 300"]);
    refused(&variable("PROFILE_SERVER__INSECURE", "yes"), &["`insecure` = `yes`", "`true` or `false`"]);
    refused(&variable("PROFILE_SERVER__LISTEN", "8080"), &["`listen` = `8080`", "127.0.0.1:8080"]);
    refused(&variable("PROFILE_SERVER__LOG__LEVEL", "loud"), &["`loud`", "`error`, `warn`, `info`"]);
    refused(&variable("PROFILE_SERVER__TIME__ZONE", "Asia/Atlantis"), &["`Asia/Atlantis`", "IANA"]);
    for clock in ["yesterday", "2026-01-21T12:00Z", "2026-01-21T12:00:00+05:30[Asia/Kolkata]"] {
        refused(&variable("PROFILE_SERVER__TIME__FIXED_CLOCK", clock), &[clock, "RFC 3339"]);
    }
    refused(&variable("PROFILE_SERVER__HTTP__CORS_ORIGINS", "*"), &["`[\"*\"]`", "list of origins"]);
}

#[test]
fn text_from_the_environment_takes_the_type_of_the_setting() {
    let mut sources = variable("PROFILE_SERVER__HTTP__CORS_ORIGINS", "https://a.example, http://localhost:5173");
    sources.environment.push(("PROFILE_SERVER__HTTP__MAX_EVENT_BYTES".to_owned(), "65_536".to_owned()));
    sources.environment.push(("PROFILE_SERVER_PORT".to_owned(), "tcp://10.0.0.1:80".to_owned()));
    sources.environment.push(("PROFILE_SERVER__TIME__FIXED_CLOCK".to_owned(), "2026-01-21T12:00:00Z".to_owned()));
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.http.cors_origins, ["https://a.example", "http://localhost:5173"]);
    assert_eq!(settings.http.max_event_bytes, 65_536);
    assert_eq!(settings.time.fixed_clock.unwrap().as_second(), 1_768_996_800);
}

#[test]
fn contradictions_are_refused() {
    let wide = Sources::default().with("listen", "0.0.0.0:8080", "--listen");
    refused(&wide, &["`listen` = `0.0.0.0:8080`", "flag `--listen`", "`insecure` = `false`", "TLS"]);
    let settings = Settings::load(&wide.clone().with("insecure", true, "--insecure")).unwrap();
    assert_eq!(settings.mode, Mode::Production, "beyond loopback the default is production");

    let fixed =
        wide.with("insecure", true, "--insecure").with("time.fixed_clock", "2026-01-21T12:00:00Z", "--fixed-clock");
    refused(&fixed, &["`time.fixed_clock`", "flag `--fixed-clock`", "`mode` = `production`", "`development`"]);
    assert!(Settings::load(&fixed.with("mode", "development", "--mode")).is_ok());

    refused(
        &Sources::default().with("admin_listen", "127.0.0.1:8080", "--admin-listen"),
        &["`admin_listen`", "`listen`"],
    );
    let both =
        Sources::default().with("auth.jwks_file", "keys.json", "-").with("auth.jwks_url", "http://[::1]:1/", "-");
    refused(&both, &["`auth.jwks_url`", "`auth.jwks_file`", "one source"]);
    for url in ["http://example.in/", "http://localhost:80@example.in/", "https://me@example.in/", "x"] {
        refused(&Sources::default().with("auth.jwks_url", url, "-"), &["`auth.jwks_url`", "this machine", "jwks_file"]);
    }
    for url in ["http://localhost/keys", "http://[::1]:80/?a", "https://example.in/keys"] {
        assert!(Settings::load(&Sources::default().with("auth.jwks_url", url, "-")).is_ok(), "{url}");
    }
    let with_authorities = Sources::default().with("auth.jwks_ca_file", "ca.pem", "-");
    refused(&with_authorities, &["`auth.jwks_ca_file`", "`auth.jwks_url`", "`https://`"]);
    refused(
        &with_authorities.clone().with("auth.jwks_url", "http://[::1]/", "-"),
        &["`auth.jwks_ca_file`", "`https://`"],
    );
    assert!(Settings::load(&with_authorities.with("auth.jwks_url", "https://example.in/", "-")).is_ok());
    refused(&variable("PROFILE_SERVER__HTTP__MAX_BODY_BYTES", "2048"), &["max_event_bytes", "`2048`"]);
    refused(
        &variable("PROFILE_SERVER__HTTP__IN_FLIGHT_BYTES", "134_217_727"),
        &["http.in_flight_bytes", "`134217727`", "134217728 or more", "http.max_body_bytes"],
    );
    refused(&variable("PROFILE_SERVER__JOURNAL__SEGMENT_MIB", "1"), &["`journal.segment_mib` = `1`", "twice"]);
    refused(
        &variable("PROFILE_SERVER__HTTP__MAX_CONNECTIONS", "100"),
        &["`http.max_connections_per_address` = `4096`", "at most 100, or 0", "http.max_connections"],
    );
    let mut behind_a_proxy = variable("PROFILE_SERVER__HTTP__MAX_CONNECTIONS", "100");
    behind_a_proxy.environment.push(("PROFILE_SERVER__HTTP__MAX_CONNECTIONS_PER_ADDRESS".to_owned(), "0".to_owned()));
    assert!(Settings::load(&behind_a_proxy).is_ok());
    refused(
        &variable("PROFILE_SERVER__DEAD_LETTERS__MAX_BYTES", "1000"),
        &["`dead_letters.max_bytes_per_source` = `67108864`", "at most 1000", "dead_letters.max_bytes"],
    );
    refused(&variable("PROFILE_SERVER__ACTORS__WAITING_BYTES", "1000"), &["actors.waiting_bytes", "1048576"]);
    refused(&variable("PROFILE_SERVER__COMMIT__PERMIT_BYTES", "1000"), &["commit.permit_bytes", "1048576"]);
    let any_port = Sources::default().with("listen", "127.0.0.1:0", "-l").with("admin_listen", "127.0.0.1:0", "-a");
    assert!(Settings::load(&any_port).is_ok());
}

#[test]
fn cookies_are_secure_in_production() {
    let secure = |sources: &Sources| Settings::load(sources).unwrap().auth.secure_cookies;
    let production = Sources::default().with("mode", "production", "--mode");
    assert_eq!((secure(&Sources::default()), secure(&production)), (false, true));
    let wide = Sources::default().with("listen", "0.0.0.0:8080", "--listen").with("insecure", true, "--insecure");
    assert!(secure(&wide), "beyond loopback the default is production");
    let off = |sources: Sources| sources.with("auth.secure_cookies", false, "-");
    assert!(!secure(&off(production.clone())), "on loopback an operator may turn them off");
    refused(&off(wide.clone()), &["`auth.secure_cookies` = `false`", "`mode` = `production`", "loopback"]);
    let admin = production.with("admin_listen", "0.0.0.0:8081", "-").with("insecure", true, "-");
    refused(&off(admin), &["`auth.secure_cookies` = `false`", "loopback"]);
    assert!(!secure(&off(wide.with("mode", "development", "-"))));
}

#[test]
fn the_data_directory_cannot_be_moved_from_within() {
    let dir = TempDir::new().unwrap();
    let mut sources = Sources::default();
    sources.environment.push(("PROFILE_SERVER__DATA_DIR".to_owned(), dir.path().display().to_string()));
    fs::write(dir.path().join("config.local.toml"), "data_dir = \"/elsewhere\"").unwrap();
    refused(&sources, &["`data_dir`", "/elsewhere", "config.local.toml"]);
}

#[test]
fn a_broken_or_missing_file_is_one_line() {
    let dir = TempDir::new().unwrap();
    refused(&with_local(dir.path(), "[http]\nworkers = = 3"), &["config.local.toml`, line 2"]);
    let sources = Sources { file: Some(dir.path().join("absent.toml")), ..Sources::default() };
    refused(&sources, &["cannot read", "absent.toml"]);
}

#[test]
fn what_may_be_secret_is_never_shown() {
    let dir = TempDir::new().unwrap();
    let local = with_local(dir.path(), "master_key = \"c2VjcmV0\"");
    refused(&local, &["`master_key` = `(hidden)`"]);
    assert!(!Settings::load(&local).unwrap_err().to_string().contains("c2VjcmV0"));
    let url = variable("PROFILE_SERVER__LOG__LEVEL", "https://me:pass@logs.example/x");
    refused(&url, &["https://(hidden)@logs.example/x"]);
}
