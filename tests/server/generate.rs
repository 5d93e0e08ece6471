//! The command `generate`, as a user types it.

use std::process::{Command, Output};

use serde_json::Value;

#[track_caller]
fn generate(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_profile-server")).arg("generate").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn lines(text: &[u8]) -> Vec<Value> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[test]
fn the_same_options_give_the_same_bytes_and_as_many_lines_as_asked_for() {
    let options = ["--users", "40", "--events", "1000", "--seed", "9", "--days", "7"];
    let (first, second) = (generate(&options), generate(&options));
    assert_eq!(first.stdout, second.stdout);
    assert!(first.stderr.is_empty(), "no progress bar without a terminal");
    assert_eq!(lines(&first.stdout).len(), 1_000);
    assert_ne!(generate(&["--users", "40", "--events", "1000", "--days", "7"]).stdout, first.stdout);
}

#[test]
fn each_source_can_have_its_own_file_or_be_asked_for_alone() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("events/");
    let options = ["--users", "30", "--events", "600"];
    generate(&[&options[..], &["--out", out.to_str().unwrap()]].concat());
    let mut all = 0;
    for file in std::fs::read_dir(&out).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let events = lines(&std::fs::read(&path).unwrap());
        assert!(events.iter().all(|event| event["source"] == format!("/engines/{name}")), "{name}");
        let alone = generate(&[&options[..], &["--source", &name]].concat());
        assert_eq!(lines(&alone.stdout), events, "{name}");
        all += events.len();
    }
    assert_eq!(all, 600);
}

#[test]
fn a_person_has_a_story_that_ends_in_the_profile() {
    let options = ["--users", "30", "--events", "900"];
    let story = String::from_utf8(generate(&[&options[..], &["--profile", "4"]].concat()).stdout).unwrap();
    let user = story.split_whitespace().find(|word| word.starts_with("usr_")).unwrap();
    let own = lines(&generate(&options).stdout).into_iter().filter(|event| event["subject"] == user).count();
    assert!(story.contains(&format!("{own} events in order of arrival")), "{story}");
    assert!(story.contains("identity     -> revision") && story.contains("\"profile_completeness_pct\""), "{story}");
    let events = story.lines().take_while(|line| *line != "The resulting profile");
    assert!(events.into_iter().all(|line| line.chars().count() <= 100), "lines are short");
    let by_id = generate(&[&options[..], &["--profile", user]].concat());
    assert_eq!(String::from_utf8(by_id.stdout).unwrap(), story);
}

#[test]
fn statistics_put_the_model_beside_what_was_published() {
    let stats = String::from_utf8(generate(&["--stats", "--users", "2000"]).stdout).unwrap();
    for line in [
        "Uttar Pradesh",
        "women at work",
        "Census of India 2011",
        "completeness of a profile",
        "withdraw a value",
        "200000 people, seed 1",
        "\n0 of ",
        "not poor",
        "sch_jan_dhan",
        "dl_itr",
        "graduation",
        "change a consent",
        "their latest values differ",
        "by hour of the day",
        "by day of the week",
        "the launch of sch_",
    ] {
        assert!(stats.contains(line), "{line} in {stats}");
    }
}

#[test]
fn a_wrong_use_is_one_line_that_names_the_remedy() {
    for (arguments, remedy) in [
        (&["--source", "gossip"][..], "allowed: identity"),
        (&["--profile", "usr_Nobody123456"], "give a number"),
        (&["--out", "/nowhere/at/all"], "give a file, a directory or `-`"),
        (&["--users", "0"], "--users"),
        (&["--users", "100000001"], "--users"),
        (&["--users", "100", "--events", "50", "--profile", "3"], "give more --events"),
        (&["--stats", "--events", "10"], "--events"),
    ] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_profile-server")).arg("generate").args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty(), "{arguments:?} prints before it fails");
        assert!(!output.status.success() && error.lines().count() == 1 && error.contains(remedy), "{error}");
    }
}

#[test]
fn a_full_disk_is_an_error_that_says_so_and_a_closed_pipe_is_none() {
    for what in [&["--stats", "--users", "200"][..], &["--profile", "1", "--users", "5"], &["--users", "5"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_profile-server"));
        let output = command.arg("generate").args(what).stdout(full).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{what:?}: {error}");
        assert!(error.contains("No space left on device"), "{error}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_profile-server"));
        let output = command.arg("generate").args(what).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.is_empty()), (Some(0), true), "{what:?}");
    }
}
