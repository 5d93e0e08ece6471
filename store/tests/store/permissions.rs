//! The files of the store are accessible only to their owner, whatever their modes were before.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::kit::{append_one, close, open};

/// Asserts the modes of a directory and of everything below it, and returns the number of files.
#[track_caller]
fn assert_private(path: &Path) -> usize {
    let mode = |path: &Path| fs::symlink_metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(path), 0o700, "{}", path.display());
    let mut files = 0;
    for entry in fs::read_dir(path).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files += assert_private(&path);
        } else {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            files += 1;
        }
    }
    files
}

fn open_to_all(path: &Path) {
    for entry in fs::read_dir(path).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            open_to_all(&path);
        }
        fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("set");
    }
}

#[test]
fn every_file_and_directory_is_accessible_only_to_its_owner() {
    let dir = tempfile::tempdir().expect("a directory");
    for sequence in 1..=2 {
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("set");
        let mut store = open(dir.path());
        append_one(&mut store, 1, sequence, vec![1]);
        store.closer.checkpoint().expect("a checkpoint");
        assert!(assert_private(dir.path()) > 5);
        close(store);
        assert!(assert_private(dir.path()) > 5);
        open_to_all(dir.path());
    }
}
