//! The command line of the load generator.

use crate::report::Report;
use crate::scenario::find;
use crate::scenario::{self, BUILT_IN, RunEnvironment, Scenario};
use crate::{baseline, floor};
use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  loadtest run --quick
  loadtest run --scenario read --scenario post
  loadtest run --scenario ingest --users 300000 --seconds 60 --set server.checkpoint.interval_s=20
  loadtest run --scenario ingest --json report.json
  loadtest run --scenario my-own.toml
  loadtest run --scenario neighbours --server old/profile-server
  loadtest list";

/// Measures the profile server, and prints the figures next to their goals.
#[derive(Parser)]
#[command(name = "loadtest", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs scenarios. Starts the server by itself, on free ports and with temporary data
    #[command(after_help = EXAMPLES)]
    Run(Run),
    /// Prints the built-in scenarios with their settings
    List,
    /// Runs the bare handler that reads are compared with; `run` starts it by itself
    #[command(hide = true)]
    Baseline {
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
    /// Runs the bare durable log that feeds are compared with; `run` starts it by itself
    #[command(hide = true)]
    Floor {
        #[arg(long, default_value_t = 2)]
        workers: usize,
        /// Folder for the log
        #[arg(long, value_name = "DIR")]
        directory: PathBuf,
    },
}

#[derive(Args)]
struct Run {
    /// Name of a built-in scenario, or path of a scenario file; may be repeated [default: read, post, live, fanout,
    /// ingest]
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Makes short runs to see whether everything works; their figures are not meaningful
    #[arg(long)]
    quick: bool,
    /// Overrides a setting of the scenario, for example `users=100000`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Number of distinct users of the scenario: short for `--set users=N`
    #[arg(long, value_name = "N")]
    users: Option<u64>,
    /// Length of the measurement: short for `--set seconds=N`
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Path of the server's program [default: `profile-server` in the folder of this program]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Folder for temporary data, on the disk to measure [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Also writes the report with all details to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the program. Exit codes: 0 success, whether or not goals are met; 1 failure; 2 invalid arguments.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::List => list(),
        Command::Baseline { workers } => baseline::run(workers),
        Command::Floor { workers, directory } => floor::run(workers, &directory),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Run) -> Result<()> {
    let this = std::env::current_exe().context("could not find this program")?;
    let scratch = arguments.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let names = match arguments.scenarios.as_slice() {
        [] => BUILT_IN.map(|(name, _)| name.to_owned()).to_vec(),
        names => names.to_vec(),
    };
    let short_forms = [("users", arguments.users), ("seconds", arguments.seconds)];
    let mut overrides = arguments.overrides.clone();
    overrides.extend(short_forms.iter().filter_map(|(key, value)| value.map(|value| format!("{key}={value}"))));
    let mut scenarios = Vec::new();
    for name in &names {
        let (name, text) = find(name)?;
        let scenario = Scenario::read(&text, arguments.quick, &overrides);
        scenarios.push((scenario.with_context(|| format!("scenario `{name}`"))?, name));
    }
    let server = arguments.server.clone().unwrap_or_else(|| this.with_file_name("profile-server"));
    ensure!(server.exists(), "no server at `{}`: build it first, or give its path with `--server`", server.display());
    let environment = RunEnvironment::new(server, this, scratch);
    let reports: Result<Vec<_>> = scenarios.iter().map(|(scenario, name)| scenario.run(name, &environment)).collect();
    drop(environment);
    let report = Report::new(reports?);
    if let Some(path) = &arguments.json {
        let json = serde_json::to_vec_pretty(&report).context("could not render the report as JSON")?;
        std::fs::write(path, json).with_context(|| format!("could not write `{}`", path.display()))?;
    }
    print(&report.text())
}

fn list() -> Result<()> {
    for (name, text) in scenario::known() {
        print(&format!("── {name} ──\n{text}\n"))?;
    }
    Ok(())
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("could not write to stdout")
}
