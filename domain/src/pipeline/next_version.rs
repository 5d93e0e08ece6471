//! Tries the recipe "Add a schema version": a version 2.1 that renames a leaf and moves another to a section of its own.
//! Views, patches, sparse views and the schema need nothing but its table.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{mask, serialize};
use crate::canonical::CanonicalJson;
use crate::delta::Delta;
use crate::id::ProfileId;
use crate::name_table::{Difference, NameTable, V2_0};
use crate::profile::{Envelope, Profile};
use crate::schema::schema_in;
use crate::table::{Leaf, LeafSet};

static V2_1: LazyLock<NameTable> = LazyLock::new(|| {
    V2_0.with(&Difference {
        version: "2.1",
        has_revision: true,
        omitted: LeafSet::EMPTY,
        renamed: &[
            (Leaf::FamilyDependents, "family.people_supported"),
            (Leaf::EconomicBplStatus, "benefits.below_poverty_line"),
        ],
        projected: &[],
    })
});

fn profile(leaves: &[(Leaf, &str)]) -> Profile {
    let mut profile = Profile::default();
    for (leaf, value) in leaves {
        profile.set(*leaf, Some(CanonicalJson::from_canonical(*value)));
    }
    profile
}

fn view(table: &NameTable, profile: &Profile, mask: LeafSet) -> Value {
    let profile_id = ProfileId::from_random([3; 16]);
    let envelope = Envelope { profile_id, revision: 7, generated_at: 0, assembly_latency_micros: 1 };
    let bytes = serialize::document_in(table, &envelope, &[0; 32], profile, mask);
    let view: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(String::from_utf8(bytes), Ok(view.to_string()), "a view is its own canonical form");
    view
}

#[test]
fn a_view_has_the_names_of_its_version() {
    let profile = profile(&[
        (Leaf::EconomicBplStatus, "true"),
        (Leaf::EconomicTaxRegime, "\"new\""),
        (Leaf::FamilyDependents, "2"),
        (Leaf::FamilyMembersCount, "4"),
    ]);
    let newer = view(&V2_1, &profile, LeafSet::ALL);
    assert_eq!(newer["schema_version"], "2.1");
    assert_eq!(newer["family"], json!({"members_count": 4, "people_supported": 2}));
    assert_eq!(newer["benefits"], json!({"below_poverty_line": true}));
    assert_eq!(newer["economic"], json!({"tax_regime": "new"}));
    assert_eq!(view(&V2_0, &profile, LeafSet::ALL)["family"], json!({"dependents": 2, "members_count": 4}));
    let masked = view(&V2_1, &profile, LeafSet::ALL.without(LeafSet::only(Leaf::EconomicBplStatus)));
    assert_eq!(masked.get("benefits"), None, "a mask hides a leaf under every name");
}

#[test]
fn a_patch_leads_from_view_to_view_in_every_version() {
    let profiles = [
        profile(&[]),
        profile(&[(Leaf::FamilyDependents, "2")]),
        profile(&[(Leaf::EconomicBplStatus, "true"), (Leaf::FamilyDependents, "3"), (Leaf::FamilyMembersCount, "4")]),
        profile(&[(Leaf::EconomicTaxRegime, "\"old\""), (Leaf::FamilyMembersCount, "4")]),
    ];
    let masks = [LeafSet::ALL, LeafSet::only(Leaf::FamilyDependents), LeafSet::only(Leaf::EconomicBplStatus)];
    for (old, new) in profiles.iter().flat_map(|old| profiles.iter().map(move |new| (old, new))) {
        let delta = Delta::new(1, 2, old, new);
        for (table, mask) in [&V2_0, &V2_1].into_iter().flat_map(|table| masks.map(|mask| (table, mask))) {
            let mut held = view(table, old, mask);
            let patch = mask::patch_in(table, &delta, mask);
            json_patch::patch(&mut held, &patch).unwrap_or_else(|error| panic!("{error}: {patch}"));
            assert_eq!(held, view(table, new, mask), "{} {patch}", table.version);
        }
    }
}

#[test]
fn a_sparse_view_is_asked_for_with_the_names_of_its_version() {
    let profile = profile(&[(Leaf::FamilyDependents, "2"), (Leaf::FamilyMembersCount, "4")]);
    let full = view(&V2_1, &profile, LeafSet::ALL).to_string();
    let fields = V2_1.named("family.people_supported");
    assert_eq!((fields, V2_1.named("family.dependents")), (LeafSet::only(Leaf::FamilyDependents), LeafSet::EMPTY));
    let sparse: Value =
        serde_json::from_slice(&serialize::project_in(&V2_1, full.as_bytes(), fields, None)).expect("JSON");
    assert_eq!(sparse["family"], json!({"people_supported": 2}));
    assert_eq!(sparse["_meta"]["fields_included"], json!(["family.people_supported"]));
}

#[test]
fn the_schema_has_the_names_of_its_version() {
    let schema = schema_in(&V2_1);
    assert_eq!(schema["properties"]["schema_version"]["const"], "2.1");
    let family = &schema["properties"]["family"]["properties"];
    assert!(family.get("people_supported").is_some() && family.get("dependents").is_none());
    assert_eq!(schema["properties"]["benefits"]["properties"]["below_poverty_line"]["type"], "boolean");
}
