//! Which tokens are accepted, over the wire. Unit tests of the server cover each rule.

use jsonwebtoken::{Algorithm, Header};
use serde_json::json;

use crate::http::Request;
use crate::test_server::{PROGRAM, USER, profile_path, start_server};
use crate::token::{Token, now};

#[test]
fn requests_without_a_valid_token_are_refused() {
    let server = start_server();
    server.post_example();
    let good = Token::citizen(USER);
    let refused: [(&str, String); 9] = [
        ("another key", good.sign(b"another key of thirty-two bytes!")),
        ("another type", server.sign(Token { header: Header::new(Algorithm::HS256), ..good.clone() })),
        ("another issuer", server.sign(good.clone().with("iss", "other"))),
        ("another audience", server.sign(good.clone().with("aud", "other"))),
        ("expired", server.sign(good.clone().with("iat", now() - 600).with("exp", now() - 120))),
        ("not yet", server.sign(good.clone().with("nbf", now() + 120))),
        ("too long a life", server.sign(good.clone().with("exp", now() + 7_200))),
        ("a role that does not go with the subject", server.sign(good.clone().with("role", "service"))),
        ("a reserved role", server.sign(Token::new("legal", "leg:one", "profile:read"))),
    ];
    for (case, token) in refused {
        let answer = server.send(Request::new("GET", profile_path(USER)).bearer(&token));
        assert_eq!((answer.status, answer.problem().as_str()), (401, "invalid-token"), "{case}");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
    for header in ["", "Basic YTpi", "Bearer", "Bearer "] {
        let answer = server.send(Request::new("GET", profile_path(USER)).header("authorization", header));
        assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthenticated"), "`{header}`");
    }
    let none = server.send(Request::new("GET", profile_path(USER)));
    assert_eq!((none.status, none.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(server.get(&profile_path(USER), good).status, 200);
}

#[test]
fn a_feed_opens_to_the_service_that_holds_its_scope() {
    let server = start_server();
    let event = data::example_events().lines().next().unwrap();
    let post = |token: Token, path: &str| {
        let request = Request::new("POST", path).bearer(&server.sign(token));
        server.send(request.body("application/cloudevents+json", event))
    };
    for token in [
        Token::service("feed:metadata profile:read"),
        Token::service("feed:identity2 feed"),
        Token::new("admin", "adm:root", "feed:identity"),
        Token::citizen(USER).with("scope", "feed:identity"),
        Token::new("agent", "agt:a", "feed:identity").with("act", json!({"sub": USER})),
        Token::new("auditor", "aud:a", "feed:identity"),
    ] {
        let answer = post(token.clone(), "/api/v2/feeds/identity");
        assert_eq!((answer.status, answer.problem().as_str()), (403, "missing-scope"), "{:?}", token.claims);
    }
    assert_eq!(post(Token::service("feed:identity"), "/api/v2/feeds/nothing").problem(), "unknown-resource");
    assert_eq!(server.get(&profile_path(USER), Token::citizen(USER)).status, 404, "nothing was taken");
    assert_eq!(post(Token::service("feed:consent feed:identity"), "/api/v2/feeds/identity").status, 200);
}

#[test]
fn the_token_command_signs_what_the_server_accepts() {
    let server = start_server();
    server.post_example();
    let token = |arguments: &[&str]| {
        let output = std::process::Command::new(PROGRAM)
            .arg("token")
            .arg("--data-dir")
            .arg(server.data_dir.path())
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, own, _) = token(&["--sub", USER, "--role", "self"]);
    assert_eq!(code, Some(0));
    assert_eq!(server.send(Request::new("GET", profile_path(USER)).bearer(own.trim())).status, 200);
    let (_, agent, _) =
        token(&["--sub", "agt:x", "--role", "agent", "--act", USER, "--scope", "section:family", "--ttl", "5m"]);
    let seen = server.send(Request::new("GET", profile_path(USER)).bearer(agent.trim())).json();
    assert!(seen.get("family").is_some() && seen.get("economic").is_none());
    for (arguments, code, part) in [
        (&["--sub", USER, "--role", "service"][..], 1, "must start with `svc:`"),
        (&["--sub", USER, "--role", "self", "--ttl", "2h"], 1, "`--ttl`"),
        (&["--sub", "agt:x", "--role", "agent"], 1, "--act"),
        (&["--sub", USER, "--role", "king"], 2, "self, service, admin"),
        (&["--sub", USER, "--role", "self", "--ttl", "soon"], 2, "30m"),
        (&["--role", "self"], 2, "--sub"),
    ] {
        let (found, out, error) = token(arguments);
        assert_eq!((found, out.as_str()), (Some(code), ""), "{arguments:?}: {error}");
        assert!(error.contains(part) && error.trim_end().lines().count() == 1, "{arguments:?}: {error}");
    }
}
