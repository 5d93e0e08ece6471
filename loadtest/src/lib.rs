//! Honest load generator: open loop, scenarios as files, a report.
