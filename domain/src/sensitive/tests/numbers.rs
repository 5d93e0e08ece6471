//! Numbers of persons in free text and in ids.

use super::super::*;

/// Free text that is refused.
pub(super) const REFUSED: &[&str] = &[
    "234123412346",
    "Aadhaar 2341 2341 2346.",
    "Aadhaar234123412346",
    "2341-2341-2346",
    "2341 – 2341  2346 and more",
    "23 41 23 41 23 46",
    "23-41-23-41-23-46",
    "in 2026 234123412346",
    "234123412346 2026",
    // Digits of other scripts: Devanagari, Extended Arabic-Indic, Arabic-Indic, Ol Chiki, Meetei Mayek, Chakma, full-width.
    "२३४१ २३४१ २३४६",
    "۲۳۴۱ ۲۳۴۱ ۲۳۴۶",
    "٢٣٤١ ٢٣٤١ ٢٣٤٦",
    "᱒᱓᱔᱑ ᱒᱓᱔᱑ ᱒᱓᱔᱖",
    "꯲꯳꯴꯱ ꯲꯳꯴꯱ ꯲꯳꯴꯶",
    "\u{11138}\u{11139}\u{1113a}\u{11137} \u{11138}\u{11139}\u{1113a}\u{11137} \u{11138}\u{11139}\u{1113a}\u{1113c}",
    "２３４１　２３４１　２３４６",
    "②③④①②③④①②③④⑥",
    "২৩৪১ 2341 २३४६",
    // Other separators, and what nobody sees.
    "2341.2341.2346",
    "2341:2341:2346",
    "2341/2341/2346",
    "2341_2341_2346",
    "2341 · 2341 · 2346",
    "2341\u{ad}2341\u{ad}2346",
    "2341\u{2060}2341\u{2060}2346",
    "2341\u{feff}2341\u{feff}2346",
    "2341\u{200e}2341\u{200e}2346",
    "2341\u{200b}2341\u{200b}2346",
    "2\u{200d}3\u{200d}4\u{200d}1 2341 2346",
    "2\u{fe0f}\u{20e3}3\u{fe0f}\u{20e3}4\u{fe0f}\u{20e3}123412346",
    "2341\u{a0}2341\u{3000}2346",
    // As Rust and JSON escape what is invisible.
    r"2341\u{200b}2341\u{200b}2346",
    r"2341\u200b2341\u200B2346",
    r"98765\t43210",
    r"\u096f\u096e\u096d\u096c\u096b 43210",
    "2341\u{202f}2341\u{2009}2346",
    // Behind the number of a help line.
    "Rs 1800 2341 2341 2346",
    "1860 234123412346",
    "1800 9876543210",
    "1800-11-0001 / 98765 43210",
    "1800-11-0001, 987-654-3210",
    // Marks that lists and queries have.
    "2341,2341,2346",
    "2341;2341;2346",
    "2341*2341*2346",
    "2341#2341#2346",
    "2341=2341=2346",
    "2341+2341+2346",
    "98765,43210",
    "/call?n=98765+43210&x=1",
    "/pan?n=ABCPE+1234+F",
    // As URIs escape text, in ASCII and beyond, and a percent sign that begins no escape.
    "2341%202341%202346",
    "%32%33%34%31 2341 2346",
    "2341%E2%80%892341%c2%ad2346",
    "%E0%A5%A8%E0%A5%A9%E0%A5%AA%E0%A5%A723412346",
    "ABCPE%31234F",
    "5%234123412346",
    "5%9876543210",
    // A character above U+FFFF as JSON escapes it, once and twice.
    r"\ud835\udfd0341 2341 2346",
    r"\\uD835\\uDFD0341 2341 2346",
    // A backslash before an escape, which Rust writes so.
    r"5\\\u{ad}9876543210",
    r"ABCPE1234\\  F",
    // PANs.
    "pan ABCPE1234F",
    "abcpe1234f",
    "pan_is:ABCPE1234F/",
    "ABCPE 1234 F",
    "ABCPE-1234-F",
    "ABCPE 1234F",
    "ABCPE1234 F",
    "ＡＢＣＰＥ１２３４Ｆ",
    "ABCPE१२३४F",
    "ABC\u{200b}PE1234F",
    "GSTIN 29ABCPE1234F1Z5",
    // Mobile numbers.
    "call 98765 43210",
    "9876543210",
    "+91-9876543210",
    "+91 98765 43210",
    "+91 (98765) 43210",
    "(+91) 98765-43210",
    "+91.98765.43210",
    "98765.43210",
    "98765/43210",
    "987-654-3210",
    "98 76 54 32 10",
    "98-76-54-32-10",
    "9 8 7 6 5 4 3 2 1 0",
    "9-8-7-6-5-4-3-2-1-0",
    "+91 98 76 54 32 10",
    "09876543210",
    "0 98765 43210",
    "919876543210",
    "0091 98765 43210",
    "+91 (0) 98765 43210",
    "९८७६५ ४३२१०",
    // Landline numbers, by their prefix.
    "011-23456789",
    "(022) 2345 6789",
    "0422-2345678",
    "+91 11 2345 6789",
];

