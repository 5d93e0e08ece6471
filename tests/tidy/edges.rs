//! Allowed dependencies: between the crates of the workspace, and on external crates.

use crate::manifest::{self, Member};
use crate::none;

/// The root package: the server.
pub(crate) const ROOT: &str = "profile-server";

/// The allowed normal and build dependencies between crates of the workspace. Tests may use all.
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

/// External crates that only some crates of the workspace may use, each with the reason.
const KEPT_IN: &[(&str, &[&str], &str)] = &[
    ("actix", &["actors", ROOT], "only live state is actors; all other crates are plain code"),
    ("actix-rt", &["actors", ROOT], "arbiters and the web server's system"),
    ("actix-web", &[ROOT, "loadtest"], "the HTTP server; loadtest compares it with a bare handler"),
    ("actix-http", &[ROOT], "the HTTP server"),
    ("actix-ws", &[ROOT], "the HTTP server"),
    ("sled", &["store"], "the durable state has one owner, which handles the pitfalls of sled"),
    ("aes-gcm-siv", &["store", "actors"], "data on disk is sealed in `store`, cursors in `actors`"),
    ("arrow-array", &["store"], "export files are written behind a port"),
    ("arrow-ipc", &["store"], "export files are written behind a port"),
    ("arrow-schema", &["store"], "export files are written behind a port"),
    ("parquet", &["store"], "export files are written behind a port"),
    ("cudarc", &["kernels"], "only `kernels` uses GPUs"),
    ("moka", &["actors", ROOT], "caches of views and of verified tokens"),
    ("libc", &["store"], "system calls that the standard library lacks"),
    ("jsonwebtoken", &[ROOT], "only the HTTP server verifies tokens"),
    ("metrics-exporter-prometheus", &[ROOT], "crates record metrics, only the server exports them"),
    ("tracing-subscriber", &[ROOT], "crates emit log events, only the server writes them"),
    ("anyhow", &[ROOT, "loadtest"], "programs may fail with a message; libraries have typed errors"),
    ("clap", &[ROOT, "loadtest"], "only programs have arguments"),
    ("indicatif", &[ROOT, "loadtest"], "only programs have a terminal"),
    ("tempfile", &[ROOT, "loadtest"], "temporary data of the demo and the load generator; elsewhere only in tests"),
    ("tokio-tungstenite", &[ROOT, "loadtest"], "clients: `watch` and the generator; the server writes its own frames"),
    ("toml", &["config", "data", "loadtest"], "settings, facts and scenarios"),
    ("ureq", &[ROOT], "the demo posts events to its own server; public keys are fetched"),
    ("rustls", &[ROOT], "only the HTTP server speaks TLS"),
    ("getrandom", &[ROOT], "randomness is injected, by the `Entropy` port"),
    ("rand", &[], "randomness is injected, by the `Entropy` port; tests use seeds"),
];

/// Crates that must not be used, each with the reason. `deny.toml` also covers indirect dependencies.
const REFUSED: &[(&str, &str)] = &[
    ("awc", "pulls h2 0.3, which has an open advisory"),
    ("actix-web-actors", "deprecated"),
    ("actix-governor", "GPL-3.0"),
    ("bincode", "abandoned"),
    ("rustls-pemfile", "unmaintained"),
    ("openssl", "one TLS and crypto stack is enough"),
];

#[test]
fn crates_depend_only_on_allowed_crates() {
    let members = manifest::members();
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut findings = Vec::new();
    for member in &members {
        let Some((_, allowed)) = EDGES.iter().find(|(from, _)| *from == member.name) else {
            findings.push(format!("`{}` has no line in the table of allowed edges", member.name));
            continue;
        };
        let used = all_of(member).filter(|dependency| names.contains(dependency));
        let refused = used.filter(|to| !allowed.contains(to));
        findings.extend(refused.map(|to| format!("{} -> {to} is not an allowed edge", member.name)));
    }
    none(findings);
}

#[test]
fn external_crates_are_used_only_where_allowed() {
    let mut findings = Vec::new();
    for member in manifest::members() {
        for (krate, users, reason) in KEPT_IN {
            if !users.contains(&member.name.as_str()) && all_of(&member).any(|dependency| dependency == *krate) {
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
fn versions_lints_and_package_facts_are_defined_once() {
    let mut findings = Vec::new();
    for member in manifest::members() {
        let manifest = manifest::table(&member);
        if manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool) != Some(true) {
            findings.push(format!("`{}` does not inherit the workspace's lints", member.name));
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
