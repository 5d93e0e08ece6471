use domain::export::ColumnRole;

use super::*;

fn parse(text: &str) -> Result<ExportRules, ConfigError> {
    from_file(&TableFile::embedded(NAME, text))
}

#[track_caller]
fn refused(from: &str, to: &str, part: &str) {
    assert!(EXPORT_TOML.contains(from), "{from}");
    let message = parse(&EXPORT_TOML.replacen(from, to, 1)).expect_err(to).to_string();
    assert!(message.contains(part) && !message.contains('\n'), "{message}");
}

#[test]
fn the_embedded_rules_are_those_of_the_contract() {
    let rules = parse(EXPORT_TOML).expect("valid");
    assert_eq!(rules.privacy, PrivacyDefaults { k: 10, l: 2, max_suppression_pct: 5 });
    assert_eq!(rules.budget, BudgetRules { min_per_job: 10_000, max_per_job: 2_000_000, per_day: 10_000_000 });
    assert!(
        ExportColumn::ALL.into_iter().all(|column| rules.columns.has(column) != (column == ExportColumn::Pseudonym))
    );
    let names = |hierarchy: &domain::export::Hierarchy| {
        let levels = hierarchy.levels().iter().map(|level| level.name.as_str()).collect::<Vec<_>>();
        format!("{}: {}", hierarchy.quasi_identifier().name(), levels.join(" "))
    };
    let levels: Vec<_> = rules.hierarchies.iter().map(names).collect();
    assert_eq!(
        levels,
        [
            "age_bracket: bracket broad any",
            "gender: gender broad any",
            "place: district state region any",
            "urban_rural: kind broad any",
            "income_bracket: bracket broad any",
            "employment_type: type broad any",
            "category: category broad any",
            "family_size: size few two any",
        ]
    );
    assert_eq!(rules.state_without_region(["delhi", "kerala"]), None);
}

#[test]
fn the_income_bracket_can_be_sensitive() {
    let text = EXPORT_TOML.replace("\"quasi_identifier\"", "\"sensitive\"");
    let message = parse(&text).expect_err("it has a hierarchy").to_string();
    assert!(message.contains("`income_bracket` has no hierarchy here"), "{message}");
    let without = text.split("[[hierarchies.").filter(|part| !part.starts_with("income_bracket"));
    let rules = parse(&without.collect::<Vec<_>>().join("[[hierarchies.")).expect("valid");
    assert_eq!((rules.role(ExportColumn::IncomeBracket), rules.hierarchies.len()), (ColumnRole::Sensitive, 7));
}

#[test]
fn faults_are_refused_with_their_line() {
    let line = |needle: &str| {
        let line = EXPORT_TOML.lines().position(|line| line.contains(needle)).expect(needle) + 1;
        format!("line {line}:")
    };
    refused("k = 10", "k = 4", "`k` is from 5");
    refused("l = 2", "l = 0", "`l` is from 1 to 64");
    refused("max_suppression_pct = 5", "max_suppression_pct = 6", "at most 5");
    refused("max_per_job = 2", "max_per_job = 11", "that is at most `per_day`");
    refused("min_per_job = 0.01", "min_per_job = 0.0000001", "six decimals");
    refused("\"total_active\"", "\"display_name\"", "`display_name` is not a column of exports");
    refused("[columns]", "[fields]", "unknown field `fields`");
    refused("\"delhi\"", "\"goa\"", "`goa` is in the regions `north` and `west`");
    refused("\"male\"]", "\"man\"]", "`gender` level `broad` has no group with `male`");
    refused("\"male\"]", "\"male\", \"man\"]", "names `man`, which is not a value");
    refused("\"male\"]", "\"male\", \"female\"]", "level `broad` has `female` twice");
    refused("[\"5-60\"]", "[\"5-59\"]", "no group with `60`");
    refused("[\"1-2\"], \"3+\" = [\"3-60\"]", "[\"1-3\"], \"3+\" = [\"4-60\"]", "separates `3` and `4`");
    refused("level = \"two\"", "level = \"few\"", "two levels with the name `few`");
    let renamed = EXPORT_TOML.replace("hierarchies.category", "hierarchies.categories");
    let message = parse(&renamed).expect_err("no category").to_string();
    assert!(message.contains("`hierarchies.category` is missing"), "{message}");
    refused(
        "[[hierarchies.age_bracket]]",
        "[[hierarchies.age]]\nlevel = \"x\"\n\n[[hierarchies.age_bracket]]",
        "`age` is none of",
    );
    refused("[\"5-60\"]", "[\"5-59\"]", &line("hierarchies.family_size"));
    refused("[[hierarchies.gender]]\nlevel = \"any\"\n", "", "`gender` ends with the level `any`");
}
