//! The hierarchies of quasi-identifiers in `export.toml`.

use std::collections::BTreeMap;

use domain::export::{Hierarchy, HierarchyLevel, LevelRule, QuasiIdentifier};
use serde::Deserialize;

use crate::ConfigError;
use crate::table_file::TableFile;

/// Region to its states.
pub(super) type RawRegions = BTreeMap<String, Vec<String>>;
/// Quasi-identifier to its levels.
pub(super) type RawHierarchies = BTreeMap<String, Vec<RawLevel>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLevel {
    level: String,
    groups: Option<BTreeMap<String, Vec<String>>>,
}

/// Returns the hierarchy of each quasi-identifier, in the order of their bits in a key.
pub(super) fn read(
    file: &TableFile,
    regions: &RawRegions,
    mut raw: RawHierarchies,
    income_is_quasi_identifier: bool,
) -> Result<Vec<Hierarchy>, ConfigError> {
    let mut hierarchies = vec![place(file, regions)?];
    for quasi_identifier in QuasiIdentifier::ALL {
        let name = quasi_identifier.name();
        let entry = format!("hierarchies.{name}");
        let is_expected = match quasi_identifier {
            QuasiIdentifier::Place => false,
            QuasiIdentifier::IncomeBracket => income_is_quasi_identifier,
            _ => true,
        };
        match (raw.remove(name), is_expected) {
            (Some(levels), true) => {
                let fault = |fault| file.refuse(&entry, format!("`{name}` {fault}"));
                hierarchies.push(hierarchy(quasi_identifier, levels).map_err(fault)?);
            }
            (None, true) => return Err(file.refuse("[hierarchies", format!("`hierarchies.{name}` is missing"))),
            (Some(_), false) => {
                let fault =
                    format!("`{name}` has no hierarchy here: places have `[regions]`, sensitive columns have none");
                return Err(file.refuse(&entry, fault));
            }
            (None, false) => {}
        }
    }
    if let Some(name) = raw.keys().next() {
        let names = QuasiIdentifier::ALL.map(QuasiIdentifier::name).join(", ");
        return Err(file.refuse(&format!("hierarchies.{name}"), format!("`{name}` is none of {names}")));
    }
    hierarchies.sort_unstable_by_key(Hierarchy::quasi_identifier);
    Ok(hierarchies)
}

fn place(file: &TableFile, regions: &RawRegions) -> Result<Hierarchy, ConfigError> {
    let mut region_of = BTreeMap::new();
    for (region, states) in regions {
        for state in states {
            if let Some(other) = region_of.insert(state.clone(), region.clone()) {
                let fault = format!("`{state}` is in the regions `{other}` and `{region}`");
                return Err(file.refuse(&format!("\"{state}\""), fault));
            }
        }
    }
    let levels = [
        ("district", LevelRule::Exact),
        ("state", LevelRule::State),
        ("region", LevelRule::Region(region_of)),
        ("any", LevelRule::Any),
    ];
    let levels = levels.map(|(name, rule)| HierarchyLevel::new(name, rule)).into();
    Hierarchy::new(QuasiIdentifier::Place, levels).map_err(|fault| file.refuse("[regions]", format!("`place` {fault}")))
}

fn hierarchy(quasi_identifier: QuasiIdentifier, raw: Vec<RawLevel>) -> Result<Hierarchy, String> {
    let last = raw.len().saturating_sub(1);
    let level = |(number, raw): (usize, RawLevel)| {
        let rule = match raw.groups {
            Some(groups) => LevelRule::Groups(labels(quasi_identifier, &raw.level, groups)?),
            None if number == last => LevelRule::Any,
            None => LevelRule::Exact,
        };
        Ok(HierarchyLevel::new(raw.level, rule))
    };
    let levels = raw.into_iter().enumerate().map(level).collect::<Result<_, String>>()?;
    Hierarchy::new(quasi_identifier, levels).map_err(|fault| fault.to_string())
}

/// Returns the label of each value.
fn labels(
    quasi_identifier: QuasiIdentifier,
    level: &str,
    groups: BTreeMap<String, Vec<String>>,
) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    for (label, items) in groups {
        for value in items.iter().flat_map(|item| values(quasi_identifier, item)) {
            if labels.insert(value.clone(), label.clone()).is_some() {
                return Err(format!("level `{level}` has `{value}` twice"));
            }
        }
    }
    Ok(labels)
}

/// Returns the values that an item of a group stands for: itself, or a range of sizes.
fn values(quasi_identifier: QuasiIdentifier, item: &str) -> Vec<String> {
    let range = item.split_once('-').filter(|_| quasi_identifier == QuasiIdentifier::FamilySize);
    let bounds = range.and_then(|(first, last)| Some((first.parse::<u8>().ok()?, last.parse::<u8>().ok()?)));
    match bounds {
        Some((first, last)) => (first..=last).map(|size| size.to_string()).collect(),
        None => vec![item.to_owned()],
    }
}
