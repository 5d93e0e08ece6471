//! HMAC-SHA-256 of many short texts.

use super::lanes::{self, LANES, Words};
use crate::{Pseudonym, PseudonymKey, Texts};
use rayon::prelude::*;

/// Texts that a thread takes at once; a multiple of [`LANES`].
const TEXTS_PER_TASK: usize = 1_024;

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// How SHA-256 is computed. The results are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashing {
    /// 16 messages at once, with the vector instructions of the processor.
    Lanes,
    /// One message after the other, with the crate `sha2`: that is, with the processor's SHA instructions if it has them.
    OneByOne,
}

impl Hashing {
    /// Returns what is faster on this processor. Registers of 512 bits beat SHA instructions, which beat registers of 256.
    #[must_use]
    pub fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let has_sha = std::arch::is_x86_feature_detected!("sha");
            let has_wide_lanes =
                std::arch::is_x86_feature_detected!("avx512vl") && std::arch::is_x86_feature_detected!("avx512bw");
            if has_wide_lanes || (std::arch::is_x86_feature_detected!("avx2") && !has_sha) {
                return Self::Lanes;
            }
        }
        Self::OneByOne
    }
}

/// Computes [`Backend::pseudonyms`](crate::Backend::pseudonyms).
pub(super) fn pseudonyms(hashing: Hashing, key: &PseudonymKey, texts: &Texts<'_>) -> Vec<Pseudonym> {
    let mut out = vec![[0; 32]; texts.rows()];
    out.par_chunks_mut(TEXTS_PER_TASK).enumerate().for_each(|(task, out)| {
        let first = task * TEXTS_PER_TASK;
        match hashing {
            Hashing::Lanes => many(key, texts, first, out),
            Hashing::OneByOne => (first..).zip(out).for_each(|(row, out)| *out = one(key, texts.get(row))),
        }
    });
    out
}

/// Computes pseudonyms in lanes, where as many neighbours as lanes have the same number of blocks.
fn many(key: &PseudonymKey, texts: &Texts<'_>, first: usize, out: &mut [Pseudonym]) {
    for (number, out) in out.chunks_mut(LANES).enumerate() {
        let first = first + number * LANES;
        let blocks = blocks_of(texts.get(first));
        let is_even = out.len() == LANES && (first..first + LANES).all(|row| blocks_of(texts.get(row)) == blocks);
        if is_even {
            lanes_of(key, texts, first, blocks, out);
        } else {
            (first..).zip(out).for_each(|(row, out)| *out = one(key, texts.get(row)));
        }
    }
}

fn lanes_of(key: &PseudonymKey, texts: &Texts<'_>, first: usize, blocks: usize, out: &mut [Pseudonym]) {
    let mut state = key.inner().map(|word| [word; LANES]);
    for number in 0..blocks {
        let mut block = [[0; LANES]; 16];
        for lane in 0..LANES {
            fill_lane(&mut block, lane, texts.get(first + lane), number, blocks);
        }
        lanes::compress(&mut state, &mut block);
    }
    let mut block = [[0; LANES]; 16];
    block[..8].copy_from_slice(&state);
    block[8] = [0x8000_0000; LANES];
    block[15] = [OUTER_BITS; LANES];
    let mut state = key.outer().map(|word| [word; LANES]);
    lanes::compress(&mut state, &mut block);
    for (lane, out) in out.iter_mut().enumerate() {
        *out = to_bytes(&state.map(|words| words[lane]));
    }
}

/// Bits of the outer message: the key's block and the inner hash.
const OUTER_BITS: u32 = (64 + 32) * 8;

/// Writes a block of the padded text into a lane of zeros.
fn fill_lane(block: &mut [Words; 16], lane: usize, text: &[u8], number: usize, blocks: usize) {
    let rest = text.get(number * BLOCK..).unwrap_or_default();
    let rest = &rest[..rest.len().min(BLOCK)];
    let (words, tail) = rest.as_chunks::<4>();
    for (place, word) in block.iter_mut().zip(words) {
        place[lane] = u32::from_be_bytes(*word);
    }
    if rest.len() < BLOCK && number * BLOCK <= text.len() {
        let bytes = tail.iter().chain(&[0x80]).zip([24, 16, 8, 0]);
        block[words.len()][lane] = bytes.fold(0, |word, (&byte, shift)| word | (u32::from(byte) << shift));
    }
    if number + 1 == blocks {
        let bits = bits_of(text);
        block[14][lane] = (bits >> 32) as u32;
        block[15][lane] = bits as u32;
    }
}

/// Returns the length of the inner message in bits: the block of the key counts, too.
fn bits_of(text: &[u8]) -> u64 {
    (text.len() + BLOCK) as u64 * 8
}

/// Computes one pseudonym.
fn one(key: &PseudonymKey, text: &[u8]) -> Pseudonym {
    let blocks = blocks_of(text);
    let mut state = *key.inner();
    let (whole, _) = text.as_chunks::<BLOCK>();
    sha2::block_api::compress256(&mut state, whole);
    for number in whole.len()..blocks {
        sha2::block_api::compress256(&mut state, &[padded_block(text, number, blocks)]);
    }
    let mut block = [0; BLOCK];
    block[..32].copy_from_slice(&to_bytes(&state));
    block[32] = 0x80;
    block[60..].copy_from_slice(&OUTER_BITS.to_be_bytes());
    let mut state = *key.outer();
    sha2::block_api::compress256(&mut state, &[block]);
    to_bytes(&state)
}

/// Returns how many blocks a text has with its end: a byte 0x80 and its length of 8 bytes.
fn blocks_of(text: &[u8]) -> usize {
    (text.len() + 8) / BLOCK + 1
}

/// Returns a block of the padded text (FIPS 180-4, 5.1.1).
fn padded_block(text: &[u8], number: usize, blocks: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let rest = text.get(number * BLOCK..).unwrap_or_default();
    let length = rest.len().min(BLOCK);
    block[..length].copy_from_slice(&rest[..length]);
    if length < BLOCK && number * BLOCK <= text.len() {
        block[length] = 0x80;
    }
    if number + 1 == blocks {
        block[56..].copy_from_slice(&bits_of(text).to_be_bytes());
    }
    block
}

fn to_bytes(state: &[u32; 8]) -> Pseudonym {
    let mut bytes = [0; 32];
    for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *place = word.to_be_bytes();
    }
    bytes
}
