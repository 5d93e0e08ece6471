//! Fields at fixed offsets of a byte buffer. Numbers are little-endian.
//!
//! The offsets are constants of the stored formats, and callers check the buffer's length first: a field beyond the end of
//! the buffer is a bug, and panics.

/// Returns the `N` bytes at offset `at`.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// Writes `field` at offset `at`.
pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// Writes the CRC-32C of all bytes before offset `at` there.
pub(crate) fn put_crc(bytes: &mut [u8], at: usize) {
    let crc = crc32c::crc32c(&bytes[..at]);
    put(bytes, at, &crc.to_le_bytes());
}

/// Returns whether the checksum at offset `at` is the one that [`put_crc`] wrote, and nothing before it has changed
/// since.
pub(crate) fn crc_matches(bytes: &[u8], at: usize) -> bool {
    crc32c::crc32c(&bytes[..at]) == u32_at(bytes, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back_and_the_checksum_covers_all_before_it() {
        let mut bytes = [0; 20];
        put(&mut bytes, 0, &0x0102_u16.to_le_bytes());
        put(&mut bytes, 2, &7_u32.to_le_bytes());
        put(&mut bytes, 6, &u64::MAX.to_le_bytes());
        put_crc(&mut bytes, 16);
        assert_eq!((u16_at(&bytes, 0), u32_at(&bytes, 2), u64_at(&bytes, 6)), (0x0102, 7, u64::MAX));
        assert_eq!(array_at(&bytes, 0), [2, 1]);
        assert!(crc_matches(&bytes, 16));
        bytes[15] ^= 1;
        assert!(!crc_matches(&bytes, 16));
    }
}
