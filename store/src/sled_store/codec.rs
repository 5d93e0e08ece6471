//! Compression of records. Contexts are reused, because creating one costs more than compressing a small record.

use std::io;

use parking_lot::Mutex;
use zstd::bulk::{Compressor, Decompressor};

use super::record::NOT_COMPRESSED;

/// Fast, and with a dictionary the result is nearly as small as with higher levels.
const LEVEL: i32 = 1;

/// Compresses with the newest dictionary and decompresses with any that was ever used. Shared by all threads.
pub(super) struct Codec {
    /// Newest last; never empty.
    dictionaries: Vec<Dictionary>,
    compressors: Mutex<Vec<Compressor<'static>>>,
}

struct Dictionary {
    id: u32,
    bytes: Vec<u8>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

impl Codec {
    /// Returns a codec. `dictionaries` are in the order of their age, newest last. Records without a dictionary can be
    /// read, too.
    pub(super) fn new(dictionaries: &[Vec<u8>]) -> Self {
        let none = Vec::new();
        let dictionaries = [&none].into_iter().chain(dictionaries).map(|bytes| Dictionary::new(bytes.clone()));
        Self { dictionaries: dictionaries.collect(), compressors: Mutex::default() }
    }

    fn newest(&self) -> &Dictionary {
        &self.dictionaries[self.dictionaries.len() - 1]
    }

    /// Returns the id of the dictionary that [`Self::compress`] uses; 0 if none.
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

    /// Decompresses to at most `bytes` bytes; `None` if the dictionary is unknown. It must be the one that compressed: with
    /// another one the result is wrong, and zstd does not always notice.
    pub(super) fn decompress(&self, compressed: &[u8], dictionary: u32, bytes: usize) -> Option<io::Result<Vec<u8>>> {
        let known = self.dictionaries.iter().find(|known| known.id == dictionary)?;
        Some(known.decompress(compressed, bytes))
    }
}

impl Dictionary {
    fn new(bytes: Vec<u8>) -> Self {
        let id = if bytes.is_empty() { 0 } else { crc32c::crc32c(&bytes).clamp(1, NOT_COMPRESSED - 1) };
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
