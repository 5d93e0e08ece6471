//! A start that is refused leaves every file as it was, whatever there is to repair.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::kit::{anchors, change_lines, copy, directory, keys, open_at, options, segment};
use crate::retention;

/// Everything below a directory: modes and contents.
fn content(dir: &Path, all: &mut BTreeMap<String, (u32, Vec<u8>)>) {
    for item in fs::read_dir(dir).expect("a folder") {
        let path = item.expect("an item").path();
        let mode = path.metadata().expect("an item").permissions().mode();
        let bytes = if path.is_dir() { Vec::new() } else { fs::read(&path).expect("a file") };
        all.insert(path.to_string_lossy().into_owned(), (mode, bytes));
        if path.is_dir() {
            content(&path, all);
        }
    }
}

/// Returns a log with everything that start-up repairs.
fn to_repair() -> (tempfile::TempDir, std::sync::Arc<crate::kit::TestClock>) {
    let (dir, clock) = retention::log(6);
    let before = tempfile::tempdir().expect("a folder");
    copy(dir.path(), before.path());
    drop(open_at(dir.path(), clock.clone()));
    let path = |name: &str| directory(dir.path()).join(name);
    let append = |name: &str, bytes: &[u8]| {
        fs::write(path(name), [fs::read(path(name)).expect("a file"), bytes.to_vec()].concat()).expect("a file");
    };
    // A removal that was interrupted, lines that were cut, an index that is missing, nodes that are wrong.
    fs::copy(directory(before.path()).join("security-2026-11.log"), path("security-2026-11.log")).expect("a copy");
    append("security-2027-04.log", b"{\"action\":\"a line that was c");
    append("heads-2027-05.log", b"{\"chains\":{\"comp");
    let _ = fs::remove_file(path("compliance-2026-12.index"));
    let nodes = fs::read(path("tree.nodes")).expect("nodes");
    fs::write(path("tree.nodes"), &nodes[..nodes.len() - 40]).expect("nodes");
    fs::write(path("index.tmp"), b"left by a crash").expect("a file");
    fs::set_permissions(path("tree.nodes"), fs::Permissions::from_mode(0o640)).expect("a mode");
    (dir, clock)
}

#[test]
fn a_start_that_is_refused_has_changed_nothing() {
    type Damage<'a> = &'a dyn Fn(&Path);
    let damages: [(&str, Damage<'_>); 6] = [
        ("a changed entry", &|dir| {
            change_lines(&segment(dir, "operations", "2027-04"), |all| all[2] = all[2].replace("adm:", "xdm:"));
        }),
        ("entries that are missing", &|dir| {
            change_lines(&segment(dir, "operations", "2027-04"), |all| all.truncate(2));
        }),
        ("another head", &|dir| {
            let path = directory(dir).join("heads-2027-05.log");
            let text = fs::read_to_string(&path).expect("heads").replace("\"size\":", "\"size\":1");
            fs::write(path, text).expect("heads");
        }),
        ("another anchor", &|dir| {
            change_lines(&anchors(dir), |all| {
                let last = all.len() - 1;
                all[last] = all[last].replace("\"size\":", "\"size\":1");
            });
        }),
        ("another stub", &|dir| {
            change_lines(&directory(dir).join("operations-2026-12.stub"), |all| {
                all[0] = all[0].replace("\"last_seq\":8", "\"last_seq\":9");
            });
        }),
        ("no log", &|dir| fs::remove_dir_all(directory(dir)).expect("removed")),
    ];
    let (original, clock) = to_repair();
    for (what, damage) in damages {
        let dir = tempfile::tempdir().expect("a folder");
        copy(original.path(), dir.path());
        damage(dir.path());
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        content(dir.path(), &mut before);
        let refused = store::audit::open(&options(dir.path(), clock.clone()), keys()).map(drop);
        assert!(refused.is_err(), "{what}");
        content(dir.path(), &mut after);
        let names = |all: &BTreeMap<String, _>| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before), "{what}");
        let changed: Vec<_> = after.iter().filter(|(name, now)| before[*name] != **now).map(|(name, _)| name).collect();
        assert!(changed.is_empty(), "{what}: {changed:?}");
    }
    // Without damage, all of it is repaired.
    drop(open_at(original.path(), clock));
    crate::kit::assert_sound(original.path());
    assert!(!directory(original.path()).join("index.tmp").exists());
    assert!(!segment(original.path(), "security", "2026-11").exists());
}
