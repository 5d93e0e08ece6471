//! The work grows with the length of the text, and no faster.

use super::super::*;

/// What made the searches of earlier releases slow, or might make one slow.
const REPEATED: &[&str] = &[
    "a.",
    "a@",
    "a",
    "a-",
    "@",
    "eyJ-",
    "eyJ.",
    "eyJa",
    "usr_",
    "usr_abcdefghijkl",
    "-----BEGIN ",
    "BEGIN ",
    "-----END",
    "-",
    "0123456789abcdef",
    "AAAA+/",
    "1",
    "1 ",
    "12-",
    "1800 ",
    "9876 ",
    "+91 ",
    "98765 43210 ",
    "ABCPE 1234 F ",
    "A ",
    "\u{200b}",
    r"\u{",
    r"1\u{ad}",
    "\\",
    "%20",
    "%E0%A5%A8",
    "%",
    r"\ud835\udfd0",
    "98765,",
    "9+",
    "1\u{ad}",
    "e\u{301}",
    "\u{fdfa}",
    "क",
    "२ ",
];

#[test]
fn four_times_the_text_is_four_times_the_work() {
    for part in REPEATED {
        let steps = |bytes: usize| {
            let text = part.repeat(bytes / part.len());
            steps::of(|| {
                let _ = find(&text);
                let _ = in_text(&text);
            })
        };
        let (short, long) = (steps(8 * 1024), steps(32 * 1024));
        assert!(long <= short * 4 + short / 4, "{part:?}: {short} steps become {long}");
        assert!(long < 32 * 1024 * 64, "{part:?}: {long} steps for 32 KiB");
    }
}

#[test]
fn four_mebibytes_end() {
    for part in ["a.a", "usr_a@eyJ-", "1 2\u{ad}-", "ABCPE 1234 "] {
        let text = part.repeat(4 * 1024 * 1024 / part.len());
        let spans = find(&text);
        assert!(spans.len() <= text.len());
    }
}
