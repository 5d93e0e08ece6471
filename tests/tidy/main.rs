//! What the compiler does not hold: who may know whom, what each fixed crate is for, and where the world (clock,
//! environment, randomness) may come in. Each table entry and each exception says why.

mod code;
mod configuration;
mod documents;
mod edges;
mod fixed_crates;
mod manifest;
mod metrics;
mod needed;
mod rules;
mod text;
mod tree;

/// Fails with all findings at once, one a line.
#[track_caller]
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} finding(s):\n  {}\n", findings.len(), findings.join("\n  "));
}
