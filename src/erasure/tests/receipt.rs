//! Receipts that were changed, or are of somebody else or of another log.

use domain::erasure_receipt::ErasureReceipt;
use domain::id::UserId;
use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog};
use domain::port::audit_trail::AuditTrail;
use store::audit::AuditKeys;

use super::super::verify::{ReceiptCheck, ReceiptFault, check_receipt};
use super::fixture::{Disk, user};

/// Returns a log with entries of this action before an erasure, and the receipt.
async fn erased(action: &'static str) -> (Disk, String) {
    let disk = Disk::new();
    let write = || AuditEntry::new(AuditCategory::Compliance, action, AuditActor::System);
    for _ in 0..5 {
        disk.audit.write_blocking(write()).expect("written");
    }
    let receipt = disk.start().erase().await.expect("a receipt");
    (disk, receipt)
}

fn fault(text: &str) -> ReceiptFault {
    check_receipt(text, &ReceiptCheck { user: Some(user()), ..ReceiptCheck::default() }).expect_err("a fault")
}

#[tokio::test]
async fn the_first_fault_of_a_receipt_is_named() {
    let (disk, text) = erased("test").await;
    let receipt = ErasureReceipt::parse(&text).expect("a receipt");
    assert_eq!(receipt.leaf, 5);
    let changed = |change: &dyn Fn(&mut ErasureReceipt)| {
        let mut receipt = receipt.clone();
        change(&mut receipt);
        fault(&receipt.to_json())
    };
    assert_eq!(changed(&|receipt| receipt.log_id[0] ^= 1), ReceiptFault::LogId);
    let other_head = |line: &mut String| *line = line.replacen("\"size\":", "\"size\":1", 1);
    assert_eq!(
        changed(&|receipt| other_head(&mut receipt.tree_head_before)),
        ReceiptFault::Signature("tree_head_before")
    );
    assert_eq!(
        changed(&|receipt| other_head(&mut receipt.tree_head_after)),
        ReceiptFault::Signature("tree_head_after")
    );
    assert_eq!(changed(&|receipt| receipt.slot += 1), ReceiptFault::Entry("slot"));
    assert_eq!(changed(&|receipt| receipt.generation += 1), ReceiptFault::Entry("generation"));
    assert_eq!(changed(&|receipt| receipt.commitment[3] ^= 1), ReceiptFault::Entry("commitment"));
    assert_eq!(changed(&|receipt| receipt.leaf += 1), ReceiptFault::Entry("seq"));
    let swapped = changed(&|receipt| std::mem::swap(&mut receipt.tree_head_before, &mut receipt.tree_head_after));
    assert_eq!(swapped, ReceiptFault::Leaf);
    let denied =
        |receipt: &mut ErasureReceipt| receipt.audit_entry = receipt.audit_entry.replace("\"allowed\"", "\"denied\"");
    assert_eq!(changed(&denied), ReceiptFault::Entry("decision"));
    let edited =
        |receipt: &mut ErasureReceipt| receipt.audit_entry = receipt.audit_entry.replace("request-1", "request-2");
    assert_eq!(changed(&edited), ReceiptFault::Inclusion);
    assert_eq!(changed(&|receipt| receipt.inclusion[0][0] ^= 1), ReceiptFault::Inclusion);
    assert_eq!(changed(&|receipt| receipt.consistency[0][0] ^= 1), ReceiptFault::Consistency);
    assert_eq!(changed(&|receipt| receipt.consistency.clear()), ReceiptFault::Consistency);
    assert_eq!(changed(&|receipt| receipt.nonce[0] ^= 1), ReceiptFault::User);
    let other = UserId::parse("usr_SomebodyElse01").expect("an id");
    let against = ReceiptCheck { user: Some(other), ..ReceiptCheck::default() };
    assert_eq!(check_receipt(&text, &against), Err(ReceiptFault::User));
    let key = AuditKeys::from_keys([8; 32], &[8; 32], &[8; 32]).public_key();
    let against = ReceiptCheck { public_key: Some(key), ..ReceiptCheck::default() };
    assert_eq!(check_receipt(&text, &against), Err(ReceiptFault::OtherKey));
    let against = ReceiptCheck { public_key: Some(disk.public_key()), ..ReceiptCheck::default() };
    assert_eq!(check_receipt(&text, &against), Ok(receipt));
}

#[tokio::test]
async fn no_byte_of_a_receipt_can_be_changed_but_what_no_proof_covers() {
    let (_disk, text) = erased("test").await;
    // When it was erased, and until when backups are kept, are the server's word.
    let free = ["\"erased_at\":\"", "\"keyring_backup_until\":\""].map(|name| text.find(name).expect("a member"));
    for at in 0..text.len() {
        let is_free = free.iter().any(|start| (*start..start + 50).contains(&at));
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
        let changed = String::from_utf8(changed).expect("ASCII");
        let against = ReceiptCheck { user: Some(user()), ..ReceiptCheck::default() };
        assert!(is_free || check_receipt(&changed, &against).is_err(), "byte {at}: {changed}");
    }
}

#[tokio::test]
async fn a_saved_tree_head_shows_a_receipt_of_another_log() {
    let (disk, text) = erased("test").await;
    let saved = disk.audit.tree_head().expect("a head").line;
    let against = ReceiptCheck { tree_head: Some(&saved), ..ReceiptCheck::default() };
    assert!(check_receipt(&text, &against).is_ok());
    // A log that was written anew, with the same keys and other entries.
    let (other, forged) = erased("another test").await;
    let head = other.audit.tree_head().expect("a head");
    let against = ReceiptCheck { tree_head: Some(&head.line), ..ReceiptCheck::default() };
    assert!(check_receipt(&forged, &against).is_ok());
    assert_eq!(check_receipt(&text, &against), Err(ReceiptFault::Contradiction("tree_head_after")));
    assert_eq!(check_receipt(&text, &ReceiptCheck { tree_head: Some("{}"), ..against }), Err(ReceiptFault::GivenHead));
}
