//! Rules for every text file of the project.

use crate::{none, tree};

/// Maximum number of lines of a Rust file.
const MOST_LINES: usize = 500;

/// Endings of hand-written files; data and lock files are not included.
const WRITTEN: &[&str] = &[".rs", ".toml", ".md", ".sh", ".yml", ".yaml", "Makefile", ".ci/run", ".cu", ".py", ".ts"];

/// First folders of paths that exist only on one machine.
const MACHINE_FOLDERS: &[&str] = &["home", "root", "Users", "work", "workspace", "mnt", "opt", "builds"];

/// Marks of unfinished work, concatenated so that this file does not contain them.
const MARKS: &[&str] = &[concat!("FIX", "ME"), concat!("TO", "DO"), concat!("X", "XX"), concat!("HA", "CK")];

#[test]
fn files_are_short() {
    let long = tree::rust_files().into_iter().map(|file| (file.text.lines().count(), file.path));
    let long = long.filter(|(lines, _)| *lines > MOST_LINES);
    none(long.map(|(lines, path)| format!("{path} has {lines} lines, split it at {MOST_LINES}")).collect());
}

#[test]
fn no_file_has_marks_of_unfinished_work() {
    let mut findings = Vec::new();
    for file in tree::files(WRITTEN) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.into_iter().any(|word| MARKS.contains(&word)) {
                findings.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    none(findings);
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let mut findings = Vec::new();
    for file in tree::files(WRITTEN) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if names_machine_path(line) {
                findings.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    none(findings);
}

fn names_machine_path(line: &str) -> bool {
    line.match_indices('/').any(|(at, _)| {
        let starts_path = line[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || "\"'`(=<>".contains(c));
        starts_path && line[at + 1..].split_once('/').is_some_and(|(folder, _)| MACHINE_FOLDERS.contains(&folder))
    })
}

#[test]
fn machine_paths_are_distinguished_from_others() {
    for machine in MACHINE_FOLDERS {
        assert!(names_machine_path(&format!("see `/{machine}/me/profile-server`")));
        assert!(!names_machine_path(&format!("GET https://example.org/{machine}/me")));
    }
    assert!(!names_machine_path("POST /api/v2/feeds/{source}, see ../work/notes and /etc/ssl/certs"));
}
