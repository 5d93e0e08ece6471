//! `access.toml`: the access table, which says who may see what.

use std::path::Path;

use domain::access::{AccessRules, Policy, ViewerRules};
use serde::Deserialize;

use crate::table_file::TableFile;
use crate::watched::Watched;
use crate::{ConfigError, Origin};

/// The embedded table, which is the default and the template for an own one.
pub const ACCESS_TOML: &str = include_str!("../access.toml");
const NAME: &str = "access.toml";

/// The access table. Its paths were checked against the field table.
#[derive(Debug, Clone)]
pub struct AccessTable {
    /// What each viewer may see, as `Policy::compile` takes it.
    pub rules: AccessRules,
}

impl AccessTable {
    /// Reads `access.toml` in `data_dir`, or the embedded table if there is none. [`Self::watch`] finds later changes.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, has an unknown or missing row or column, names a path that is not in the
    /// profile, or lists something under `[integrity]` that is no name of a service.
    pub fn load(data_dir: &Path) -> Result<Self, ConfigError> {
        Self::from_file(&TableFile::find(data_dir, NAME, ACCESS_TOML)?)
    }

    /// Returns `access.toml` in `data_dir`, which has not been read yet. Policies compiled from the same table have the same
    /// version.
    #[must_use]
    pub fn watch(data_dir: &Path) -> Watched<Self> {
        Watched::new(data_dir.join(NAME), Self::from_file)
    }

