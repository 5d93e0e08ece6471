//! Migrations of whole documents between neighbouring schema versions.
//!
//! What the server stores is by leaf and has no schema version, so no stored state needs a migration: views of every version
//! are made from the same leaves ([`crate::pipeline::serialize`]). Migrations serve documents that were kept or received as
//! documents. They share no code with the name tables; a property test holds that both say the same.

mod v1_0_to_v2_0;

use serde_json::{Map, Value};

use crate::schema_version::SchemaVersion;

/// The members of a document.
pub type Document = Map<String, Value>;

/// A migration between two neighbouring schema versions. Both functions are pure, and leave `schema_version` to [`migrate`].
#[derive(Debug)]
pub struct Migration {
    /// The older version.
    pub older: SchemaVersion,
    /// The newer version.
    pub newer: SchemaVersion,
    /// Turns a document of the older version into one of the newer.
    pub up: fn(&mut Document),
    /// Turns a document of the newer version into one of the older.
    pub down: fn(&mut Document),
}

/// The migration between every two neighbours, the newest first.
pub static MIGRATIONS: &[Migration] = &[v1_0_to_v2_0::MIGRATION];

/// The error for a document without a schema version that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the document has no `schema_version` that is known")]
pub struct UnknownVersion;

/// Returns a document in another schema version, step by step from neighbour to neighbour.
///
/// A document that was lifted has what the older version could say of it and no more, so it may lack members that the newer
/// schema requires.
///
/// # Errors
/// The member `schema_version` is missing or names a version that is not known.
pub fn migrate(mut document: Document, to: SchemaVersion) -> Result<Document, UnknownVersion> {
    let named = document.get("schema_version").and_then(Value::as_str);
    let mut version = named.and_then(SchemaVersion::parse).ok_or(UnknownVersion)?;
    while version != to {
        let is_older = age(version) > age(to);
        let mut steps = MIGRATIONS.iter();
        let next = steps.find(|step| if is_older { step.older == version } else { step.newer == version });
        let Migration { older, newer, up, down } = next.ok_or(UnknownVersion)?;
        if is_older {
            up(&mut document);
            version = *newer;
        } else {
            down(&mut document);
            version = *older;
        }
    }
    document.insert("schema_version".to_owned(), to.name().into());
    Ok(document)
}

/// Returns how many versions are newer.
fn age(version: SchemaVersion) -> Option<usize> {
    SchemaVersion::ALL.iter().position(|other| *other == version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(value: Value) -> Document {
        let Value::Object(document) = value else { panic!("an object") };
        document
    }

    #[test]
    fn the_registry_has_every_pair_of_neighbours() {
        let pairs: Vec<_> = MIGRATIONS.iter().map(|step| (step.newer, step.older)).collect();
        let expected: Vec<_> = SchemaVersion::ALL.windows(2).map(|pair| (pair[0], pair[1])).collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn an_older_document_is_lifted_and_a_newer_one_loses_what_the_older_version_cannot_say() {
        let scheme = json!({"scheme_id": "a", "scheme_name": "A", "application_status": "applied"});
        let older = json!({
            "schema_version": "1.0", "profile_id": "p", "upcoming_deadlines": [{"deadline_id": "d"}],
            "eligibility": {"eligible_schemes": [scheme], "total_eligible": 1},
        });
        let lifted = migrate(document(older.clone()), SchemaVersion::V2_0).expect("a known version");
        assert_eq!(lifted["schema_version"], "2.0");
        assert_eq!(lifted["deadlines"], json!({"upcoming": [{"deadline_id": "d"}]}));
        let mut newer = lifted.clone();
        newer["deadlines"]["overdue"] = json!([]);
        newer["eligibility"]["eligible_schemes"][0]["confidence"] = json!(0.5);
        for name in ["risk_scores", "predictions", "trust", "cohort_tags", "revision"] {
            newer.insert(name.to_owned(), json!(1));
        }
        assert_eq!(migrate(newer, SchemaVersion::V1_0), Ok(document(older)));
        assert_eq!(migrate(lifted.clone(), SchemaVersion::V2_0), Ok(lifted));
    }

    #[test]
    fn a_document_without_a_known_version_is_refused() {
        for value in [json!({}), json!({"schema_version": 2}), json!({"schema_version": "3.0"})] {
            assert_eq!(migrate(document(value), SchemaVersion::V2_0), Err(UnknownVersion));
        }
    }
}
