//! Data flows one way: which room may know which, and which room may know which crate of the outside world.

use crate::manifest::{self, Member};
use crate::none;

/// The root package: the front door.
pub(crate) const ROOT: &str = "profile-server";

/// Every edge there may be between rooms, by normal and build dependencies. Tests may know all.
pub(crate) const EDGES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("kernels", &[]),
    ("config", &["domain"]),
    ("data", &["domain"]),
    ("store", &["domain"]),
    ("adapters", &["domain"]),
    ("actors", &["domain", "kernels"]),
    ("loadtest", &["domain", "data"]),
    (ROOT, &["actors", "adapters", "config", "data", "domain", "kernels", "store"]),
];

/// Outside crates that only some rooms may know, and why.
const KEPT_IN: &[(&str, &[&str], &str)] = &[
    ("actix", &["actors", ROOT], "actors are live state; everything below them is plain code"),
    ("actix-rt", &["actors", ROOT], "arbiters and the web server's system"),
    ("actix-web", &[ROOT, "loadtest"], "the front door; loadtest's bare handler is what it is measured against"),
    ("actix-http", &[ROOT], "the front door"),
    ("actix-ws", &[ROOT], "the front door"),
    ("sled", &["store"], "the durable state has one owner, who knows sled's traps"),
    ("aes-gcm-siv", &["store", "actors"], "what leaves for the disk is sealed in one place, cursors in another"),
    ("arrow", &["store"], "export files are written behind a port"),
    ("parquet", &["store"], "export files are written behind a port"),
    ("cudarc", &["kernels"], "devices are the leaf's own affair"),
    ("moka", &["actors", ROOT], "views, and verified tokens"),
    ("libc", &["store"], "system calls that the standard library lacks"),
    ("jsonwebtoken", &[ROOT], "callers are told apart at the door"),
    ("metrics-exporter-prometheus", &[ROOT], "rooms count, the front door shows"),
    ("tracing-subscriber", &[ROOT], "rooms tell, the front door writes"),
    ("anyhow", &[ROOT, "loadtest"], "programs may give up with a sentence; libraries have typed errors"),
    ("clap", &[ROOT, "loadtest"], "only programs have arguments"),
    ("indicatif", &[ROOT, "loadtest"], "only programs have a terminal"),
    ("tempfile", &[ROOT, "loadtest"], "the demo's and the generator's throw-away data; elsewhere for tests only"),
    ("tokio-tungstenite", &[ROOT, "loadtest"], "clients: `watch` and the generator; the server writes its own frames"),
    ("toml", &["config", "data", "loadtest"], "settings, facts and scenarios"),
    ("ureq", &[ROOT], "the demo posts events to its own server"),
    ("getrandom", &[ROOT], "randomness comes in through the `Entropy` port"),
    ("rand", &[], "randomness comes in through the `Entropy` port; tests use seeds"),
];

/// Crates that must not come in at all, and why. `deny.toml` holds what others could bring along.
const REFUSED: &[(&str, &str)] = &[
    ("awc", "pulls h2 0.3, which has an open advisory"),
    ("actix-web-actors", "deprecated"),
    ("actix-governor", "GPL-3.0"),
    ("bincode", "abandoned"),
    ("rustls-pemfile", "unmaintained"),
    ("openssl", "one TLS and crypto stack is enough"),
];

#[test]
fn rooms_know_only_the_rooms_below_them() {
    let members = manifest::members();
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut findings = Vec::new();
    for member in &members {
        let Some((_, allowed)) = EDGES.iter().find(|(room, _)| *room == member.name) else {
            findings.push(format!("`{}` is a room without a line in the table of edges", member.name));
            continue;
        };
        let rooms = all_of(member).filter(|dependency| names.contains(dependency));
        findings.extend(rooms.filter(|room| !allowed.contains(room)).map(|room| format!("{} -> {room}", member.name)));
    }
    none(findings);
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let mut findings = Vec::new();
    for member in manifest::members() {
        for (krate, rooms, reason) in KEPT_IN {
            if !rooms.contains(&member.name.as_str()) && all_of(&member).any(|dependency| dependency == *krate) {
                findings.push(format!("`{}` depends on `{krate}`: {reason}", member.name));
            }
        }
        for (krate, reason) in REFUSED {
            if all_of(&member).any(|dependency| dependency == *krate) {
                findings.push(format!("`{}` depends on `{krate}`: {reason}", member.name));
            }
        }
    }
    none(findings);
}

#[test]
fn versions_lints_and_the_package_facts_stand_once() {
    let mut findings = Vec::new();
    for member in manifest::members() {
        let manifest = manifest::table(&member);
        if manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool) != Some(true) {
            findings.push(format!("`{}` does not take the workspace's lints", member.name));
        }
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = manifest.get(kind).and_then(toml::Value::as_table);
            for (name, dependency) in dependencies.into_iter().flatten() {
                if dependency.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    findings.push(format!("`{}` has its own version of `{name}`", member.name));
                }
            }
        }
        for fact in ["version", "edition", "rust-version", "license"] {
            if !manifest["package"].get(fact).is_some_and(toml::Value::is_table) {
                findings.push(format!("`{}` has its own `{fact}`", member.name));
            }
        }
    }
    none(findings);
}

fn all_of(member: &Member) -> impl Iterator<Item = &str> {
    member.normal.iter().chain(&member.build).map(String::as_str)
}
