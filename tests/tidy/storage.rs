//! Checks that `docs/storage.md` shows the byte pictures of the sources.

use crate::{none, tree};

const DOCUMENT: &str = "docs/storage.md";

/// Returns the pictures in a file's comments: blocks of text that name a length.
fn pictures(source: &str) -> Vec<String> {
    let comments = source.lines().filter_map(|line| line.strip_prefix("//!"));
    let comments: Vec<&str> = comments.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let text = comments.join("\n");
    let blocks = text.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("length  field")).map(str::to_owned).collect()
}

#[test]
fn the_document_shows_every_picture_of_a_stored_form() {
    let read = |path: &str| std::fs::read_to_string(tree::root().join(path)).expect("a file");
    let (document, mut findings, mut shown) = (read(DOCUMENT), Vec::new(), 0);
    for file in tree::files(&[".rs"]).into_iter().filter(|file| file.path.contains("/src/")) {
        for picture in pictures(&file.text) {
            shown += 1;
            let is_shown = document.contains(&format!("`{}`", file.path)) && document.contains(&picture);
            let finding = || format!("{DOCUMENT} lacks a picture of `{}`:\n{picture}", file.path);
            findings.extend((!is_shown).then(finding));
        }
    }
    assert!(shown >= 10, "the pictures are found");
    let drawn = document.matches("length  field").count();
    findings
        .extend((drawn != shown).then(|| format!("{DOCUMENT} shows {drawn} pictures, and the sources have {shown}")));
    none(findings);
}
