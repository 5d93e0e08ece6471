//! Compression of states and history, with contexts that are used again: making one costs more than a small record.

use std::io;

use parking_lot::Mutex;
use zstd::bulk::{Compressor, Decompressor};

/// Fast, and with a dictionary nearly as small as the higher levels.
const LEVEL: i32 = 1;

/// Compresses and decompresses, on any thread.
pub(super) struct Codec {
    dictionary: Vec<u8>,
    compressors: Mutex<Vec<Compressor<'static>>>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

impl Codec {
    pub(super) fn new(dictionary: Option<Vec<u8>>) -> Self {
        let dictionary = dictionary.unwrap_or_default();
        Self { dictionary, compressors: Mutex::default(), decompressors: Mutex::default() }
    }

    /// Tells dictionaries apart; 0 = none. Bytes that were compressed with another one do not decompress to what they
    /// were, and zstd does not always notice.
    pub(super) fn dictionary_id(&self) -> u32 {
        if self.dictionary.is_empty() { 0 } else { crc32c::crc32c(&self.dictionary).max(1) }
    }

    pub(super) fn compress(&self, body: &[u8]) -> io::Result<Vec<u8>> {
        let idle = self.compressors.lock().pop();
        let mut context = match idle {
            Some(context) => context,
            None => Compressor::with_dictionary(LEVEL, &self.dictionary)?,
        };
        let compressed = context.compress(body);
        self.compressors.lock().push(context);
        compressed
    }

    /// Decompresses at most `bytes` bytes.
    pub(super) fn decompress(&self, compressed: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
        let idle = self.decompressors.lock().pop();
        let mut context = match idle {
            Some(context) => context,
            None => Decompressor::with_dictionary(&self.dictionary)?,
        };
        let body = context.decompress(compressed, bytes);
        self.decompressors.lock().push(context);
        body
    }
}
