//! The files of the project.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text file of the project.
pub(crate) struct File {
    /// The path from the root, with `/`.
    pub(crate) path: String,
    /// The content.
    pub(crate) text: String,
}

/// Returns every text file with one of these endings, sorted by path.
pub(crate) fn files(endings: &[&str]) -> Vec<File> {
    let mut files = Vec::new();
    collect(root(), endings, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Returns every Rust file.
pub(crate) fn rust_files() -> Vec<File> {
    files(&[".rs"])
}

fn collect(folder: &Path, endings: &[&str], files: &mut Vec<File>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
        if path.is_dir() {
            if !is_generated(name) {
                collect(&path, endings, files);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let text = fs::read_to_string(&path).expect("a text file");
            let path = path.strip_prefix(root()).expect("below the root").to_str().expect("a plain path");
            files.push(File { path: path.replace('\\', "/"), text });
        }
    }
}

/// Returns whether git ignores the folder or uses it itself.
fn is_generated(name: &str) -> bool {
    name.starts_with("target") || matches!(name, ".git" | ".venv" | "node_modules" | "var" | "proptest-regressions")
}
