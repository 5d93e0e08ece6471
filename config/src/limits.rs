//! `limits.toml`: the rate limits.

use std::collections::BTreeMap;
use std::path::Path;

use domain::limits::{ClassRules, LimitClass, LimitRules, Quota};
use serde::Deserialize;

use crate::ConfigError;
use crate::table_file::TableFile;
use crate::watched::Watched;

/// The embedded limits, which are the default and the template for own ones.
pub const LIMITS_TOML: &str = include_str!("../limits.toml");
const NAME: &str = "limits.toml";

/// Maximum length of a window, in seconds.
const MAX_WINDOW_S: u32 = 86_400;

/// Reads `limits.toml` in `data_dir`, or the embedded limits if there is none. [`watch_limits`] finds later changes.
///
/// # Errors
/// The file cannot be read, is not TOML, has an unknown or missing section, or a number that is out of range.
pub fn load_limits(data_dir: &Path) -> Result<LimitRules, ConfigError> {
    from_file(&TableFile::find(data_dir, NAME, LIMITS_TOML)?)
}

/// Returns `limits.toml` in `data_dir`, which has not been read yet.
#[must_use]
pub fn watch_limits(data_dir: &Path) -> Watched<LimitRules> {
    Watched::new(data_dir.join(NAME), from_file)
}

