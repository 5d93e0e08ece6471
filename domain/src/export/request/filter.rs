//! Who is in an export.

use crate::canonical::write_string;

/// The conditions that a profile must meet to be in an export, besides the consent. All of them must hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ExportFilter {
    /// The state.
    pub state: Option<String>,
    /// The district within the state.
    pub district: Option<String>,
    /// The income bracket.
    pub income_bracket: Option<String>,
    /// A scheme that the person is eligible for.
    pub scheme_id: Option<String>,
    /// A cohort tag that the person has.
    pub cohort_tag: Option<String>,
    /// The least completeness of the profile, in percent.
    pub min_completeness: Option<u8>,
}

impl ExportFilter {
    /// Returns whether every profile that this filter accepts is accepted by `other`, whatever profiles there are.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let implies = |own: &Option<String>, other: &Option<String>| other.is_none() || own == other;
        implies(&self.state, &other.state)
            && implies(&self.district, &other.district)
            && implies(&self.income_bracket, &other.income_bracket)
            && implies(&self.scheme_id, &other.scheme_id)
            && implies(&self.cohort_tag, &other.cohort_tag)
            && other.min_completeness.unwrap_or(0) <= self.min_completeness.unwrap_or(0)
    }

    /// Returns whether no profile can be accepted by both.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        let differ = |own: &Option<String>, other: &Option<String>| own.is_some() && other.is_some() && own != other;
        // A profile has one state, district and bracket, and any number of schemes and tags.
        differ(&self.state, &other.state)
            || differ(&self.district, &other.district)
            || differ(&self.income_bracket, &other.income_bracket)
    }

    /// Returns the canonical form: a JSON object with the conditions that are set, by name.
    #[must_use]
    pub fn canonical(&self) -> String {
        let texts =
            [("cohort_tag", &self.cohort_tag), ("district", &self.district), ("income_bracket", &self.income_bracket)];
        let mut members = Vec::new();
        let text = |(name, value): (&str, &Option<String>)| {
            value.as_ref().map(|value| {
                let mut member = format!("\"{name}\":");
                write_string(&mut member, value);
                member
            })
        };
        members.extend(texts.into_iter().filter_map(text));
        members.extend(self.min_completeness.map(|least| format!("\"min_completeness\":{least}")));
        members.extend([("scheme_id", &self.scheme_id), ("state", &self.state)].into_iter().filter_map(text));
        format!("{{{}}}", members.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::Random;

    /// The values of a profile that a filter looks at. The lists are sets of bits.
    struct Profile {
        words: [Option<&'static str>; 3],
        completeness: u8,
        lists: [usize; 2],
    }

    /// Returns whether a profile meets all conditions.
    fn accepts(filter: &ExportFilter, profile: &Profile) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| wanted.is_none() || wanted.as_deref() == value;
        let has = |wanted: &Option<String>, set: usize| {
            wanted.as_deref().is_none_or(|name| set >> usize::from(name.ends_with('2')) & 1 == 1)
        };
        let Profile { words: [state, district, income], completeness, lists: [schemes, tags] } = *profile;
        is(&filter.state, state)
            && is(&filter.district, district)
            && is(&filter.income_bracket, income)
            && filter.min_completeness.is_none_or(|least| completeness >= least)
            && has(&filter.scheme_id, schemes)
            && has(&filter.cohort_tag, tags)
    }

    fn random_filter(random: &mut Random) -> ExportFilter {
        let mut word = |words: &[&str]| words.get(random.below(words.len() + 2)).map(|word| (*word).to_owned());
        ExportFilter {
            state: word(&["a", "b"]),
            district: word(&["x", "y"]),
            income_bracket: word(&["0-2.5L", "20L+"]),
            scheme_id: word(&["s1", "s2"]),
            cohort_tag: word(&["t1", "t2"]),
            min_completeness: word(&["0", "50", "80"]).map(|pct| pct.parse().expect("a number")),
        }
    }

    #[test]
    fn what_is_said_of_two_filters_holds_for_all_rows() {
        let (mut within, mut excluded) = (0, 0);
        for seed in 0..2_000 {
            let mut random = Random(seed);
            let (first, second) = (random_filter(&mut random), random_filter(&mut random));
            let (is_within, excludes) = (first.is_within(&second), first.excludes(&second));
            within += u32::from(is_within);
            excluded += u32::from(excludes);
            for _ in 0..60 {
                let mut word = |words: &[&'static str]| words.get(random.below(words.len() + 1)).copied();
                let profile = Profile {
                    words: [word(&["a", "b"]), word(&["x", "y"]), word(&["0-2.5L", "20L+"])],
                    completeness: word(&["20", "50", "90"]).map_or(0, |pct| pct.parse().expect("a number")),
                    lists: [random.below(4), random.below(4)],
                };
                let accepts = |filter: &ExportFilter| accepts(filter, &profile);
                assert!(!is_within || !accepts(&first) || accepts(&second), "seed {seed}");
                assert!(!(excludes && accepts(&first) && accepts(&second)), "seed {seed}");
            }
        }
        assert!(within > 20 && excluded > 100, "{within} {excluded}");
    }
}
