//! What is written as a table is read back from every format.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::port::table::{ColumnType, ColumnValues, NO_WORD, TableColumn, TableError, TableFormat, TableSchema};

use super::{encode, read_table};

fn words(words: &[&str]) -> Arc<[String]> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn schema() -> TableSchema {
    let column =
        |name: &str, values| TableColumn { name: name.to_owned(), description: format!("The {name}."), values };
    let metadata =
        BTreeMap::from([("k".to_owned(), "10".to_owned()), ("note".to_owned(), "a \"quoted\" one".to_owned())]);
    let columns = vec![
        column("pseudonym", ColumnType::Key),
        column("state", ColumnType::Word(words(&["bihar", "नागालैंड", "\"odd\"\n"]))),
        column("tags", ColumnType::WordList(words(&["a", "b"]))),
        column("schemes", ColumnType::Integer),
        column("mean", ColumnType::Real),
    ];
    TableSchema { columns, metadata }
}

fn batch() -> Vec<ColumnValues> {
    vec![
        ColumnValues::Keys(vec![[1; 32], [2; 32], [3; 32], [4; 32]]),
        ColumnValues::Words(vec![2, NO_WORD, 0, 1]),
        ColumnValues::WordLists { words: vec![0, 1, 1], ends: vec![0, 2, 2, 3] },
        ColumnValues::Integers(vec![Some(-3), None, Some(i64::MAX), Some(0)]),
        ColumnValues::Reals(vec![Some(0.5), None, Some(-1e300), Some(0.0)]),
    ]
}

#[test]
fn words_metadata_and_columns_are_read_back_from_every_format() {
    let directory = tempfile::tempdir().expect("a directory");
    for format in TableFormat::ALL {
        let bytes = encode(format, &schema(), &[batch(), batch()], Vec::new()).expect("encodes");
        assert_eq!(bytes, encode(format, &schema(), &[batch(), batch()], Vec::new()).expect("encodes"), "{format:?}");
        let path = directory.path().join(format.name());
        std::fs::write(&path, bytes).expect("writes");
        let table =
            read_table(&path, format, &["schemes", "state"]).unwrap_or_else(|error| panic!("{format:?}: {error:?}"));
        assert_eq!((table.rows, &table.metadata), (8, &schema().metadata), "{format:?}");
        assert_eq!(table.columns, ["pseudonym", "state", "tags", "schemes", "mean"], "{format:?}");
        assert_eq!(table.words.keys().collect::<Vec<_>>(), ["state"], "{format:?}");
        let state = &table.words["state"];
        let read = state.codes.iter().map(|&code| state.words.get(usize::from(code)).map(String::as_str));
        let expected = [Some("\"odd\"\n"), None, Some("bihar"), Some("नागालैंड")];
        assert!(read.eq(expected.into_iter().chain(expected)), "{format:?}");
        let integers = [Some(-3), None, Some(i64::MAX), Some(0)].repeat(2);
        assert_eq!(table.integers, BTreeMap::from([("schemes".to_owned(), integers)]), "{format:?}");
    }
}

#[test]
fn a_line_of_json_holds_each_column_under_its_name() {
    let bytes = encode(TableFormat::Ndjson, &schema(), &[batch()], Vec::new()).expect("encodes");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines[0]["_meta"]["metadata"]["note"], "a \"quoted\" one");
    let expected = serde_json::json!(
        {"pseudonym": "03".repeat(32), "state": "bihar", "tags": [], "schemes": i64::MAX, "mean": -1e300}
    );
    assert_eq!(lines[3], expected);
    assert_eq!(lines[2]["state"], serde_json::Value::Null);
    assert_eq!(lines[2]["tags"], serde_json::json!(["a", "b"]));
}

#[test]
fn a_number_in_place_of_a_word_is_not_taken_for_a_missing_word() {
    let directory = tempfile::tempdir().expect("a directory");
    let bytes = encode(TableFormat::Ndjson, &schema(), &[batch()], Vec::new()).expect("encodes");
    let text = String::from_utf8(bytes).expect("UTF-8").replacen("\"state\":\"bihar\"", "\"state\":17", 1);
    let path = directory.path().join("changed.ndjson");
    std::fs::write(&path, text).expect("writes");
    let read = read_table(&path, TableFormat::Ndjson, &[]);
    assert!(matches!(read, Err(TableError::Damaged(_))), "{read:?}");
}

#[test]
fn rows_that_do_not_fit_to_the_schema_are_refused() {
    let replaced = |column: usize, values| {
        let mut batch = batch();
        batch[column] = values;
        batch
    };
    let cases = [
        ("fewer columns", batch()[..4].to_vec()),
        ("fewer rows", replaced(3, ColumnValues::Integers(vec![None]))),
        ("another type", replaced(3, ColumnValues::Words(vec![0; 4]))),
        ("a code outside the words", replaced(1, ColumnValues::Words(vec![0, 3, 0, 0]))),
        ("a word outside the list", replaced(2, ColumnValues::WordLists { words: vec![2], ends: vec![0, 0, 1, 1] })),
        ("an end outside the list", replaced(2, ColumnValues::WordLists { words: vec![1], ends: vec![0, 2, 2, 2] })),
        ("ends that go back", replaced(2, ColumnValues::WordLists { words: vec![1, 1], ends: vec![2, 1, 2, 2] })),
    ];
    for format in TableFormat::ALL {
        for (case, batch) in &cases {
            let refused = encode(format, &schema(), std::slice::from_ref(batch), Vec::new());
            assert!(matches!(refused, Err(TableError::Schema(_))), "{format:?}: {case}: {refused:?}");
        }
        let mut twice = schema();
        twice.columns[1].name = "tags".to_owned();
        assert!(matches!(encode(format, &twice, &[], Vec::new()), Err(TableError::Schema(_))));
    }
}
