//! Rules that the compiler does not check: dependencies between crates, the uses of required external crates, and the
//! places that may read the clock, the environment or randomness. Each table entry and each exception has its reason.

mod code;
mod configuration;
mod documents;
mod edges;
mod exports;
mod fixed_crates;
mod manifest;
mod metrics;
mod needed;
mod rules;
mod storage;
mod text;
mod tree;

/// Fails with all findings at once, one a line.
#[track_caller]
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} finding(s):\n  {}\n", findings.len(), findings.join("\n  "));
}