/// Free text that is taken.
const TAKEN: &[&str] = &[
    "",
    "ITR filing deadline",
    "234123412347",
    "2341234123461",
    "1700000000",
    "Rs 6000 2026-07-31",
    "Rs. 6,000.00 on 31/07/2026",
    "between 31.07.2026 and 31.08.2026",
    "₹1,23,456.78 a year",
    "2026-01-15 1234",
    "2026-01-15 10:30",
    "21/01/2026 10:30:00",
    "2026-01-15T10:30:00.123456Z",
    "years 2024-2025-2026 and 2025/26",
    "ABCDE1234F",
    "ABCPE12345",
    "XABCPE1234F",
    "since 2019 a scheme",
    "table 2019b",
    "2026-2027 return, section 80C",
    "form 16 of 2025, 10 pages, 5000 rupees",
    "5876543210",
    "help line 1800-123-4567",
    "1800 180 1551",
    "1800-11-0001 or 1860 266 2345",
    "1800-890-1222-333",
    "dial 112, 1098 or 155261",
    "version 10.20.30.40 of 192.168.1.1:8080",
    "pincode 560001, ward 12/34",
    r"a\u{zz} \u12 \u{ \",
    "PM-KISAN instalment 17 of 2026-27",
    "BATCH 2025 A",
    "STATE-1999-A",
    "MARCH2026 B",
    "batch2025a",
    "Batch2025A",
    "return 2025-2026-0003 and 2025-2026-0009",
    "712345/2026",
    "682001 2026",
    "File 612345/2026-27",
    "Bill 6001/202526",
    "Bill 6001/202601",
    "5000, 6000, 7502 rupees",
    "5000 + 6000 + 7502",
    "60000, 90000",
    "60000 + 90000",
    "7.6.5.4.3.2.1.0.9.8",
    "98/76/54/32/10",
    "98:76:54:32:10",
    r"\ud835 \udfd0 100% 7%zz",
];

/// Ids that are refused.
const REFUSED_IDS: &[&str] = &[
    "234123412346",
    "dl-2341-2341-2346",
    "uid234123412346",
    "tok_234123412346",
    "9876543210",
    "dl_9876543210",
    "dl:98765-43210",
    "09876543210",
    "919876543210",
    "+91 98765 43210",
    "ABCPE1234F",
    "scheme.ABCPE1234F.2026",
];

/// Ids that are taken.
const TAKEN_IDS: &[&str] = &[
    "pm_kisan",
    "2026-000123",
    "202601210003",
    "dl-20260121-0003",
    "evt-2026-0121-0003",
    "itr-2025-2026-0009",
    "202520260009",
    "BATCH-2025-A",
    "STATE_2025_A",
    "MARCH-2026-B",
    "BATCH-0012-A",
    "batch2025a",
    "91-76-54-32-10",
    "9198-7654-3210",
    "evt-1767225600123456",
    "1767225600123",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "0198f0c2-7b1e-7cc3-98c4-234123412346",
    "550e8400-e29b-41d4-a716-446655440000",
    "a9876543210b",
    "3f9876543210",
    "9876543210ab",
    "9b74c9897bac770ffc029102a200c5de",
    "urn:engines:deadlines",
    "tok_aZ19-_x",
];

#[test]
fn numbers_are_found_however_they_are_written() {
    for text in REFUSED {
        assert!(in_text(text), "{text}");
    }
}

#[test]
fn other_text_is_left_alone() {
    for text in TAKEN {
        assert!(!in_text(text), "{text}: {:?}", find(text));
    }
}

/// Without the rules for dates and years these ids would be refused as Aadhaar numbers.
#[test]
fn ids_of_dates_and_counts_have_a_check_digit() {
    for id in ["202601210003", "202520260009"] {
        let digits: Vec<u8> = id.bytes().map(|byte| byte - b'0').collect();
        assert!(verhoeff::holds(&digits), "{id}");
        assert!(TAKEN_IDS.contains(&id), "{id}");
    }
    assert!(in_text("202601210003"), "the rule for dates is for ids alone");
}

#[test]
fn ids_are_searched_for_numbers_that_stand_alone() {
    for id in REFUSED_IDS {
        assert!(in_id(id), "{id}");
        assert!(in_text(id), "{id}: what an id must not hold, text must not hold either");
    }
    for id in TAKEN_IDS {
        assert!(!in_id(id), "{id}: {:?}", find(id));
    }
}

#[test]
fn an_aadhaar_number_is_found_with_every_separator_and_in_every_script() {
    let separators = " \t\n-.:/_\\|~()·•\u{a0}\u{1680}\u{2000}\u{2003}\u{2007}\u{200a}\u{202f}\u{205f}\u{3000}\u{ad}\u{61c}\u{180e}\
        \u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{202a}\u{2060}\u{2066}\u{feff}\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}";
    for separator in separators.chars() {
        for number in ["2341*2341*2346", "98765*43210"] {
            let text = number.replace('*', &separator.to_string());
            assert!(in_text(&text), "{:?}", text);
            let text = number.replace('*', &format!(" {separator} "));
            assert!(in_text(&text), "{:?}", text);
        }
    }
    let digits = (0..0x11_0000).filter_map(char::from_u32).filter(|c| digits::digit(*c) == Some(0)).collect::<Vec<_>>();
    assert!(digits.len() > 70);
    for zero in digits {
        let written = |text: &str| {
            let of_script = |c: char| match c.to_digit(10) {
                Some(digit) => char::from_u32(zero as u32 + digit).expect("the script's own digit"),
                None => c,
            };
            text.chars().map(of_script).collect::<String>()
        };
        for number in ["2341 2341 2346", "98765 43210"] {
            assert!(in_text(&written(number)), "{}", written(number));
        }
    }
}
