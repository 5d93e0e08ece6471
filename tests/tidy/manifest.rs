//! The manifests of the workspace, as cargo reads them.

use crate::tree;
use serde_json::Value;
use std::process::Command;

/// A crate of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    /// Its folder from the root; empty for the root itself.
    pub(crate) folder: String,
    /// The registry names of its normal dependencies.
    pub(crate) normal: Vec<String>,
    /// The names of its build dependencies.
    pub(crate) build: Vec<String>,
}

/// Returns every member that `cargo metadata` reports.
pub(crate) fn members() -> Vec<Member> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(tree::root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let members: Vec<Member> = metadata["packages"].as_array().expect("packages").iter().map(member).collect();
    assert!(members.len() >= 8, "the workspace has at least eight crates, cargo finds {}", members.len());
    members
}

fn member(package: &Value) -> Member {
    let of_kind = |kind: Option<&str>| {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let of_kind = dependencies.filter(|dependency| dependency["kind"].as_str() == kind);
        of_kind.map(|dependency| dependency["name"].as_str().expect("a name").to_owned()).collect()
    };
    let manifest = package["manifest_path"].as_str().expect("a path");
    let folder = std::path::Path::new(manifest).parent().and_then(|folder| folder.strip_prefix(tree::root()).ok());
    Member {
        name: package["name"].as_str().expect("a name").to_owned(),
        folder: folder.expect("below the root").to_str().expect("a plain path").to_owned(),
        normal: of_kind(None),
        build: of_kind(Some("build")),
    }
}

/// Returns a member's parsed manifest.
pub(crate) fn table(member: &Member) -> toml::Table {
    let path = tree::root().join(&member.folder).join("Cargo.toml");
    std::fs::read_to_string(path).expect("a manifest").parse().expect("TOML")
}
