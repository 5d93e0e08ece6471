//! Checks that the documentation names only files that exist.

use std::path::Path;

use crate::tree::File;
use crate::{none, tree};

/// Folders of the repository. A path in a document that begins with one of them is relative to the root.
const FOLDERS: &[&str] =
    &["src", "domain", "actors", "store", "config", "data", "kernels", "loadtest", "tests", "docs", "examples", ".ci"];

/// Returns the documents of the root and of `docs/`. The changelog may name removed files.
fn documents() -> Vec<File> {
    let is_current = |path: &str| path.starts_with("docs/") || (!path.contains('/') && path != "CHANGELOG.md");
    tree::files(&[".md"]).into_iter().filter(|file| is_current(&file.path)).collect()
}

#[test]
fn paths_in_documents_exist() {
    let mut findings = Vec::new();
    for File { path, text } in documents() {
        let missing = paths_in_code(&text).into_iter().filter(|named| !tree::root().join(named).exists());
        findings.extend(missing.map(|named| format!("{path} names `{named}`")));
    }
    none(findings);
}

#[test]
fn links_between_documents_have_a_target() {
    let mut findings = Vec::new();
    for File { path, text } in documents() {
        let folder = tree::root().join(&path).parent().map(Path::to_owned).unwrap_or_default();
        let missing = links(&text).into_iter().filter(|target| !folder.join(target).exists());
        findings.extend(missing.map(|target| format!("{path} links to `{target}`")));
    }
    none(findings);
}

/// Returns the paths from the root between backticks. A path with `NAME` or a placeholder stands for a new file.
fn paths_in_code(text: &str) -> Vec<&str> {
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_path = |span: &&str| {
        let is_plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
        let starts_at_the_root = span.split_once('/').is_some_and(|(folder, _)| FOLDERS.contains(&folder));
        is_plain && starts_at_the_root && !span.contains("NAME")
    };
    spans.filter(is_path).collect()
}

/// Returns the targets of links to other files, without the fragment after `#`.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets
        .filter(|target| !target.is_empty() && !target.contains(':') && !target.contains(char::is_whitespace))
        .collect()
}

#[test]
fn paths_and_links_are_distinguished_from_other_text() {
    let text = "see `src/lib.rs`, `GET /api`, `src/http/NAME.rs`, `a/b`, `docs/adr` and `tests/*.rs`";
    assert_eq!(paths_in_code(text), ["src/lib.rs", "docs/adr"]);
    let text = "[a](docs/a.md#part), [b](https://example.org/x), [c](#part) and [d](LICENSE)";
    assert_eq!(links(text), ["docs/a.md", "LICENSE"]);
}
