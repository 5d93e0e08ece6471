//! Stage 3, enrich: assembles members from source documents, for a calendar day.
//!
//! Every function here is a function of (documents, day, rules) alone.

mod deadlines;
mod eligibility;
pub(super) mod trust;
pub(super) mod winner;

use crate::canonical::CanonicalJson;
use crate::completeness;
use crate::day::{Day, format_instant};
use crate::documents::SourceDocuments;
use crate::event::RegisterPath;
use crate::profile::{Profile, Section};
use crate::rules::Rules;
use crate::scan;
use crate::source::Source;
use crate::table::{Leaf, Member, MemberSet, Owner};
use winner::{Contest, SharingDocuments};

/// Assembles one member. Completeness is not among them: it depends on all the others ([`completeness_pct`]).
pub(super) fn assemble(member: Member, documents: &SourceDocuments, day: Day, rules: &Rules) -> Option<Section> {
    let leaves = match member {
        Member::Demographics | Member::Economic | Member::Family => shared(member, documents, rules),
        Member::Consent => consent(documents),
        Member::RiskScores => risk_scores(documents),
        Member::Eligibility => eligibility::assemble(documents),
        Member::Deadlines => deadlines::assemble(documents, day, rules),
        Member::Trust => trust::assemble(documents, day, rules),
        _ => owned(member, documents),
    };
    Section::new(leaves)
}

/// Returns `profile_completeness_pct` of a profile whose other members are assembled.
pub(super) fn completeness_pct(profile: &Profile, rules: &Rules) -> Option<Section> {
    let pct = completeness::pct(profile.present(), &|leaf| profile.get(leaf).cloned(), rules);
    Section::new(vec![(Leaf::ProfileCompletenessPct, CanonicalJson::integer(i64::from(pct)))])
}

/// Leaves that one source owns: its register's value.
fn owned(member: Member, documents: &SourceDocuments) -> Vec<(Leaf, CanonicalJson)> {
    let mut leaves = Vec::with_capacity(member.leaves().len());
    for leaf in member.leaves().iter() {
        if let Owner::Source(source) = leaf.field().owner {
            let value = documents.owned(source, leaf).and_then(|register| register.value.clone());
            leaves.extend(value.map(|value| (leaf, value)));
        }
    }
    leaves
}

/// Leaves that identity's address, metadata and self may write: the winner's value.
fn shared(member: Member, documents: &SourceDocuments, rules: &Rules) -> Vec<(Leaf, CanonicalJson)> {
    let sharing = SharingDocuments::new(documents);
    let mut leaves = Vec::with_capacity(member.leaves().len());
    for leaf in member.leaves().iter() {
        let value = Contest::new(leaf, &sharing).winner().and_then(|winner| winner.register.value.clone());
        leaves.extend(value.map(|value| (leaf, value)));
    }
    let slug = |wanted| leaves.iter().find(|(leaf, _)| *leaf == wanted).and_then(|(_, value)| value.plain_str());
    if let Some(district) = slug(Leaf::DemographicsDistrict) {
        let districts = slug(Leaf::DemographicsState).and_then(|state| rules.districts.get(state));
        if !districts.is_some_and(|districts| districts.contains(district)) {
            leaves.retain(|(leaf, _)| *leaf != Leaf::DemographicsDistrict);
        }
    }
    leaves
}

fn consent(documents: &SourceDocuments) -> Vec<(Leaf, CanonicalJson)> {
    let mut leaves = owned(Member::Consent, documents);
    if let Some(newest) = documents.newest(Source::Consent) {
        let updated_at = CanonicalJson::string(&format_instant(newest));
        let index = leaves.partition_point(|(leaf, _)| *leaf < Leaf::ConsentConsentUpdatedAt);
        leaves.insert(index, (Leaf::ConsentConsentUpdatedAt, updated_at));
    }
    leaves
}

fn risk_scores(documents: &SourceDocuments) -> Vec<(Leaf, CanonicalJson)> {
    let mut leaves = owned(Member::RiskScores, documents);
    let number = |value: &CanonicalJson| value.as_str().parse::<f64>().unwrap_or(0.0);
    let greatest = leaves.iter().map(|(_, value)| value).max_by(|a, b| number(a).total_cmp(&number(b))).cloned();
    if let Some(overall) = greatest {
        let index = leaves.partition_point(|(leaf, _)| *leaf < Leaf::RiskScoresOverall);
        leaves.insert(index, (Leaf::RiskScoresOverall, overall));
    }
    leaves
}

/// Returns the value of a register that the trust source writes as a whole.
fn trust_register(documents: &SourceDocuments, path: &RegisterPath) -> Option<CanonicalJson> {
    documents.get(Source::Trust, path, Source::Trust.kinds()[0])?.value.clone()
}

/// Returns whether a dotted path or `section.*` of an adjudication names `leaf`.
fn names(pattern: &str, leaf: Leaf) -> bool {
    let field = leaf.field();
    pattern == field.path || pattern.strip_suffix(".*") == Some(field.member.name())
}

/// Returns the confidence that the newest adjudication gives a source for a leaf; 0.5 where it says nothing.
fn confidence(adjudication: Option<&CanonicalJson>, source: Source, leaf: Leaf) -> f64 {
    let given = || {
        let entry = scan::member(adjudication?.as_str(), source.name())?;
        let mut fields = scan::elements(scan::member(entry, "fields")?);
        fields.any(|field| names(field.trim_matches('"'), leaf)).then_some(())?;
        scan::member(entry, "confidence")?.parse().ok()
    };
    given().unwrap_or(0.5)
}

/// Returns the members that hold a value which depends on the calendar day.
pub(super) fn time_derived() -> MemberSet {
    [Member::Deadlines, Member::Trust].into_iter().collect()
}
