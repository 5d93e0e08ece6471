//! How complete a profile is, and what would make it more so.

use crate::canonical::CanonicalJson;
use crate::named_enum;
use crate::rules::Rules;
use crate::source::Source;
use crate::table::{FIELDS, Leaf, LeafSet, Member, Owner, Weight};

/// A function that returns a leaf's winning value.
pub type ValueOf<'a> = &'a dyn Fn(Leaf) -> Option<CanonicalJson>;

named_enum! {
    /// How much a missing field matters.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Importance {
        /// Weight 3 in the field table.
        Critical => "critical",
        /// Weight 2.
        Optional => "optional",
        /// Weight 1.
        NiceToHave => "nice_to_have",
    }
}

impl Importance {
    /// Returns the importance by the table's weight; `None` for a leaf that is not counted.
    pub fn for_leaf(leaf: Leaf) -> Option<Self> {
        match leaf.field().weight {
            Weight::Critical => Some(Self::Critical),
            Weight::Optional => Some(Self::Optional),
            Weight::NiceToHave => Some(Self::NiceToHave),
            Weight::None => None,
        }
    }
}

/// A field that counts and has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingField {
    /// The field; its dotted path is what answers show.
    pub leaf: Leaf,
    /// How much the field matters.
    pub importance: Importance,
    /// Why the field is missing, as a sentence.
    pub reason: &'static str,
    /// Number of known schemes that need the field.
    pub schemes_waiting: u32,
}

/// Returns `profile_completeness_pct`: 100 × Σ weights of the present / Σ weights of the applicable leaves, rounded
/// half up. 100 where nothing is applicable.
pub fn pct(present: LeafSet, value: ValueOf<'_>, rules: &Rules) -> u8 {
    share(present, applicable(value, rules))
}

/// Returns the percentage of each section that has an applicable leaf within `mask`, counted over those leaves, in
/// canonical order.
pub fn section_pcts(
    present: LeafSet,
    value: ValueOf<'_>,
    rules: &Rules,
    mask: LeafSet,
) -> impl Iterator<Item = (Member, u8)> {
    let counted = applicable(&|leaf| visible(leaf, value, mask), rules).and(mask);
    counted.members().map(move |member| (member, share(present, counted.and(member.leaves()))))
}

/// Returns the applicable leaves within `mask` that are not present, the most valuable first: by importance, then by
/// the number of schemes that wait for it, then by path.
pub fn missing_fields(present: LeafSet, value: ValueOf<'_>, rules: &Rules, mask: LeafSet) -> Vec<MissingField> {
    let missing = applicable(&|leaf| visible(leaf, value, mask), rules).and(mask).without(present);
    let mut fields: Vec<_> = missing
        .iter()
        .filter_map(|leaf| {
            let importance = Importance::for_leaf(leaf)?;
            let schemes_waiting = rules.schemes_waiting.get(&leaf).copied().unwrap_or_default();
            Some(MissingField { leaf, importance, reason: reason(leaf), schemes_waiting })
        })
        .collect();
    fields.sort_by_key(|field| (field.importance, std::cmp::Reverse(field.schemes_waiting), field.leaf.field().path));
    fields
}

/// Returns a value only if it is in `mask`: whether a visible leaf counts would otherwise reveal the value of a hidden
/// one.
fn visible(leaf: Leaf, value: ValueOf<'_>, mask: LeafSet) -> Option<CanonicalJson> {
    mask.has(leaf).then(|| value(leaf)).flatten()
}

/// Returns the leaves that count for a profile with these values.
fn applicable(value: ValueOf<'_>, rules: &Rules) -> LeafSet {
    rules.not_applicable.iter().fold(COUNTED, |leaves, rule| {
        let excused = leaves.has(rule.leaf)
            && value(rule.when).is_some_and(|value| rule.is_one_of.iter().any(|one| one == value.as_str()));
        if excused { leaves.without(LeafSet::only(rule.leaf)) } else { leaves }
    })
}

const CRITICAL: LeafSet = weighing(Weight::Critical);
const OPTIONAL: LeafSet = weighing(Weight::Optional);
const NICE_TO_HAVE: LeafSet = weighing(Weight::NiceToHave);

/// The leaves that count at all.
const COUNTED: LeafSet = CRITICAL.or(OPTIONAL).or(NICE_TO_HAVE);

const fn weighing(weight: Weight) -> LeafSet {
    let mut leaves = LeafSet::EMPTY;
    let mut index = 0;
    while index < FIELDS.len() {
        if FIELDS[index].weight as u8 == weight as u8 {
            leaves.insert(FIELDS[index].leaf);
        }
        index += 1;
    }
    leaves
}

fn share(present: LeafSet, applicable: LeafSet) -> u8 {
    let (has, of) = (weight(present.and(applicable)), weight(applicable));
    if of == 0 {
        return 100;
    }
    // Half up in integers: ⌊(200 × has + of) / (2 × of)⌋.
    u8::try_from((200 * has + of) / (2 * of)).unwrap_or(100)
}

const fn weight(leaves: LeafSet) -> usize {
    3 * leaves.and(CRITICAL).len() + 2 * leaves.and(OPTIONAL).len() + leaves.and(NICE_TO_HAVE).len()
}

