use super::*;
use crate::profile::Section;

fn full() -> SummaryFacts {
    SummaryFacts {
        total_eligible: Some(5),
        upcoming_deadlines: Some(3),
        next_deadline: Some(("Link PAN".to_owned(), Day::parse("2026-03-31").expect("a day"))),
        completeness: Some(93),
        raised_risks: Some(vec![Risk::BenefitLapse, Risk::DeadlineMiss, Risk::TaxPenalty]),
    }
}

fn nothing() -> SummaryFacts {
    let (total_eligible, upcoming_deadlines, next_deadline) = (None, None, None);
    SummaryFacts { total_eligible, upcoming_deadlines, next_deadline, completeness: None, raised_risks: None }
}

#[test]
fn a_summary_has_at_most_three_sentences_with_all_facts() {
    let english = full().text(SummaryLanguage::English);
    assert_eq!(
        english,
        "The profile has 5 eligible schemes and 3 upcoming deadlines. Next is “Link PAN”, due on 31 March 2026. The \
         profile is 93 % complete, and the risks of a lapsing benefit, a missed deadline and a tax penalty are raised."
    );
    let hindi = full().text(SummaryLanguage::Hindi);
    assert_eq!(
        hindi,
        "5 योजनाओं के लिए पात्रता है और 3 समय-सीमाएँ निकट हैं। अगली समय-सीमा “Link PAN” है, अंतिम तिथि 31 मार्च 2026। प्रोफ़ाइल 93 % पूरी है और \
         लाभ बंद होने, समय-सीमा चूकने और कर-दंड के जोखिम बढ़े हुए हैं।"
    );
}

#[test]
fn a_fact_that_is_missing_is_not_mentioned() {
    let text = |facts: SummaryFacts| facts.text(SummaryLanguage::English);
    assert_eq!(text(nothing()), "There is nothing to say about this profile.");
    assert_eq!(text(SummaryFacts { total_eligible: Some(1), ..nothing() }), "The profile has 1 eligible scheme.");
    assert_eq!(
        text(SummaryFacts { upcoming_deadlines: Some(0), ..nothing() }),
        "The profile has no upcoming deadline."
    );
    assert_eq!(text(SummaryFacts { completeness: Some(7), ..nothing() }), "The profile is 7 % complete.");
    let risks = |risks| text(SummaryFacts { raised_risks: Some(risks), ..nothing() });
    assert_eq!(risks(vec![]), "In this profile, no risk is raised.");
    assert_eq!(risks(vec![Risk::DocumentExpiry]), "In this profile, the risk of an expiring document is raised.");
}

#[test]
fn facts_are_read_from_what_the_viewer_sees() {
    let json = |text: &'static str| CanonicalJson::from_canonical(text);
    let mut profile = Profile::default();
    let deadline = r#"[{"deadline_id":"d1","description":"Say \"yes\"","due_date":"2026-02-01"}]"#;
    for (leaf, value) in [
        (Leaf::DeadlinesUpcoming, deadline),
        (Leaf::EligibilityTotalEligible, "2"),
        (Leaf::ProfileCompletenessPct, "50"),
        (Leaf::RiskScoresDeadlineMissRisk, "0.15"),
        (Leaf::RiskScoresTaxPenaltyRisk, "0.151"),
    ] {
        let member = leaf.field().member;
        let mut leaves = profile.section(member).map_or_else(Vec::new, |section| section.leaves().to_vec());
        leaves.push((leaf, json(value)));
        leaves.sort_by_key(|(leaf, _)| *leaf);
        profile.replace(member, Section::new(leaves));
    }
    let facts = SummaryFacts::of(&profile, LeafSet::ALL);
    let due = Day::parse("2026-02-01").expect("a day");
    let expected = SummaryFacts {
        total_eligible: Some(2),
        upcoming_deadlines: Some(1),
        next_deadline: Some(("Say \"yes\"".to_owned(), due)),
        completeness: Some(50),
        raised_risks: Some(vec![Risk::TaxPenalty]),
    };
    assert_eq!(facts, expected);
    assert_eq!(SummaryFacts::of(&profile, LeafSet::EMPTY), nothing());
    for leaf in SummaryFacts::LEAVES {
        assert_ne!(
            SummaryFacts::of(&profile, LeafSet::only(leaf)) == nothing(),
            profile.get(leaf).is_some(),
            "{leaf:?}"
        );
    }
}
