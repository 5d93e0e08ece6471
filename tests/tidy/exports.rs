//! Checks that the rules of exports agree with the facts of the crate `data`.

use config::load_export;
use domain::export::{LevelRule, QuasiIdentifier};

use crate::none;

#[test]
fn the_regions_of_exports_are_those_of_the_states() {
    let no_file = tempfile::TempDir::new().expect("a directory");
    let rules = load_export(no_file.path()).expect("the embedded rules");
    let place = rules.hierarchy(QuasiIdentifier::Place).expect("a hierarchy of places");
    let regions = place.levels().iter().find_map(|level| match &level.rule {
        LevelRule::Region(regions) => Some(regions),
        _ => None,
    });
    let regions = regions.expect("a level of regions");
    let differ = |state: &&data::State| regions.get(state.slug).map(String::as_str) != Some(state.region);
    let mut findings: Vec<_> = data::states().iter().filter(differ).map(|state| state.slug.to_owned()).collect();
    let is_unknown = |slug: &&String| data::states().iter().all(|state| state.slug != **slug);
    findings.extend(regions.keys().filter(is_unknown).map(|slug| format!("{slug} is not a state")));
    none(findings);
}
