//! The command `watch`, which prints the changes of a profile.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::test_server::{PROGRAM, USER, residency, signal, start_server};
use crate::token::Token;

#[test]
fn the_watch_command_prints_the_profile_and_then_its_patches() {
    let server = start_server();
    server.post_example();
    let watch = |token: String| {
        let mut command = Command::new(PROGRAM);
        command.args([
            "watch",
            USER,
            "--fields",
            "demographics",
            "--server",
            &format!("localhost:{}", server.listen.port()),
        ]);
        command.env("PROFILE_SERVER_TOKEN", token);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut child = watch(server.sign(Token::citizen(USER)));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(lines.next().unwrap(), "revision 13");
    let profile: Vec<_> = lines.by_ref().take_while(|line| line != "}").collect();
    assert!(profile.iter().any(|line| line.contains("\"residency_years\": 6")), "{profile:?}");
    server.apply("metadata", &residency(USER, "w", "2026-01-20T00:00:00Z", 33));
    assert_eq!(lines.next().unwrap(), "revision 14, from 13");
    assert_eq!(lines.next().unwrap(), "  ~ demographics.residency_years 33");
    signal(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    // The command ends when its output is closed.
    let mut child = watch(server.sign(Token::citizen(USER)));
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "revision 14\n");
    server.apply("metadata", &residency(USER, "x", "2026-01-21T00:00:00Z", 34));
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let refused = watch("nonsense".to_owned()).wait_with_output().unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), error.contains("`profile-server token`")), (Some(1), true), "{error}");
}
