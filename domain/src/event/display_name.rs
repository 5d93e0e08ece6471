//! The rule for `identity.display_name`: a given name and an initial, never a full name.
//!
//! An initial is one of two things, followed by a full stop:
//!
//! - one letter with its marks, or one written syllable of an Indian script: `K.`, `कु.`, `ಕೆ.`, `श्री.`
//! - the name of a Latin letter spelled in an Indian script: `एस.` (S), `ஆர்.` (R), `ডব্লিউ.` (W). Only the spellings
//!   in [`LETTER_NAMES`] count, since a bound on the number of characters would let short surnames pass (`राव`, `দাস`).

use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';
/// The canonical combining class that Unicode gives every virama.
const VIRAMA: u8 = 9;
/// Maximum number of letters of a given name that is itself shortened: `Md.`, `Mohd.`, `मो.`
const SHORTENED_LETTERS: usize = 4;

/// Returns whether `text` is a given name plus an initial: `Rajesh K.`. Anything longer is treated as a full name,
/// which is class RED.
pub(crate) fn is_display_name(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(given, initial)| is_given(given) && is_initial(initial))
}

fn is_given(text: &str) -> bool {
    let shortened = without_full_stop(text);
    let name = shortened.unwrap_or(text);
    let letters = name.chars().filter(|c| is_letter(*c)).count();
    name.starts_with(is_letter)
        && (shortened.is_none() || letters <= SHORTENED_LETTERS)
        && joiners_are_in_place(name)
        && name.chars().all(|c| is_letter(c) || is_mark(c) || matches!(c, '\'' | '’' | '-'))
}

fn is_initial(text: &str) -> bool {
    without_full_stop(text)
        .is_some_and(|initial| joiners_are_in_place(initial) && (is_syllable(initial) || is_letter_name(initial)))
}

/// Returns the text before its full stop: the Latin one, that of Urdu, or the Devanagari abbreviation sign.
fn without_full_stop(text: &str) -> Option<&str> {
    text.strip_suffix(['.', '\u{6d4}', '\u{970}'])
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !is_combining_mark(c)
}

/// Returns whether `c` is a combining mark, or a joiner, whose position [`joiners_are_in_place`] checks.
fn is_mark(c: char) -> bool {
    is_combining_mark(c) || matches!(c, ZWNJ | ZWJ)
}

/// Returns whether every zero-width joiner and non-joiner stands where the spelling of a language needs it: after a
/// virama (UAX #31, section 2.3, A1 and B), before one (the Bengali ya-phala after ra), or between Arabic letters (A2).
fn joiners_are_in_place(text: &str) -> bool {
    let is_virama = |c: Option<char>| c.is_some_and(|c| canonical_combining_class(c) == VIRAMA);
    let is_arabic = |c: Option<char>| c.is_some_and(|c| is_letter(c) && matches!(c, '\u{600}'..='\u{6ff}'));
    text.char_indices().filter(|(_, c)| matches!(*c, ZWNJ | ZWJ)).all(|(at, joiner)| {
        let before = text[..at].chars().next_back();
        let after = text[at + joiner.len_utf8()..].chars().next();
        is_virama(before)
            || (joiner == ZWJ && before.is_some_and(is_letter) && is_virama(after))
            || (joiner == ZWNJ && is_arabic(before) && is_arabic(after))
    })
}

/// Returns whether the text is one letter that is not lower case, with its marks; in an Indian script also letters that
/// a virama joins to it.
fn is_syllable(text: &str) -> bool {
    let mut joined = true;
    text.chars().enumerate().all(|(index, c)| {
        let fits = if is_letter(c) { joined && !c.is_lowercase() } else { index > 0 && is_mark(c) };
        joined = canonical_combining_class(c) == VIRAMA || (joined && index > 0 && matches!(c, ZWNJ | ZWJ));
        fits
    }) && !text.is_empty()
}

/// The names of Latin letters in the Indian scripts, in the notation of [`sound`]: independent vowels are `A i u e o`,
/// vowel signs `1` (aa) to `5` (o), consonants their Latin counterparts. Letters whose names are one syllable (`ಕೆ`,
/// `बी`) are not listed.
const LETTER_NAMES: &[&str] = &[
    "ef", "e:p", "ep", // F
    "ec", "ecc", "eic", "h4c", // H
    "Ai", "Ay", // I
    "el", "em", "en",  // L M N
    "k2u", // Q
    "Ar", "es", "iu", // R S U
    "dbly3", "dbl3", "dbl2u", "d1bl2u", "db2ly3", "dp2ly3", "dp3ly3", // W
    "eks",    // X
    "v1i", "v1y", "oy", "oy1i", // Y
    "jd", "j4d", "icd", "isd", "is4d", "s4d", // Z
];

