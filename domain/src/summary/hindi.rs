//! The template in Hindi.

use super::{Risk, SummaryFacts};
use crate::day::Day;

const MONTHS: [&str; 12] =
    ["जनवरी", "फ़रवरी", "मार्च", "अप्रैल", "मई", "जून", "जुलाई", "अगस्त", "सितंबर", "अक्टूबर", "नवंबर", "दिसंबर"];

/// Returns the sentences of a summary.
pub(super) fn sentences(facts: &SummaryFacts) -> Vec<String> {
    let schemes = facts.total_eligible.map(|count| match count {
        0 => "अभी किसी योजना के लिए पात्रता नहीं है".to_owned(),
        1 => "1 योजना के लिए पात्रता है".to_owned(),
        count => format!("{count} योजनाओं के लिए पात्रता है"),
    });
    let deadlines = facts.upcoming_deadlines.map(|count| match count {
        0 => "कोई समय-सीमा निकट नहीं है".to_owned(),
        1 => "1 समय-सीमा निकट है".to_owned(),
        count => format!("{count} समय-सीमाएँ निकट हैं"),
    });
    let counts: Vec<_> = schemes.into_iter().chain(deadlines).collect();
    let mut sentences = Vec::new();
    if !counts.is_empty() {
        sentences.push(format!("{}।", counts.join(" और ")));
    }
    if let Some((description, due)) = &facts.next_deadline {
        sentences.push(format!("अगली समय-सीमा “{description}” है, अंतिम तिथि {}।", date(*due)));
    }
    let completeness = facts.completeness.map(|pct| format!("प्रोफ़ाइल {pct} % पूरी है"));
    let risks = facts.raised_risks.as_ref().map(|risks| match &*risks.iter().copied().map(name).collect::<Vec<_>>() {
        [] => "कोई जोखिम बढ़ा हुआ नहीं है".to_owned(),
        [one] => format!("{one} का जोखिम बढ़ा हुआ है"),
        [first @ .., last] => format!("{} और {last} के जोखिम बढ़े हुए हैं", first.join(", ")),
    });
    let last: Vec<_> = completeness.into_iter().chain(risks).collect();
    if !last.is_empty() {
        sentences.push(format!("{}।", last.join(" और ")));
    }
    if sentences.is_empty() {
        sentences.push("इस प्रोफ़ाइल के बारे में कहने को कुछ नहीं है।".to_owned());
    }
    sentences
}

fn name(risk: Risk) -> &'static str {
    match risk {
        Risk::BenefitLapse => "लाभ बंद होने",
        Risk::DeadlineMiss => "समय-सीमा चूकने",
        Risk::DocumentExpiry => "दस्तावेज़ की अवधि समाप्त होने",
        Risk::TaxPenalty => "कर-दंड",
    }
}

fn date(day: Day) -> String {
    let date = day.to_date();
    let month = MONTHS[usize::from(date.month().unsigned_abs().clamp(1, 12)) - 1];
    format!("{} {month} {}", date.day(), date.year())
}
