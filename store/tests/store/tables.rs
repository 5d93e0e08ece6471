//! Tables are sealed under keys of their own, complete or not there.

use std::collections::BTreeMap;
use std::path::Path;

use domain::port::table::{ColumnType, ColumnValues, TableColumn, TableError, TableFormat, TableSchema, TableWriter};
use store::table::encode;

use crate::kit::layout::{KEYRING_HEADER_BYTES, SLOT_BYTES, SLOT_DESTROYED};
use crate::kit::{close, open};

fn schema() -> TableSchema {
    let words = ["SECRET-WORD".to_owned()].into();
    let column = |name: &str, values| TableColumn { name: name.to_owned(), description: String::new(), values };
    let columns = vec![column("key", ColumnType::Key), column("word", ColumnType::Word(words))];
    TableSchema { columns, metadata: BTreeMap::new() }
}

fn batch(rows: usize) -> Vec<ColumnValues> {
    let key = |row: usize| std::array::from_fn(|at| (row * 7 + at * row) as u8);
    vec![ColumnValues::Keys((0..rows).map(key).collect()), ColumnValues::Words(vec![0; rows])]
}

fn file_names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("exports")).expect("a directory");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

fn destroyed_slots(dir: &Path) -> usize {
    let keyring = std::fs::read(dir.join("keyring")).expect("the keyring");
    keyring[KEYRING_HEADER_BYTES..].chunks(SLOT_BYTES).filter(|slot| slot[0] == SLOT_DESTROYED).count()
}

#[test]
fn a_table_is_read_back_in_every_format_also_after_a_restart_until_it_is_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for format in TableFormat::ALL {
        let mut writer = store.tables.create(&format!("exp_{}", format.name()), format, &schema()).expect("begins");
        for _ in 0..3 {
            writer.write(&batch(5_000)).expect("writes");
        }
        writer.finish().expect("finishes");
    }
    close(store);

    let store = open(dir.path());
    assert_eq!(store.tables.names().expect("lists"), ["exp_arrow", "exp_ndjson", "exp_parquet"]);
    for (removed, format) in TableFormat::ALL.into_iter().enumerate() {
        let name = format!("exp_{}", format.name());
        let expected = encode(format, &schema(), &[batch(5_000), batch(5_000), batch(5_000)], Vec::new());
        let expected = expected.expect("encodes");
        let table = store.tables.open(&name).expect("reads").expect("there");
        assert_eq!(table.length(), expected.len() as u64);
        assert!(table.read(0, expected.len()).expect("reads") == expected, "{format:?}");
        assert_eq!(table.read(1_000, 10).expect("reads"), expected[1_000..1_010]);
        let sealed = std::fs::read(dir.path().join(format!("exports/{name}.{}", format.name()))).expect("the file");
        assert!(!sealed.windows(6).any(|window| window == b"SECRET"), "{format:?}");

        store.tables.remove(&name).expect("removes");
        store.tables.remove(&name).expect("nothing to remove");
        assert!(store.tables.open(&name).expect("reads").is_none());
        assert_eq!(destroyed_slots(dir.path()), removed + 1);
    }
    assert!(file_names(dir.path()).is_empty());
}

#[test]
fn nothing_is_read_of_a_table_once_it_is_removed_also_by_those_who_have_opened_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    for name in ["exp_1", "exp_2"] {
        let mut writer = store.tables.create(name, TableFormat::Ndjson, &schema()).expect("begins");
        writer.write(&batch(5_000)).expect("writes");
        writer.finish().expect("finishes");
    }
    let tables = ["exp_1", "exp_2"].map(|name| store.tables.open(name).expect("reads").expect("there"));
    for table in &tables {
        assert_eq!(table.read(0, 1_000).expect("reads").len(), 1_000);
    }
    store.tables.remove("exp_1").expect("removes");
    for offset in [0, 1_000, tables[0].length() - 1] {
        let read = tables[0].read(offset, 1_000);
        assert!(matches!(read, Err(TableError::Removed)), "at {offset}: {read:?}");
    }
    assert_eq!(tables[1].read(1_000, 1_000).expect("another table is still there").len(), 1_000);
    drop(tables);
    close(store);
}

#[test]
fn a_table_whose_key_is_gone_is_not_there_even_if_a_crash_left_its_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    store.tables.create("exp_1", TableFormat::Ndjson, &schema()).and_then(TableWriter::finish).expect("a table");
    let path = dir.path().join("exports/exp_1.ndjson");
    let sealed = std::fs::read(&path).expect("the file");
    store.tables.remove("exp_1").expect("removes");
    std::fs::write(&path, sealed).expect("writes");
    assert!(store.tables.open("exp_1").expect("reads").is_none());
    store.tables.remove("exp_1").expect("removes what is left");
    assert!(file_names(dir.path()).is_empty());
    close(store);
}

#[test]
fn a_table_that_was_not_finished_is_not_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let begin = |name: &str| {
        let mut writer = store.tables.create(name, TableFormat::Parquet, &schema()).expect("begins");
        writer.write(&batch(100_000)).expect("writes");
        writer
    };
    drop(begin("exp_dropped"));
    assert!(file_names(dir.path()).is_empty());
    assert_eq!(destroyed_slots(dir.path()), 1, "with its key");
    // As in a crash, the writer's file stays.
    std::mem::forget(begin("exp_cut"));
    assert_eq!(file_names(dir.path()), ["exp_cut.parquet.new"]);
    assert!(store.tables.open("exp_cut").expect("reads").is_none() && store.tables.names().expect("lists").is_empty());
    let failed = begin("exp_failed").write(&batch(1)[..1]);
    assert!(failed.is_err());
    for name in ["", "../x", "exp.1", "exp 1"] {
        assert!(store.tables.create(name, TableFormat::Arrow, &schema()).is_err(), "{name:?}");
    }
    drop(store);
}

#[test]
fn a_table_that_a_crash_cut_is_destroyed_at_the_next_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    store.tables.create("exp_1", TableFormat::Ndjson, &schema()).and_then(TableWriter::finish).expect("a table");
    close(store);
    let names = ["exports/exp_1.ndjson", "exports/exp_1.ndjson.new"].map(|name| dir.path().join(name));
    std::fs::rename(&names[0], &names[1]).expect("renames");
    std::fs::write(dir.path().join("exports/exp_2.arrow.new"), b"torn").expect("writes");
    let store = open(dir.path());
    assert!(store.tables.names().expect("lists").is_empty() && file_names(dir.path()).is_empty());
    assert_eq!(destroyed_slots(dir.path()), 1);
    close(store);
}
