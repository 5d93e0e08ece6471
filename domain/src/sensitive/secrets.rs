//! What only logs hide: e-mail addresses, tokens, keys, and ids of users.

use std::ops::Range;

use super::{SensitiveKind, steps};

/// Finds all of them. Each part looks at every byte a fixed number of times.
pub(super) fn find(text: &str, mut found: impl FnMut(SensitiveKind, Range<usize>)) {
    emails(text, |range| found(SensitiveKind::Email, range));
    tokens(text.as_bytes(), |range| found(SensitiveKind::Jwt, range));
    keys(text.as_bytes(), |range| found(SensitiveKind::Key, range));
    pem_blocks(text, |range| found(SensitiveKind::Key, range));
    user_ids(text, |range| found(SensitiveKind::UserId, range));
}

/// Calls `visit` with each longest run of bytes that satisfy `allowed`.
fn runs(bytes: &[u8], allowed: impl Fn(u8) -> bool, mut visit: impl FnMut(Range<usize>)) {
    let mut start = None;
    for (at, byte) in bytes.iter().enumerate() {
        steps::count(1);
        match (allowed(*byte), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                visit(from..at);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        visit(from..bytes.len());
    }
}

fn emails(text: &str, mut found: impl FnMut(Range<usize>)) {
    for (at, _) in text.match_indices('@') {
        // Neither side reaches beyond the next `@`.
        let local = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
        let before = text[..at].chars().rev().take_while(|c| local(*c)).map(char::len_utf8).sum::<usize>();
        let host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
        let after = text[at + 1..].chars().take_while(|c| host(*c)).map(char::len_utf8).sum::<usize>();
        steps::count(before + after);
        let name = text[at + 1..at + 1 + after].trim_end_matches(['.', '-']);
        let has_domain = name.rfind('.').is_some_and(|dot| dot > 0 && name.len() - dot > 2);
        if before > 0 && has_domain {
            found(at - before..at + 1 + name.len());
        }
    }
}

/// Finds JSON Web Tokens: base64url parts with dots between, the first of which is an object.
fn tokens(bytes: &[u8], mut found: impl FnMut(Range<usize>)) {
    /// Parts of an encrypted token; a signed one has three.
    const MAX_PARTS: usize = 5;
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut end_of = |parts: &mut Vec<Range<usize>>| {
        if parts.len() > 1 {
            for (index, part) in parts.iter().enumerate() {
                let Some(start) = start_of_object(bytes, part) else { continue };
                let rest = &parts[index..];
                if rest.len() > 1 {
                    let last = &rest[rest.len().min(MAX_PARTS) - 1];
                    // A token without a signature ends with a dot.
                    let dot = usize::from(rest.len() == 2 && bytes.get(last.end) == Some(&b'.'));
                    found(start..last.end + dot);
                }
            }
        }
        parts.clear();
    };
    runs(
        bytes,
        |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
        |run| {
            if parts.last().is_some_and(|last| last.end + 1 != run.start || bytes[last.end] != b'.') {
                end_of(&mut parts);
            }
            parts.push(run);
        },
    );
    end_of(&mut parts);
}

/// Returns where in the part an encoded JSON object begins, at the start of a word.
fn start_of_object(bytes: &[u8], part: &Range<usize>) -> Option<usize> {
    steps::count(part.len());
    let starts_word = |at: usize| at == part.start || matches!(bytes[at - 1], b'-' | b'_');
    (part.start..part.end).find(|at| starts_word(*at) && bytes[*at..part.end].starts_with(b"eyJ"))
}

/// Finds keys: 32 bytes or more in hex or in base64.
fn keys(bytes: &[u8], mut found: impl FnMut(Range<usize>)) {
    runs(
        bytes,
        |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'),
        |run| {
            let padding = bytes[run.end..].iter().take(2).take_while(|byte| **byte == b'=').count();
            if run.len() >= 43 && padding > 0 {
                found(run.start..run.end + padding);
            } else {
                runs(
                    &bytes[run.clone()],
                    |byte| byte.is_ascii_hexdigit(),
                    |hex| {
                        if hex.len() >= 64 {
                            found(run.start + hex.start..run.start + hex.end);
                        }
                    },
                );
            }
        },
    );
}

/// Finds PEM blocks. A block without an end continues to the end of the text.
fn pem_blocks(text: &str, mut found: impl FnMut(Range<usize>)) {
    const MAX_AFTER: usize = 64;
    let mut from = 0;
    while let Some(start) = text[from..].find("-----BEGIN ").map(|at| from + at) {
        let end = text[start..].find("-----END").map_or(text.len(), |at| {
            let mut end = text.len().min(start + at + MAX_AFTER);
            while !text.is_char_boundary(end) {
                end += 1;
            }
            end
        });
        steps::count(end - from);
        found(start..end);
        from = end;
    }
    steps::count(text.len() - from);
}

/// Finds `^usr_[A-Za-z0-9]{12,32}$` anywhere in the text.
fn user_ids(text: &str, mut found: impl FnMut(Range<usize>)) {
    for (start, prefix) in text.match_indices("usr_") {
        let tail = text[start + prefix.len()..].bytes().take_while(u8::is_ascii_alphanumeric).count();
        steps::count(tail);
        if (12..=32).contains(&tail) {
            found(start..start + prefix.len() + tail);
        }
    }
}