fn reason(leaf: Leaf) -> &'static str {
    match (leaf, leaf.field().owner) {
        // A district can be known and still be withheld.
        (Leaf::DemographicsDistrict, _) => "no source has given a district that is in the state",
        (Leaf::DemographicsState | Leaf::DemographicsPincode, _) => {
            "neither identity's address, the metadata store nor the citizen has given it"
        }
        (_, Owner::Source(Source::Identity)) => "identity verification has not given it",
        (_, Owner::Source(Source::Consent)) => "the citizen has not decided it",
        _ => "neither the metadata store nor the citizen has given it",
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::rules::NotApplicable;

    fn rules() -> Rules {
        let tax_regime = NotApplicable {
            leaf: Leaf::EconomicTaxRegime,
            when: Leaf::EconomicEmploymentType,
            is_one_of: vec!["\"unemployed\"".to_owned()],
        };
        Rules {
            zone: TimeZone::UTC,
            districts: Default::default(),
            not_applicable: vec![tax_regime],
            schemes_waiting: Default::default(),
            limits: Default::default(),
        }
    }

    fn nothing(_: Leaf) -> Option<CanonicalJson> {
        None
    }

    fn unemployed(leaf: Leaf) -> Option<CanonicalJson> {
        (leaf == Leaf::EconomicEmploymentType).then(|| CanonicalJson::string("unemployed"))
    }

    #[test]
    fn an_empty_profile_has_nothing_and_a_full_one_everything() {
        assert_eq!(pct(LeafSet::EMPTY, &nothing, &rules()), 0);
        assert_eq!(pct(LeafSet::ALL, &nothing, &rules()), 100);
        assert_eq!(pct(COUNTED, &nothing, &rules()), 100);
    }

    #[test]
    fn the_weights_are_those_of_the_table() {
        // C, O and N: eleven, eight and four leaves.
        assert_eq!(weight(LeafSet::ALL), 3 * 11 + 2 * 8 + 4);
    }

    #[test]
    fn a_listing_reveals_nothing_of_a_hidden_leaf_that_a_rule_reads() {
        let rules = rules();
        let all = Member::ALL.iter().map(|member| member.leaves()).chain(FIELDS.iter().map(|f| LeafSet::only(f.leaf)));
        for mask in all {
            let seen = |value: ValueOf<'_>| {
                let missing = missing_fields(LeafSet::EMPTY, value, &rules, mask).len();
                (missing, section_pcts(LeafSet::ALL, value, &rules, mask).collect::<Vec<_>>())
            };
            if !mask.has(Leaf::EconomicEmploymentType) {
                assert_eq!(seen(&unemployed), seen(&nothing), "{mask:?}");
            }
        }
    }

    #[test]
    fn a_half_rounds_up() {
        // 3 of 8 is 37.5 %, 1 of 3 is 33.3 %.
        let (critical, optional) = (Leaf::IdentityCategory, [Leaf::IdentityGender, Leaf::FamilyDependents]);
        let eight = LeafSet::from_iter([critical, optional[0], optional[1], Leaf::EconomicTaxRegime]);
        assert_eq!(share(LeafSet::only(critical), eight), 38);
        let three = LeafSet::from_iter([Leaf::EconomicTaxRegime, optional[0]]);
        assert_eq!(share(LeafSet::only(Leaf::EconomicTaxRegime), three), 33);
    }

    #[test]
    fn a_leaf_that_is_not_applicable_counts_neither_way() {
        let without_regime = LeafSet::ALL.without(LeafSet::only(Leaf::EconomicTaxRegime));
        assert_eq!(pct(without_regime, &unemployed, &rules()), 100);
        assert_eq!(pct(LeafSet::ALL, &unemployed, &rules()), 100);
        assert_eq!(pct(without_regime, &nothing, &rules()), 98);
        assert!(missing_fields(without_regime, &unemployed, &rules(), LeafSet::ALL).is_empty());
    }

    #[test]
    fn no_applicable_leaf_is_a_hundred_percent() {
        assert_eq!(share(LeafSet::EMPTY, LeafSet::EMPTY), 100);
    }

    #[test]
    fn missing_fields_come_most_valuable_first_and_only_where_the_mask_allows() {
        let rules = Rules { schemes_waiting: [(Leaf::EconomicIncomeBracket, 3)].into(), ..rules() };
        let mask = Member::Economic.leaves().or(Member::Demographics.leaves());
        let present = LeafSet::only(Leaf::DemographicsState);
        let fields = missing_fields(present, &nothing, &rules, mask);
        let paths: Vec<_> = fields.iter().map(|field| field.leaf.field().path).collect();
        assert_eq!(
            paths,
            [
                "economic.income_bracket",
                "demographics.district",
                "economic.bpl_status",
                "economic.employment_type",
                "demographics.pincode",
                "demographics.urban_rural",
                "economic.ration_card_type",
                "demographics.residency_years",
                "economic.tax_regime",
            ]
        );
        assert_eq!((fields[0].importance.name(), fields[0].schemes_waiting), ("critical", 3));
    }

    #[test]
    fn sections_are_counted_over_the_leaves_that_may_be_seen() {
        let mask = LeafSet::from_iter([Leaf::DemographicsState, Leaf::DemographicsPincode, Leaf::CohortTags]);
        let sections: Vec<_> = section_pcts(LeafSet::only(Leaf::DemographicsState), &nothing, &rules(), mask).collect();
        assert_eq!(sections, [(Member::Demographics, 60)]);
    }
}