    fn from_file(file: &TableFile) -> Result<Self, ConfigError> {
        let raw: RawTable = file.parse()?;
        raw.integrity.check(&file.origin)?;
        let rules = AccessRules {
            self_citizen: raw.self_citizen.into(),
            service: raw.service.profile_read.into(),
            ai_context: raw.service.ai_context.into(),
            agent: raw.agent.into(),
            admin: raw.admin.profile_read.into(),
            integrity_services: raw.integrity.services,
        };
        Policy::compile(&rules).map_err(|fault| file.refuse(&format!("\"{}\"", fault.path), fault.to_string()))?;
        Ok(Self { rules })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    #[serde(rename = "self")]
    self_citizen: RawRow,
    agent: RawRow,
    service: RawService,
    admin: RawAdmin,
    integrity: RawIntegrity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawService {
    #[serde(rename = "profile:read")]
    profile_read: RawRow,
    ai_context: RawRow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAdmin {
    #[serde(rename = "profile:read")]
    profile_read: RawRow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIntegrity {
    services: Vec<String>,
}

impl RawIntegrity {
    /// Refuses what is no name of a service, so that a mistake does not look like a permission.
    fn check(&self, origin: &Origin) -> Result<(), ConfigError> {
        let is_name = |name: &String| {
            let has_form = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=64).contains(&name.len()) && name.bytes().all(has_form)
        };
        if self.services.iter().all(is_name) {
            return Ok(());
        }
        Err(ConfigError::WrongValue {
            key: "integrity.services".into(),
            value: format!("{:?}", self.services).into(),
            origin: origin.clone(),
            allowed: "names of services, which are the subjects of their tokens without `svc:`".into(),
        })
    }
}

/// All columns are required, so that omitting one cannot change who may see what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    minimal: Vec<String>,
    standard: Vec<String>,
    full: Vec<String>,
}

impl From<RawRow> for ViewerRules {
    fn from(row: RawRow) -> Self {
        Self { minimal: row.minimal, standard: row.standard, full: row.full }
    }
}

#[cfg(test)]
mod tests {
    use domain::access::{Consent, SharingLevel, Viewer, Visibility};
    use domain::id::UserId;
    use domain::table::{Leaf, LeafSet};

    use super::*;

    /// Returns what a service sees by the table of the specification ("Who sees what").
    fn service_sees(ai_context: bool, level: SharingLevel) -> Vec<&'static str> {
        let policy = Policy::compile(&AccessTable::from_file(&embedded()).unwrap().rules).unwrap();
        let viewer = Viewer::Service { profile_read: true, third_party: false, ai_context };
        let user = UserId::parse("usr_7Qm2Xr9TzKpA").unwrap();
        match policy.visibility(&viewer, &user, Consent { level, third_party_sharing: false }) {
            Visibility::Mask(leaves) => leaves.iter().map(|leaf| leaf.field().path).collect(),
            Visibility::Hidden => panic!("a service with profile:read is never hidden from"),
        }
    }

    fn embedded() -> TableFile {
        TableFile::embedded(NAME, ACCESS_TOML)
    }

    #[track_caller]
    fn refused(text: &str, parts: &[&str]) {
        let message = AccessTable::from_file(&TableFile::embedded(NAME, text)).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "`{message}` does not say `{part}`");
        }
        assert!(!message.contains('\n'), "more than one line: {message}");
    }

    #[test]
    fn the_embedded_table_is_the_one_of_the_specification() {
        let minimal = ["demographics.state", "identity.age_bracket"];
        assert_eq!(service_sees(false, SharingLevel::Minimal), minimal);
        assert_eq!(service_sees(true, SharingLevel::Minimal), minimal);

        let standard = service_sees(false, SharingLevel::Standard);
        assert_eq!(standard.len(), 2 + 5 + 5, "five leaves and the five of eligibility: {standard:?}");
        assert!(!standard.contains(&"demographics.pincode") && !standard.contains(&"family.dependents"));
        assert_eq!(service_sees(true, SharingLevel::Standard).len(), standard.len() + 2 + 3);

        let full = service_sees(false, SharingLevel::Full);
        assert_eq!(full.len(), standard.len() + 1 + 3 + 5 + 1 + 1);
        assert!(!full.contains(&"identity.display_name") && !full.contains(&"identity_token"));
        let with_context = service_sees(true, SharingLevel::Full);
        assert!(with_context.contains(&"family.children_school_age") && with_context.contains(&"economic.bpl_status"));
    }

    #[test]
    fn the_citizen_and_a_reading_admin_see_all() {
        let policy = Policy::compile(&AccessTable::from_file(&embedded()).unwrap().rules).unwrap();
        let user = UserId::parse("usr_7Qm2Xr9TzKpA").unwrap();
        for viewer in [Viewer::SelfCitizen(user), Viewer::Admin { profile_read: true }] {
            assert_eq!(policy.visibility(&viewer, &user, Consent::default()), Visibility::Mask(LeafSet::ALL));
        }
    }

    #[test]
    fn a_path_that_does_not_exist_is_refused_with_its_line() {
        let text = ACCESS_TOML.replace("\"identity.gender\"", "\"identity.sex\"");
        let line = text.lines().position(|line| line.contains("identity.sex")).unwrap() + 1;
        refused(&text, &["`identity.sex`", &format!("access.toml`, line {line}"), "dotted path"]);
        refused(&ACCESS_TOML.replace("eligibility.*", "elig.*"), &["`elig.*`"]);
        assert!(Leaf::parse("identity.sex").is_none());
    }

    #[test]
    fn a_row_or_column_that_is_unknown_or_missing_is_refused() {
        refused(&ACCESS_TOML.replace("[agent]", "[agents]"), &["unknown field `agents`", "`agent`"]);
        refused(&ACCESS_TOML.replace("[integrity]\nservices = []", ""), &["missing field `integrity`"]);
        refused(&ACCESS_TOML.replacen("full = []", "most = []", 1), &["unknown field `most`", "`full`"]);
        refused(&ACCESS_TOML.replacen("full = []", "", 1), &["missing field `full`"]);
        refused(&ACCESS_TOML.replacen("full = []", "full = \"*\"", 1), &["expected a sequence"]);
    }

    #[test]
    fn a_table_in_the_data_directory_replaces_the_embedded_one() {
        let dir = tempfile::TempDir::new().unwrap();
        assert_eq!(AccessTable::load(dir.path()).unwrap().rules.agent.minimal, ["*"]);
        std::fs::write(dir.path().join(NAME), agent_table("family.*")).unwrap();
        assert_eq!(AccessTable::load(dir.path()).unwrap().rules.agent.minimal, ["family.*"]);
        std::fs::write(dir.path().join(NAME), "[self]").unwrap();
        let ConfigError::Syntax { origin, .. } = AccessTable::load(dir.path()).unwrap_err() else {
            panic!("a syntax error")
        };
        assert_eq!(origin, Origin::File(dir.path().join(NAME)));
    }

    #[test]
    fn services_under_integrity_are_names() {
        let dir = tempfile::TempDir::new().unwrap();
        let load = |services: &str| {
            let text = ACCESS_TOML.replace("services = []", &format!("services = {services}"));
            std::fs::write(dir.path().join(NAME), text).unwrap();
            AccessTable::load(dir.path())
        };
        assert_eq!(load("[\"verifier\", \"b-2\"]").unwrap().rules.integrity_services, ["verifier", "b-2"]);
        for wrong in ["[\"svc:verifier\"]", "[\"\"]", "[\"*\"]"] {
            let message = load(wrong).unwrap_err().to_string();
            for part in ["`integrity.services`", "access.toml", "names of services"] {
                assert!(message.contains(part), "{message}");
            }
        }
    }

    /// Returns the embedded table, with another row for agents.
    fn agent_table(path: &str) -> String {
        ACCESS_TOML.replace("[agent]\nminimal = [\"*\"]", &format!("[agent]\nminimal = [\"{path}\"]"))
    }

    #[test]
    fn a_changed_text_is_reported_and_a_file_never_gives_way_to_the_embedded_table() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join(NAME);
        let mut file = AccessTable::watch(dir.path());
        assert!(file.look().unwrap().is_none(), "the embedded table stays");
        let agent = |file: &mut Watched<AccessTable>| file.look().unwrap().unwrap().rules.agent.minimal;
        std::fs::write(&path, agent_table("eligibility.*")).unwrap();
        assert_eq!(agent(&mut file), ["eligibility.*"]);
        assert!(file.look().unwrap().is_none());
        // Of the same length, and as old.
        let times = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, agent_table("risk_scores.*")).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();
        assert_eq!(agent(&mut file), ["risk_scores.*"]);

        std::fs::remove_file(&path).unwrap();
        assert!(matches!(file.look(), Err(ConfigError::TableGone { .. })));
        assert!(file.look().unwrap().is_none(), "said once");
        std::fs::write(&path, "[self]").unwrap();
        assert!(matches!(file.look(), Err(ConfigError::Syntax { .. })));
        assert!(file.look().unwrap().is_none(), "said once");
        std::fs::write(&path, agent_table("risk_scores.*")).unwrap();
        assert_eq!(agent(&mut file), ["risk_scores.*"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_for_a_while_is_not_gone() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join(NAME);
        // A directory in its place cannot be read as a file.
        let unreadable = |file: &mut Watched<AccessTable>| {
            std::fs::create_dir(&path).unwrap();
            assert!(matches!(file.look(), Err(ConfigError::File { .. })));
            assert!(file.look().unwrap().is_none(), "said once");
            std::fs::remove_dir(&path).unwrap();
        };
        let mut file = AccessTable::watch(dir.path());
        unreadable(&mut file);
        assert!(file.look().unwrap().is_none(), "there never was one, so none is gone");
        std::fs::write(&path, ACCESS_TOML).unwrap();
        assert!(file.look().unwrap().is_some());
        std::fs::remove_file(&path).unwrap();
        unreadable(&mut file);
        std::fs::write(&path, ACCESS_TOML).unwrap();
        assert!(file.look().unwrap().is_none(), "it is the table in use");
        std::fs::remove_file(&path).unwrap();
        unreadable(&mut file);
        assert!(matches!(file.look(), Err(ConfigError::TableGone { .. })));
    }
}
