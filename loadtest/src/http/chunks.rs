//! Decodes the chunked transfer coding.

use anyhow::{Context, Result, bail};

/// Decodes the chunked transfer coding (RFC 9112, section 7.1) from pieces of any size.
#[derive(Default)]
pub(super) struct ChunkDecoder {
    state: ChunkState,
    size: usize,
    /// Whether the size of the last chunk was read.
    last: bool,
}

#[derive(Default)]
enum ChunkState {
    #[default]
    Size,
    Extension,
    Data,
    AfterData,
    Trailer {
        /// Number of bytes read of the current trailer line.
        length: usize,
    },
}

impl ChunkDecoder {
    /// Appends the data of a piece to `out`. Returns true at the end of the body.
    pub(super) fn take(&mut self, mut piece: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        while let Some((&byte, rest)) = piece.split_first() {
            match &mut self.state {
                ChunkState::Size | ChunkState::Extension if byte == b'\n' => {
                    self.last = self.size == 0;
                    self.state = if self.last { ChunkState::Trailer { length: 0 } } else { ChunkState::Data };
                }
                ChunkState::Size if byte.is_ascii_hexdigit() => {
                    let digit = char::from(byte).to_digit(16).unwrap_or_default() as usize;
                    self.size = self
                        .size
                        .checked_mul(16)
                        .and_then(|size| size.checked_add(digit))
                        .context("a chunk that is too large")?;
                }
                ChunkState::Size if matches!(byte, b'\r' | b';' | b' ') => self.state = ChunkState::Extension,
                ChunkState::Size => bail!("a chunk without a size"),
                ChunkState::Extension => {}
                ChunkState::Data => {
                    let count = self.size.min(piece.len());
                    out.extend_from_slice(&piece[..count]);
                    self.size -= count;
                    piece = &piece[count..];
                    if self.size == 0 {
                        self.state = ChunkState::AfterData;
                    }
                    continue;
                }
                ChunkState::AfterData if byte == b'\n' => self.state = ChunkState::Size,
                ChunkState::AfterData => {}
                ChunkState::Trailer { length: 0 } if byte == b'\n' => return Ok(true),
                ChunkState::Trailer { length } if byte == b'\n' => *length = 0,
                ChunkState::Trailer { length } => *length += usize::from(byte != b'\r'),
            }
            piece = rest;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_join_however_they_are_cut() {
        let coded = b"5\r\nhello\r\n1;name=value\r\n,\r\n00000B\r\n wide world\r\n0\r\nTrailer: x\r\n\r\n";
        for cut in 0..coded.len() {
            for step in [1, 3, coded.len()] {
                let (mut chunks, mut out, mut ended) = (ChunkDecoder::default(), Vec::new(), false);
                let (first, second) = coded.split_at(cut);
                for piece in first.chunks(step).chain(second.chunks(step)) {
                    assert!(!ended);
                    ended = chunks.take(piece, &mut out).expect("chunks");
                }
                assert_eq!((out.as_slice(), ended), (b"hello, wide world".as_slice(), true), "cut at {cut} by {step}");
            }
        }
    }

    #[test]
    fn a_chunk_without_a_size_is_refused() {
        assert!(ChunkDecoder::default().take(b"hello", &mut Vec::new()).is_err());
        assert!(ChunkDecoder::default().take(b"fffffffffffffffffffff\r\n", &mut Vec::new()).is_err());
    }
}
