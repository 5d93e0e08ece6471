//! Names that only some files may use: sources of time, randomness and settings, and other restricted functions.

use crate::code::{self, Code, mentions};
use crate::none;

/// Names, and the places where they may be used.
struct Rule {
    what: &'static str,
    names: &'static [&'static str],
    /// Whether the rule also applies to tests, examples and benchmarks.
    binds_tests: bool,
    /// Path prefixes of files that may use the names, each with the reason.
    except: &'static [(&'static str, &'static str)],
}

const RULES: &[Rule] = &[
    Rule {
        what: "reads the calendar clock",
        names: &["SystemTime::now", "Timestamp::now", "Zoned::now", "UNIX_EPOCH.elapsed"],
        binds_tests: false,
        except: &[
            ("src/wiring", "the system clock is created here and injected everywhere"),
            ("loadtest/src/wall_clock.rs", "generated events carry the present time"),
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
            ("loadtest/src/", "a load generator measures time"),
        ],
    },
    Rule {
        what: "draws randomness",
        names: &["getrandom", "thread_rng", "OsRng", "rand", "new_v4", "now_v7", "RandomState"],
        binds_tests: false,
        except: &[("src/wiring", "the source of randomness is created here and injected everywhere")],
    },
    Rule {
        what: "reads the environment",
        names: &["env::var", "env::vars", "env::var_os", "env::vars_os"],
        binds_tests: false,
        except: &[("config/src/", "only this crate reads settings")],
    },
    Rule {
        what: "writes unsafe code",
        names: &["unsafe"],
        binds_tests: true,
        except: &[
            ("store/src/sync_shim.rs", "replaces the C function that sled syncs with"),
            ("kernels/src/cuda/driver.rs", "calls the CUDA driver, which is a C library"),
        ],
    },
    Rule {
        what: "registers a route outside the route table",
        names: &["web::to", "web::resource", "web::scope", "web::get", "web::post", "web::put", "web::delete"],
        binds_tests: false,
        except: &[
            ("src/http/routes", "the route table"),
            ("src/http/request_layer.rs", "makes the resources of the table's rows, and answers addresses without one"),
            ("src/http/request/admission.rs", "wraps the handlers of rows that need a caller"),
            ("loadtest/src/", "servers that the measured one is compared with"),
        ],
    },
    Rule {
        what: "learns who calls in another way than by the row of its route",
        names: &["caller_with_new_keys", "session_caller", "bearer_token"],
        binds_tests: false,
        except: &[("src/http/request/", "admission, and what it is made of")],
    },
    Rule { what: "ignores the capacity of a mailbox", names: &["do_send"], binds_tests: true, except: &[] },
    Rule {
        what: "registers metrics outside its crate's metric file",
        names: &["counter!", "gauge!", "histogram!", "describe_counter!", "describe_gauge!", "describe_histogram!"],
        binds_tests: false,
        except: &[
            ("store/src/metric.rs", "the store's metric names"),
            ("actors/src/metric.rs", "the actors' metric names"),
            ("src/telemetry/metric.rs", "the server's metric names"),
        ],
    },
    Rule {
        what: "prints and ignores write errors",
        names: &["println!", "eprintln!", "print!", "eprint!"],
        binds_tests: false,
        except: &[],
    },
    Rule {
        what: "leaves work unfinished",
        names: &["todo!", "unimplemented!", "dbg!"],
        binds_tests: true,
        except: &[],
    },
    Rule {
        what: "skips a test",
        names: &["#[ignore"],
        binds_tests: true,
        except: &[("src/telemetry/mod.rs", "another test runs it in a process of its own, and checks that it passed")],
    },
];

#[test]
fn restricted_names_are_used_only_where_allowed() {
    let sources = code::all();
    assert!(sources.len() > 50, "only {} Rust files were found", sources.len());
    none(RULES.iter().flat_map(|rule| findings(rule, &sources)).collect());
}

/// Returns the part of a file that a rule binds.
fn bound_code<'a>(rule: &Rule, file: &'a Code) -> &'a str {
    if rule.binds_tests { &file.with_tests } else { &file.code }
}

fn findings(rule: &Rule, sources: &[Code]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in sources.iter().filter(|file| rule.binds_tests || !file.is_test) {
        if rule.except.iter().any(|(place, _)| file.path.starts_with(place)) {
            continue;
        }
        for name in rule.names.iter().filter(|name| mentions(bound_code(rule, file), name)) {
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
            let used = there.any(|file| rule.names.iter().any(|name| mentions(bound_code(rule, file), name)));
            if !used {
                findings.push(format!("nothing under `{place}` {}: remove the exception", rule.what));
            }
        }
    }
    none(findings);
}

/// A silenced lint has a reason. Product code uses `expect`, so that an exception without a cause is reported.
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

/// HTTP and the live outlets handle only masked views, so that no unmasked value can reach a client.
#[test]
fn http_and_live_code_cannot_name_an_unmasked_profile() {
    let folders = ["src/http", "src/live"];
    let sources = code::all();
    let restricted = sources.iter().filter(|file| folders.iter().any(|folder| file.path.starts_with(folder)));
    let findings = restricted.filter(|file| names_profile(&file.code));
    none(findings.map(|file| format!("{} names `domain::profile`", file.path)).collect());
}

/// Returns whether the code names the module `domain::profile`, alone or in a group of a `use`.
fn names_profile(code: &str) -> bool {
    const GROUP: &str = "domain::{";
    let dense = code.split_whitespace().collect::<Vec<_>>().join(" ").replace(":: ", "::");
    let groups = dense.match_indices(GROUP).flat_map(|(at, _)| items_of_group(&dense[at + GROUP.len()..]));
    let mut items = groups.map(|item| item.trim().split([':', ' ']).next().unwrap_or_default());
    mentions(&dense, "domain::profile") || items.any(|item| item == "profile")
}

/// Returns the items of a `use` group; `rest` starts after its opening brace.
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
