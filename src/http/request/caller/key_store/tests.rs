//! What is reported when the key set cannot be read for a while.

use super::*;

#[tokio::test]
async fn a_fault_that_returns_after_an_unchanged_read_is_a_new_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.json");
    let store = KeyStore::new(Some(KeySource::File(path.clone())), Arc::new(CredentialVersion::new()));
    let write = || std::fs::write(&path, r#"{"keys":[]}"#).expect("written");
    let has_fault = async || {
        store.refresh(&mut *store.reads.lock().await).await;
        store.last.lock().fault.is_some()
    };
    write();
    assert!(!has_fault().await);
    std::fs::remove_file(&path).expect("removed");
    assert!(has_fault().await);
    write();
    assert!(!has_fault().await, "the set is unchanged");
    std::fs::remove_file(&path).expect("removed");
    assert!(has_fault().await);
}
