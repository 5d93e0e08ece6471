//! Names that only some places may use: the world comes in through few doors, and dangerous things have one home.

use crate::code::{self, Code, mentions};
use crate::none;

/// Names, and where they may stand.
struct Rule {
    what: &'static str,
    names: &'static [&'static str],
    /// Whether tests, examples and benchmarks are bound too.
    binds_tests: bool,
    /// Path prefixes where the names may stand, each with the reason.
    except: &'static [(&'static str, &'static str)],
}

const RULES: &[Rule] = &[
    Rule {
        what: "reads the calendar clock",
        names: &["SystemTime::now", "Timestamp::now", "Zoned::now", "UNIX_EPOCH.elapsed"],
        binds_tests: false,
        except: &[
            ("src/wiring", "the system's clock is made here and injected everywhere"),
            ("loadtest/src/wall_clock.rs", "events that happen now carry the time of now"),
        ],
    },
    Rule {
        what: "measures time",
        names: &["Instant::now", "elapsed"],
        binds_tests: false,
        except: &[
            ("src/", "durations of requests, and time-outs"),
            ("store/src/", "durations of commits and checkpoints, for metrics and pacing"),
            ("actors/src/", "idle times, and how long a revision took"),
            ("loadtest/src/", "measuring is what it is for"),
        ],
    },
    Rule {
        what: "draws randomness",
        names: &["getrandom", "thread_rng", "OsRng", "rand", "new_v4", "now_v7", "RandomState"],
        binds_tests: false,
        except: &[("src/wiring", "the system's entropy is made here and injected everywhere")],
    },
    Rule {
        what: "reads the environment",
        names: &["env::var", "env::vars", "env::var_os", "env::vars_os"],
        binds_tests: false,
        except: &[("config/src/", "settings have one way in")],
    },
    Rule {
        what: "writes unsafe code",
        names: &["unsafe"],
        binds_tests: true,
        except: &[("store/src/sync_shim.rs", "replaces the C function that sled syncs with")],
    },
    Rule { what: "sends past a mailbox's bound", names: &["do_send"], binds_tests: true, except: &[] },
    Rule {
        what: "registers metrics apart from its room's metric file",
        names: &["counter!", "gauge!", "histogram!", "describe_counter!", "describe_gauge!", "describe_histogram!"],
        binds_tests: false,
        except: &[
            ("store/src/metric.rs", "the store's metric names"),
            ("actors/src/metric.rs", "the actors' metric names"),
            ("src/telemetry/metric.rs", "the front door's metric names"),
        ],
    },
    Rule {
        what: "prints past what may fail",
        names: &["println!", "eprintln!", "print!", "eprint!"],
        binds_tests: false,
        except: &[],
    },
    Rule { what: "leaves work for later", names: &["todo!", "unimplemented!", "dbg!"], binds_tests: true, except: &[] },
    Rule { what: "skips a test", names: &["#[ignore"], binds_tests: true, except: &[] },
];

#[test]
fn the_world_comes_in_through_few_doors() {
    let sources = code::all();
    assert!(sources.len() > 50, "only {} Rust files were found", sources.len());
    none(RULES.iter().flat_map(|rule| findings(rule, &sources)).collect());
}

fn findings(rule: &Rule, sources: &[Code]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in sources.iter().filter(|file| rule.binds_tests || !file.is_test) {
        if rule.except.iter().any(|(place, _)| file.path.starts_with(place)) {
            continue;
        }
        for name in rule.names.iter().filter(|name| mentions(&file.code, name)) {
            findings.push(format!("{} {} (`{name}`)", file.path, rule.what));
        }
    }
    findings
}

#[test]
fn every_exception_is_still_needed() {
    let sources = code::all();
    let mut findings = Vec::new();
    for rule in RULES {
        for (place, _) in rule.except {
            let mut there = sources.iter().filter(|file| file.path.starts_with(place)).peekable();
            let used = there.any(|file| rule.names.iter().any(|name| mentions(&file.code, name)));
            if !used {
                findings.push(format!("nothing under `{place}` {}: take the exception back", rule.what));
            }
        }
    }
    none(findings);
}

/// A silenced lint says why; and the product expects it to fire, so that the exception goes when its cause goes.
#[test]
fn silenced_lints_say_why() {
    let mut findings = Vec::new();
    for file in code::all() {
        for keyword in ["allow", "expect"] {
            for (at, _) in file.code.match_indices(&format!("[{keyword}(")) {
                let attribute = file.code[at..].split(']').next().unwrap_or_default();
                if !mentions(attribute, "reason") {
                    findings.push(format!("{} silences a lint without a reason: #{attribute}]", file.path));
                } else if keyword == "allow" && !file.is_test {
                    findings.push(format!("{} should `expect` instead: #{attribute}]", file.path));
                }
            }
        }
    }
    none(findings);
}

/// HTTP and the live outlets see views only, so that nothing can pass a mask by.
#[test]
fn the_front_door_cannot_name_an_unmasked_profile() {
    let doors = ["src/http", "src/live"];
    let sources = code::all();
    let behind_doors = sources.iter().filter(|file| doors.iter().any(|door| file.path.starts_with(door)));
    let findings = behind_doors.filter(|file| names_profile(&file.code));
    none(findings.map(|file| format!("{} names `domain::profile`", file.path)).collect());
}

/// Whether the code names the module `domain::profile`, alone or in a group of a `use`.
fn names_profile(code: &str) -> bool {
    const GROUP: &str = "domain::{";
    let dense = code.split_whitespace().collect::<Vec<_>>().join(" ").replace(":: ", "::");
    let groups = dense.match_indices(GROUP).flat_map(|(at, _)| items_of_group(&dense[at + GROUP.len()..]));
    let mut items = groups.map(|item| item.trim().split([':', ' ']).next().unwrap_or_default());
    mentions(&dense, "domain::profile") || items.any(|item| item == "profile")
}

/// What stands between the commas of a `use` group; `rest` starts behind its opening brace.
fn items_of_group(rest: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                items.push(&rest[start..at]);
                start = at + 1;
            }
            '}' => {
                items.push(&rest[start..at]);
                return items;
            }
            _ => {}
        }
    }
    items
}

#[test]
fn a_profile_is_found_in_every_kind_of_use() {
    assert!(names_profile("use domain::profile::Profile;"));
    assert!(names_profile("use domain::{id::UserId, profile::Profile};"));
    assert!(names_profile("use domain::{\n    profile,\n};"));
    assert!(names_profile("use domain::{access::{Policy, Viewer}, profile};"));
    assert!(!names_profile("use domain::{access::profile, id::UserId};"));
    assert!(!names_profile("use domain::{access::{profile, Viewer}}; use actors::{profile::Get};"));
    assert!(!names_profile("use domain::profiles::All;"));
}
