//! The files of the log that a backup has, and what a restore reads from a log.

use std::fs;
use std::io;
use std::path::Path;

use super::files::{DIRECTORY, NODES_FILE};
use super::options::ANCHOR_FILE;
use crate::backup::FileToCopy;

/// Returns the files of a log that is in use, as long as they are now. Indexes are left out: they are made again.
///
/// Entries come before the nodes and the tree heads over them, so the lengths of the latter are looked at first: then
/// everything that a head states is in the copy.
pub(crate) fn files_to_copy(data_dir: &Path) -> io::Result<Vec<FileToCopy>> {
    let mut files = Vec::from_iter(FileToCopy::find(data_dir, ANCHOR_FILE.to_owned(), true)?);
    let directory = data_dir.join(DIRECTORY);
    if !directory.is_dir() {
        return Ok(files);
    }
    for entries in [false, true] {
        for entry in fs::read_dir(&directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let is_entries = !(name == NODES_FILE || name.starts_with("heads-"));
            let name = format!("{DIRECTORY}/{name}");
            if is_entries == entries && is_copied_name(&name) {
                files.extend(FileToCopy::find(data_dir, name.clone(), name.ends_with(".log"))?);
            }
        }
    }
    Ok(files)
}

/// Returns whether a name is that of a file of the log that a backup has.
pub(crate) fn is_copied_name(name: &str) -> bool {
    let Some(name) = name.strip_prefix(DIRECTORY).and_then(|name| name.strip_prefix('/')) else {
        return name == ANCHOR_FILE;
    };
    let has_safe_letters =
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte));
    let is_part =
        |name: &str| name == NODES_FILE || name.ends_with(".log") || name.ends_with(".stub") || name.contains(".torn-");
    has_safe_letters && !name.starts_with('.') && is_part(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_log_are_copied() {
        let wanted =
            ["audit-anchors.log", "audit/tree.nodes", "audit/compliance-2026-11.log", "audit/heads-2026-11.log"];
        let others =
            ["audit/../keyring", "audit//etc.log", "keyring", "audit/x.index", "/audit/a.log", "audit/.log", ""];
        assert!(wanted.into_iter().all(is_copied_name));
        assert!(!others.into_iter().any(is_copied_name));
    }
}
