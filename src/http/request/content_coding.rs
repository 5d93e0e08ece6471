//! Content codings of answers: which one a caller prefers, and how a document is encoded.

use std::io::Write;

use actix_web::http::header::{self, HeaderMap};
use actors::reading::ContentCoding;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::headers;

/// The level of gzip, of 0 to 9. All three levels take well below a millisecond for a usual profile.
const GZIP_LEVEL: u32 = 5;
/// The level of Zstandard, of 1 to 22.
const ZSTD_LEVEL: i32 = 3;
/// The quality of Brotli, of 0 to 11, and the binary logarithm of its window.
const BROTLI_QUALITY: i32 = 4;
const BROTLI_WINDOW: i32 = 18;

/// Returns the coding that `Accept-Encoding` prefers (RFC 9110, section 12.5.3); `None` if it is none, or none that is
/// served. Of codings of equal weight the first one of [`ContentCoding::ALL`] is chosen.
pub(crate) fn preferred(headers: &HeaderMap) -> Option<ContentCoding> {
    // Most services ask for no coding.
    headers.get(header::ACCEPT_ENCODING)?;
    let mut weights = [None; ContentCoding::ALL.len()];
    let (mut identity, mut others) = (None, None);
    for element in headers::elements(headers, &header::ACCEPT_ENCODING) {
        let mut parts = headers::parts(element, b';');
        let name = parts.next().unwrap_or_default();
        let weight = weight(parts.next());
        match ContentCoding::ALL.iter().position(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes())) {
            Some(place) => weights[place] = Some(weight),
            None if name.eq_ignore_ascii_case(b"identity") => identity = Some(weight),
            None if name == b"*" => others = Some(weight),
            None => {}
        }
    }
    let best = ContentCoding::ALL.into_iter().zip(weights).rev().fold((None, 0), |best, (coding, weight)| {
        let weight = weight.or(others).unwrap_or(0);
        if weight > 0 && weight >= best.1 { (Some(coding), weight) } else { best }
    });
    // A document without a coding is acceptable by default, but less than what is named.
    if identity.is_some_and(|identity| identity > best.1) { None } else { best.0 }
}

/// Returns a weight in thousandths. One that is malformed excludes the coding.
fn weight(parameter: Option<&[u8]>) -> u16 {
    let Some(parameter) = parameter else { return 1_000 };
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
    let value = value.and_then(|value| std::str::from_utf8(value).ok()?.parse::<f32>().ok());
    value.filter(|value| (0.0..=1.0).contains(value)).map_or(0, |value| (value * 1_000.0) as u16)
}

/// Encodes a document.
pub(crate) fn encode(document: &[u8], coding: ContentCoding) -> Bytes {
    let mut encoded = Vec::with_capacity(document.len() / 3);
    // Writing into a vector cannot fail; a document that could not be encoded would be sent empty, and not wrong.
    let _ = match coding {
        ContentCoding::Zstd => zstd::bulk::compress(document, ZSTD_LEVEL).map(|bytes| encoded = bytes),
        ContentCoding::Brotli => {
            let mut writer =
                brotli::CompressorWriter::new(&mut encoded, 4096, BROTLI_QUALITY as u32, BROTLI_WINDOW as u32);
            writer.write_all(document).and_then(|()| writer.flush())
        }
        ContentCoding::Gzip => {
            let mut writer = GzEncoder::new(&mut encoded, Compression::new(GZIP_LEVEL));
            writer.write_all(document).and_then(|()| writer.finish().map(drop))
        }
    };
    Bytes::from(encoded)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn the_coding_with_the_greatest_weight_is_chosen() {
        let chosen = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            preferred(&headers).map_or("identity", ContentCoding::name)
        };
        for (value, expected) in [
            ("gzip", "gzip"),
            ("gzip, deflate, br, zstd", "zstd"),
            ("gzip, deflate, br", "br"),
            ("GZIP;q=0.5, br;q=0.4", "gzip"),
            ("*", "zstd"),
            ("zstd;q=0, *", "br"),
            ("identity, gzip;q=0.5", "identity"),
            ("identity;q=0.5, gzip;q=0.5", "gzip"),
            ("gzip;q=0", "identity"),
            ("gzip;q=2, br;q=x", "identity"),
            ("deflate, compress", "identity"),
            ("", "identity"),
        ] {
            assert_eq!(chosen(value), expected, "{value}");
        }
        assert_eq!(preferred(&HeaderMap::new()), None);
    }

    #[test]
    fn an_encoded_document_decodes_to_itself() {
        for document in [b"".to_vec(), b"{}".to_vec(), br#"{"a":[1,2,3]}"#.repeat(5_000)] {
            let mut decoded = Vec::new();
            flate2::read::GzDecoder::new(&*encode(&document, ContentCoding::Gzip)).read_to_end(&mut decoded).unwrap();
            assert_eq!(decoded, document);
            decoded.clear();
            brotli::BrotliDecompress(&mut &*encode(&document, ContentCoding::Brotli), &mut decoded).unwrap();
            assert_eq!(decoded, document);
            assert_eq!(zstd::decode_all(&*encode(&document, ContentCoding::Zstd)).unwrap(), document);
        }
    }
}
