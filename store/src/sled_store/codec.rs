//! Compression of states and history, with contexts that are used again: making one costs more than a small record.

use std::io;

use parking_lot::Mutex;
use zstd::bulk::{Compressor, Decompressor};

/// Fast, and with a dictionary nearly as small as the higher levels.
const LEVEL: i32 = 1;

/// Compresses with the newest dictionary, and decompresses with any that was ever used; on any thread.
pub(super) struct Codec {
    /// By id, newest last; never empty.
    dictionaries: Vec<Dictionary>,
    compressors: Mutex<Vec<Compressor<'static>>>,
}

struct Dictionary {
    id: u32,
    bytes: Vec<u8>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

impl Codec {
    /// `dictionaries` come newest last. What was compressed without one can be read, too.
    pub(super) fn new(dictionaries: &[Vec<u8>]) -> Self {
        let none = Vec::new();
        let dictionaries = [&none].into_iter().chain(dictionaries).map(|bytes| Dictionary::new(bytes.clone()));
        Self { dictionaries: dictionaries.collect(), compressors: Mutex::default() }
    }

    fn newest(&self) -> &Dictionary {
        &self.dictionaries[self.dictionaries.len() - 1]
    }

    /// What names the dictionary that [`Self::compress`] uses; 0 = none.
    pub(super) fn dictionary_id(&self) -> u32 {
        self.newest().id
    }

    pub(super) fn compress(&self, body: &[u8]) -> io::Result<Vec<u8>> {
        let idle = self.compressors.lock().pop();
        let mut context = match idle {
            Some(context) => context,
            None => Compressor::with_dictionary(LEVEL, &self.newest().bytes)?,
        };
        let compressed = context.compress(body);
        self.compressors.lock().push(context);
        compressed
    }

    /// Decompresses at most `bytes` bytes; `None` where the dictionary is not known. Bytes that were compressed with
    /// another one do not decompress to what they were, and zstd does not always notice.
    pub(super) fn decompress(&self, compressed: &[u8], dictionary: u32, bytes: usize) -> Option<io::Result<Vec<u8>>> {
        let known = self.dictionaries.iter().find(|known| known.id == dictionary)?;
        Some(known.decompress(compressed, bytes))
    }
}

impl Dictionary {
    fn new(bytes: Vec<u8>) -> Self {
        let id = if bytes.is_empty() { 0 } else { crc32c::crc32c(&bytes).max(1) };
        Self { id, bytes, decompressors: Mutex::default() }
    }

    fn decompress(&self, compressed: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
        let idle = self.decompressors.lock().pop();
        let mut context = match idle {
            Some(context) => context,
            None => Decompressor::with_dictionary(&self.bytes)?,
        };
        let body = context.decompress(compressed, bytes);
        self.decompressors.lock().push(context);
        body
    }
}