/// The names of Z in Tamil, whose one letter for t and d would let surnames pass as the other names: `ஷேட்`.
const TAMIL_Z: [&str; 3] = ["j4d", "icd", "isd"];

fn is_letter_name(text: &str) -> bool {
    let script = |c: char| c as u32 >> 7;
    let letters = || text.chars().filter(|c| !matches!(*c, ZWNJ | ZWJ));
    let Some(first) = letters().next() else { return false };
    let sounds: Option<String> = letters()
        .filter_map(|c| match (script(c) == script(first)).then(|| sound(c)) {
            Some(Some(Sound::Silent)) => None,
            Some(Some(Sound::Letter(sound))) => Some(Some(sound)),
            _ => Some(None),
        })
        .collect();
    sounds.is_some_and(|sounds| {
        let may_be_t = text.contains('\u{b9f}') && sounds.ends_with('d');
        if may_be_t { TAMIL_Z.contains(&&*sounds) } else { LETTER_NAMES.contains(&&*sounds) }
    })
}

/// The part of a letter's name that a character contributes.
enum Sound {
    /// A virama, nukta or addak: spellings with and without it are the same name.
    Silent,
    Letter(char),
}

/// Returns the sound of a character of the blocks from Devanagari to Malayalam. All these blocks have the same layout
/// (ISCII), so one table by the position in the block serves them all.
fn sound(c: char) -> Option<Sound> {
    let code = u32::from(c);
    if !(0x0900..=0x0d7f).contains(&code) {
        return None;
    }
    let letter = match code {
        0x0972 => 'e',          // Marathi candra a
        0x09f0 => 'r',          // Assamese ra
        0x09f1 | 0x0b71 => 'v', // Assamese wa, Odia wa
        0x0b9f => 'd',          // Tamil has one letter for t and d
        0x0d7a | 0x0d7b => 'n', // Malayalam chillus
        0x0d7c => 'r',
        0x0d7d | 0x0d7e => 'l',
        0x0a71 => return Some(Sound::Silent), // Gurmukhi addak
        _ => match code & 0x7f {
            0x3c | 0x4d => return Some(Sound::Silent),
            0x02 | 0x2e => 'm',
            0x03 => ':',
            0x06 => 'A',
            0x07 | 0x08 => 'i',
            0x09 | 0x0a => 'u',
            0x0d..=0x10 => 'e',
            0x11..=0x14 => 'o',
            0x15 => 'k',
            0x1a => 'c',
            0x1c | 0x1d => 'j',
            0x21 => 'd',
            0x23 | 0x28 | 0x29 => 'n',
            0x2a => 'p',
            0x2b => 'f',
            0x2c => 'b',
            0x2f | 0x5f => 'y',
            0x30 | 0x31 => 'r',
            0x32 | 0x33 => 'l',
            0x35 => 'v',
            0x36..=0x38 => 's',
            0x39 => 'h',
            0x3e => '1',
            0x3f | 0x40 => '2',
            0x41 | 0x42 => '3',
            0x45..=0x48 => '4',
            0x49..=0x4c => '5',
            _ => return None,
        },
    };
    Some(Sound::Letter(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], expected: bool) {
        for name in names {
            assert_eq!(is_display_name(name), expected, "{name} ({})", name.escape_unicode());
        }
    }

    #[test]
    fn a_display_name_is_a_given_name_and_an_initial() {
        check(&["Rajesh K.", "राजेश क.", "राजेश कु.", "D'Souza M.", "Anne-Marie É.", "Ümit Ö.", "محمد ک."], true);
        check(&["Md. K.", "Mohd. K.", "Sk. R.", "मो. के.", "राजेश के॰", "محمد ک۔"], true);
        check(&["", "Rajesh", "Rajesh K", "Rajesh Kumar", "Rajesh Kumar S.", "Rajesh k.", "R2D2 K.", " K."], false);
        check(&["Rajesh  K.", "Rajesh Ku.", "Rajesh. K.", "Md.. K.", "Md. Kumar", "Rajesh .", "Rajesh", "K."], false);
    }

    #[test]
    fn joiners_are_taken_where_the_spelling_needs_them() {
        check(
            &[
                "ರಾಜ್\u{200c}ಕುಮಾರ್ ಕೆ.",
                "రాజ్\u{200c}కుమార్ కె.",
                "പ്രവീണ്\u{200d} കെ.",
                "राज\u{94d}\u{200d}य के.",
                "র\u{200d}\u{9cd}যাচেল কে.",
                "علی\u{200c}رضا ک.",
            ],
            true,
        );
        check(&["Ra\u{200c}jesh K.", "Rajesh\u{200d} K.", "\u{200d}Rajesh K.", "ರಾ\u{200c}ಜ್ ಕೆ."], false);
        check(&["Rajesh \u{200d}K.", "Rajesh K\u{200d}.", "राजेश के\u{200c}."], false);
    }

    #[test]
    fn initials_spelled_as_letter_names_are_initials() {
        // F H I L M N Q R S U W X Y Z, as far as they have more than one syllable.
        let by_script = [
            "एफ एफ़ एच आई आय एल एम एन क्यू आर एस यू डब्ल्यू डब्लू एक्स वाई वाय जेड ज़ेड",
            "আৰ ৱাই ডাব্লিউ এফ এইচ আই এল এম এন কিউ আর এস ইউ ডব্লিউ এক্স ওয়াই জেড",
            "ਐਫ ਐਚ ਆਈ ਐਲ ਐਮ ਐਨ ਆਰ ਐੱਸ ਐਸ ਡਬਲਯੂ ਐਕਸ ਵਾਈ ਜ਼ੈੱਡ",
            "એફ એચ આઈ એલ એમ એન આર એસ ડબલ્યુ એક્સ વાય ઝેડ",
            "ଏଫ୍ ଏଚ୍ ଆଇ ଏଲ୍ ଏମ୍ ଏନ୍ ଆର୍ ଏସ୍ ଡବ୍ଲ୍ୟୁ ଏକ୍ସ ୱାଇ ଜେଡ୍",
            "எஃப் எப் எச் ஹெச் ஐ எல் எம் என் ஆர் எஸ் டபிள்யூ எக்ஸ் ஒய் இசட் இஸட் க்யூ",
            "ఎఫ్ హెచ్ ఎచ్ ఐ ఎల్ ఎమ్ ఎం ఎన్ ఆర్ ఎస్ డబ్ల్యూ ఎక్స్ వై జెడ్",
            "ಎಫ್ ಹೆಚ್ ಎಚ್ ಐ ಎಲ್ ಎಂ ಎಮ್ ಎನ್ ಆರ್ ಎಸ್ ಡಬ್ಲ್ಯೂ ಎಕ್ಸ್ ವೈ ಝಡ್ ಜೆಡ್",
            "എഫ് എച്ച് എച് ഐ എൽ എം എൻ ആർ എസ് ഡബ്ല്യു എക്സ് വൈ ഇസഡ് ഇസെഡ് സെഡ്",
        ];
        for initial in by_script.iter().flat_map(|names| names.split(' ')) {
            check(&[&format!("Rajesh {initial}.")], true);
            check(&[&format!("Rajesh {initial}")], false);
        }
        check(&["राजेश एस.", "ரவி ஆர்."], true);
    }

    #[test]
    fn full_names_are_refused_in_every_script() {
        let surnames = "राव दास सेन शर्मा ओझा आर्य वर्मा राम एसके দাস সেন রায় ਸਿੰਘ પટેલ ଦାସ ராவ் குமார் రావు నాయుడు ರಾವ್ ഗൗഡ നായർ";
        for surname in surnames.split(' ') {
            check(&[&format!("Rajesh {surname}."), &format!("Rajesh {surname}")], false);
        }
        for name in ["राजेश शेट.", "राजेश जट.", "ರಾಜೇಶ್ ಶೇಟ್.", "ராஜ் ஷேட்.", "ராஜ் ஜட்.", "ਗੁਰਪ੍ਰੀਤ ਜੱਟ."]
        {
            check(&[name], false);
        }
        // Letters of two scripts are not a name.
        check(&["Rajesh एস."], false);
    }
}
