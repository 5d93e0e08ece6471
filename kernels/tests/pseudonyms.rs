//! Compares pseudonyms with the crate `hmac`, in both ways to compute SHA-256.

use hmac::{Hmac, KeyInit, Mac};
use kernels::cpu::Hashing;
use kernels::{Backend, Cpu, KernelError, Pseudonym, PseudonymKey, Texts};

const HASHINGS: [Hashing; 2] = [Hashing::Lanes, Hashing::OneByOne];

fn expected(key: &[u8; 32], text: &[u8]) -> Pseudonym {
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(key).expect("any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[track_caller]
fn check(key: &[u8; 32], texts: &Texts<'_>) {
    let expected: Vec<Pseudonym> = (0..texts.rows()).map(|row| expected(key, texts.get(row))).collect();
    for hashing in HASHINGS {
        let given = Cpu::with_hashing(hashing).pseudonyms(&PseudonymKey::new(key), texts).expect("few rows");
        assert!(given == expected, "{hashing:?}, {} rows", texts.rows());
    }
}

#[test]
fn pseudonyms_are_hmacs_at_every_length() {
    let bytes: Vec<u8> = (0..60_000_u32).map(|byte| ((byte * 31) >> 3) as u8).collect();
    let mut starts = vec![0];
    for length in 0..300 {
        starts.push(starts[starts.len() - 1] + length);
    }
    check(&[0x5a; 32], &Texts::variable(&bytes, &starts).expect("ascending"));
    for width in [1, 36, 55, 56, 63, 64, 65, 119, 120, 250] {
        for rows in [1, 15, 16, 17, 1_025] {
            check(
                &[width as u8; 32],
                &Texts::fixed(&bytes[..(rows * width).min(60_000 / width * width)], width).expect("a multiple"),
            );
        }
    }
}

#[test]
fn a_known_pseudonym_is_the_one_of_the_standard() {
    // The key and the text of RFC 4231, test case 1, with the key filled up with zeros, which HMAC does, too.
    let mut key = [0; 32];
    key[..20].fill(0x0b);
    let texts = Texts::fixed(b"Hi There", 8).expect("one text");
    let hash: [u8; 4] = [0xb0, 0x34, 0x4c, 0x61];
    for hashing in HASHINGS {
        let given = Cpu::with_hashing(hashing).pseudonyms(&PseudonymKey::new(&key), &texts).expect("one row");
        assert_eq!(given[0][..4], hash);
    }
}

#[test]
fn no_text_has_no_pseudonym_and_an_empty_text_has_one() {
    check(&[1; 32], &Texts::variable(b"", &[]).expect("no text"));
    check(&[1; 32], &Texts::variable(b"abc", &[3]).expect("no text"));
    check(&[1; 32], &Texts::variable(b"abc", &[0, 0, 3, 3]).expect("three texts"));
    check(&[1; 32], &Texts::fixed(b"", 36).expect("no text"));
}

#[test]
fn texts_out_of_bounds_are_refused() {
    let refused = |starts: &[u32]| Texts::variable(b"abc", starts).map(|_| ()).expect_err("out of bounds");
    assert_eq!(refused(&[0, 4]), KernelError::TextBounds { row: 0, end: 4 });
    assert_eq!(refused(&[0, 2, 1]), KernelError::TextBounds { row: 1, end: 1 });
    assert!(Texts::fixed(b"abc", 2).is_err() && Texts::fixed(b"abc", 0).is_err());
}

#[test]
fn a_key_is_not_printed() {
    assert_eq!(format!("{:?}", PseudonymKey::new(&[0x41; 32])), "PseudonymKey");
}
