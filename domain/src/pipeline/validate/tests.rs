use jiff::tz::TimeZone;

use super::*;

/// 2026-01-21T12:00:00Z.
const NOW: i64 = 1_768_996_800_000_000;

fn rules() -> Rules {
    Rules {
        zone: TimeZone::UTC,
        districts: [("karnataka".to_owned(), Default::default())].into(),
        not_applicable: Vec::new(),
        limits: Default::default(),
    }
}

#[test]
fn the_examples_are_accepted() {
    for line in include_str!("../../../../data/example/events.ndjson").lines() {
        let source =
            line.split("\"source\":\"/engines/").nth(1).and_then(|rest| rest.split('"').next()).expect("a source");
        let source = Source::parse(source).expect("a known source");
        let event =
            validate(line.as_bytes(), source, &rules(), NOW).unwrap_or_else(|error| panic!("{error} in {line}"));
        assert_eq!((event.source, event.user.as_str()), (source, "usr_7Qm2Xr9TzKpA"));
        assert!(!event.writes.is_empty());
    }
}
