//! `completeness.toml`: the rules by which fields do not count in the completeness of a profile.

use std::path::Path;

use domain::canonical::CanonicalJson;
use domain::rules::NotApplicable;
use domain::table::{Leaf, ValueType, Weight};
use serde::Deserialize;

use crate::ConfigError;
use crate::table_file::TableFile;

/// The embedded rules, which are the template for own ones.
pub const COMPLETENESS_TOML: &str = include_str!("../completeness.toml");
const NAME: &str = "completeness.toml";

/// Reads `completeness.toml` in `data_dir`, or the embedded rules if there is none.
///
/// # Errors
/// The file cannot be read, is not TOML, or names a path or value that is not in the profile.
pub fn load_completeness(data_dir: &Path) -> Result<Vec<NotApplicable>, ConfigError> {
    rules(&TableFile::find(data_dir, NAME, COMPLETENESS_TOML)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRules {
    #[serde(default)]
    not_applicable: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    path: String,
    when: String,
    is_one_of: Vec<RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a string, an integer, or true or false")]
enum RawValue {
    Bool(bool),
    Integer(i64),
    Text(String),
}

fn rules(file: &TableFile) -> Result<Vec<NotApplicable>, ConfigError> {
    let raw: RawRules = file.parse()?;
    raw.not_applicable.iter().map(|rule| resolve(file, rule)).collect()
}

fn resolve(file: &TableFile, rule: &RawRule) -> Result<NotApplicable, ConfigError> {
    let leaf = Leaf::parse(&rule.path).filter(|leaf| leaf.field().weight != Weight::None).ok_or_else(|| {
        file.refuse(&quoted(&rule.path), format!("`{}` is not a field that counts: give its dotted path", rule.path))
    })?;
    let when = Leaf::parse(&rule.when).ok_or_else(|| {
        file.refuse(&quoted(&rule.when), format!("`{}` is not a field: give its dotted path", rule.when))
    })?;
    let is_one_of = rule.is_one_of.iter().map(|value| canonical(file, when, value)).collect::<Result<_, _>>()?;
    Ok(NotApplicable { leaf, when, is_one_of })
}

/// Returns the value as documents contain it; `None` if the field cannot have it.
fn canonical(file: &TableFile, when: Leaf, value: &RawValue) -> Result<String, ConfigError> {
    let field = when.field();
    let (fits, allowed) = match (field.value, value) {
        (ValueType::Bool, value) => (matches!(value, RawValue::Bool(_)), "true or false".to_owned()),
        (ValueType::Integer { min, max }, value) => {
            (matches!(value, RawValue::Integer(number) if (min..=max).contains(number)), format!("{min} to {max}"))
        }
        (ValueType::Enum(words), value) => {
            (matches!(value, RawValue::Text(word) if words.contains(&word.as_str())), words.join(", "))
        }
        _ => (false, "nothing: only fields of words, integers, or true and false can decide".to_owned()),
    };
    let json = match value {
        RawValue::Bool(value) => CanonicalJson::bool(*value),
        RawValue::Integer(value) => CanonicalJson::integer(*value),
        RawValue::Text(value) => CanonicalJson::string(value),
    };
    if fits {
        return Ok(json.as_str().to_owned());
    }
    let fault = format!("`{}` cannot be {}; allowed: {allowed}", field.path, json.as_str());
    Err(file.refuse(json.as_str(), fault))
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, parts: &[&str]) {
        let message = rules(&TableFile::embedded(NAME, text)).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "`{message}` does not say `{part}`");
        }
    }

    #[test]
    fn the_embedded_rules_know_the_tax_regime_of_the_unemployed() {
        let rules = rules(&TableFile::embedded(NAME, COMPLETENESS_TOML)).unwrap();
        let tax = rules.iter().find(|rule| rule.leaf == Leaf::EconomicTaxRegime).unwrap();
        assert_eq!(tax.when, Leaf::EconomicEmploymentType);
        assert_eq!(tax.is_one_of, ["\"unemployed\"", "\"student\""]);
        let children = rules.iter().find(|rule| rule.leaf == Leaf::FamilyChildrenSchoolAge).unwrap();
        assert_eq!(children.is_one_of, ["0"]);
    }

    #[test]
    fn what_the_profile_does_not_have_is_refused_with_its_line() {
        refused(
            &COMPLETENESS_TOML.replace("\"economic.tax_regime\"", "\"economic.tax\""),
            &["`economic.tax`", "line 1"],
        );
        refused(&COMPLETENESS_TOML.replace("family.dependents", "identity_token"), &["`identity_token`"]);
        refused(&COMPLETENESS_TOML.replace("\"student\"", "\"pupil\""), &["\"pupil\"", "salaried, self_employed"]);
        refused(&COMPLETENESS_TOML.replace("[0]", "[51]"), &["cannot be 51", "0 to 50"]);
        refused(&COMPLETENESS_TOML.replace("is_one_of = [0]", "is_one_of = [0.5]"), &["an integer"]);
        refused(&COMPLETENESS_TOML.replace("when =", "if ="), &["unknown field `if`", "`when`"]);
    }

    #[test]
    fn an_empty_file_means_that_every_field_counts() {
        assert!(rules(&TableFile::embedded(NAME, "")).unwrap().is_empty());
    }
}