/// All sections are required, so that omitting one cannot lift a limit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    auth: RawClass,
    sensitive: RawClass,
    diff: RawClass,
    read: RawClass,
    write: RawClass,
    snapshots: RawClass,
    assemble: RawClass,
    feed: RawClass,
    export: RawClass,
    internal: RawClass,
    addresses: RawAddresses,
    flood: RawFlood,
    #[serde(default)]
    services: BTreeMap<String, BTreeMap<String, u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClass {
    limit: Option<u32>,
    #[serde(default = "minute")]
    window_s: u32,
    burst: Option<u32>,
    service_limit: Option<u32>,
    address_limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAddresses {
    failures: u32,
    anonymous: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFlood {
    per_second: u32,
}

const fn minute() -> u32 {
    60
}

fn from_file(file: &TableFile) -> Result<LimitRules, ConfigError> {
    let raw: RawLimits = file.parse()?;
    let sections = [
        raw.auth,
        raw.sensitive,
        raw.diff,
        raw.read,
        raw.write,
        raw.snapshots,
        raw.assemble,
        raw.feed,
        raw.export,
        raw.internal,
    ];
    let mut classes = [ClassRules::default(); LimitClass::COUNT];
    for ((class, raw), rules) in LimitClass::ALL.into_iter().zip(sections).zip(&mut classes) {
        *rules = raw.rules().map_err(|fault| file.refuse(&format!("[{}]", class.name()), fault))?;
    }
    let mut services = BTreeMap::new();
    for (subject, limits) in raw.services {
        let limits = service(&subject, limits).map_err(|fault| file.refuse(&format!("\"{subject}\""), fault))?;
        services.insert(subject, limits);
    }
    if raw.addresses.failures == 0 || raw.addresses.anonymous == 0 {
        return Err(file.refuse("[addresses]", "`failures` and `anonymous` are at least 1".to_owned()));
    }
    Ok(LimitRules {
        classes,
        services,
        failures: Quota::per_minute(raw.addresses.failures),
        anonymous: Quota::per_minute(raw.addresses.anonymous),
        flood_per_second: raw.flood.per_second,
    })
}

impl RawClass {
    fn rules(self) -> Result<ClassRules, String> {
        let Self { limit, window_s, burst, service_limit, address_limit } = self;
        if !(1..=MAX_WINDOW_S).contains(&window_s) {
            return Err(format!("`window_s` is from 1 to {MAX_WINDOW_S}"));
        }
        if [limit, burst, service_limit, address_limit].contains(&Some(0)) {
            return Err("a limit is at least 1; leave `limit` out to count nothing".to_owned());
        }
        if limit.is_none() && (burst.is_some() || service_limit.is_some() || address_limit.is_some()) {
            return Err("`burst`, `service_limit` and `address_limit` need a `limit`".to_owned());
        }
        let quota = limit.map(|limit| Quota { limit, window_s, burst });
        Ok(ClassRules { quota, service_limit, address_limit })
    }
}

/// Checks the limits of one service.
fn service(subject: &str, limits: BTreeMap<String, u32>) -> Result<BTreeMap<LimitClass, u32>, String> {
    if !subject.starts_with("svc:") {
        return Err(format!("`{subject}` is not the subject of a service; allowed: `svc:` and its name"));
    }
    let parse = |(name, limit): (String, u32)| match LimitClass::parse(&name) {
        Some(class) if limit > 0 => Ok((class, limit)),
        Some(_) => Err(format!("the limit of `{subject}` for `{name}` is at least 1")),
        None => Err(format!(
            "`{name}` of `{subject}` is not a class; allowed: {}",
            LimitClass::ALL.map(LimitClass::name).join(", ")
        )),
    };
    limits.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LimitRules, ConfigError> {
        from_file(&TableFile::embedded(NAME, text))
    }

    #[test]
    fn the_embedded_limits_are_those_of_the_specification() {
        let rules = parse(LIMITS_TOML).expect("valid");
        let person = rules.for_person().map(|quota| quota.map(|quota| (quota.limit, quota.window_s, quota.burst)));
        let minute = |limit| Some((limit, 60, None));
        let expected = [
            minute(10),
            minute(30),
            minute(10),
            minute(100),
            minute(50),
            Some((10, 3600, Some(2))),
            Some((10, 60, Some(3))),
            None,
            Some((3, 3600, None)),
            minute(200),
        ];
        assert_eq!(person, expected);
        let service = rules.for_service("svc:any");
        assert_eq!(service[LimitClass::Read as usize], Some(Quota::per_minute(600_000)));
        assert_eq!(service[LimitClass::Auth as usize], Some(Quota::per_minute(10)));
        assert_eq!(rules.class(LimitClass::Assemble).address_limit, Some(5));
    }

    #[test]
    fn a_service_can_have_its_own_numbers() {
        let rules = parse(&format!("{LIMITS_TOML}\n[services.\"svc:portal\"]\nread = 7\nfeed = 9\n")).expect("valid");
        let of = |subject: &str, class: LimitClass| rules.for_service(subject)[class as usize].map(|quota| quota.limit);
        assert_eq!(of("svc:portal", LimitClass::Read), Some(7));
        assert_eq!(of("svc:portal", LimitClass::Feed), Some(9), "a class that others are not counted in");
        assert_eq!(of("svc:portal", LimitClass::Auth), Some(10));
        assert_eq!((of("svc:other", LimitClass::Read), of("svc:other", LimitClass::Feed)), (Some(600_000), None));
    }

    #[test]
    fn faults_are_refused_with_their_line() {
        let refused = |text: &str, part: &str| {
            let message = parse(text).expect_err(text).to_string();
            assert!(message.contains(part) && !message.contains('\n'), "{message}");
        };
        refused(&LIMITS_TOML.replace("[diff]", "[difference]"), "unknown field `difference`");
        refused(&LIMITS_TOML.replace("[feed]\n", ""), "missing field `feed`");
        refused(&LIMITS_TOML.replace("limit = 50", "limit = 0"), "at least 1");
        refused(&LIMITS_TOML.replace("window_s = 3600\nburst", "window_s = 0\nburst"), "`window_s` is from 1 to 86400");
        refused(&LIMITS_TOML.replace("[feed]\n", "[feed]\nburst = 2\n"), "need a `limit`");
        refused(&LIMITS_TOML.replace("failures = 60", "failures = 0"), "at least 1");
        let line = LIMITS_TOML.lines().count() + 2;
        let service = |text: &str| format!("{LIMITS_TOML}\n{text}\n");
        refused(&service("[services.\"adm:x\"]\nread = 1"), &format!("line {line}: `adm:x` is not the subject"));
        refused(&service("[services.\"svc:x\"]\nreads = 1"), "allowed: auth, sensitive, diff, read");
        refused(&service("[services.\"svc:x\"]\nread = 0"), "at least 1");
    }

    #[test]
    fn a_change_is_found_and_a_file_never_gives_way_to_the_embedded_limits() {
        let dir = tempfile::TempDir::new().expect("a directory");
        let mut watched = watch_limits(dir.path());
        assert!(watched.look().expect("no file").is_none());
        std::fs::write(dir.path().join(NAME), LIMITS_TOML.replace("limit = 50", "limit = 7")).expect("written");
        let rules = watched.look().expect("valid").expect("a change");
        assert_eq!(rules.for_person()[LimitClass::Write as usize], Some(Quota::per_minute(7)));
        assert_eq!(load_limits(dir.path()).expect("valid"), rules);
        std::fs::remove_file(dir.path().join(NAME)).expect("removed");
        assert!(matches!(watched.look(), Err(ConfigError::TableGone { .. })));
    }
}
