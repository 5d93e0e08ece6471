//! The command line.

use crate::report::Report;
use crate::scenario::{self, BUILT_IN, Bench, Scenario};
use crate::{baseline, scenario::find};
use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  loadtest run --quick
  loadtest run --scenario read --scenario post
  loadtest run --scenario ingest --set users=100000 --set seconds=60 --json report.json
  loadtest run --scenario my-own.toml
  loadtest run --scenario neighbours --server old/profile-server
  loadtest list";

/// Measures the profile server beside a bare handler, and prints what was measured beside the goals.
#[derive(Parser)]
#[command(name = "loadtest", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios: starts the server by itself, on free ports and throw-away data
    #[command(after_help = EXAMPLES)]
    Run(Run),
    /// Show the scenarios that come along, with their settings
    List,
    /// The bare handler that reads are compared with; `run` starts it by itself
    #[command(hide = true)]
    Baseline {
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
}

#[derive(Args)]
struct Run {
    /// A scenario by name, or a file; may be repeated [default: read, post, live, fanout and ingest]
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Short runs, to see that everything works; the numbers say little
    #[arg(long)]
    quick: bool,
    /// Another value for a setting of the scenario, as `users=100000`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The server's program [default: beside this one]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Where throw-away data may lie: on the disk that is to be measured [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Write the report to this file too, with all details
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Exit codes: 0 done (whatever the numbers say), 1 failed, 2 wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::List => list(),
        Command::Baseline { workers } => baseline::run(workers),
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
    let mut scenarios = Vec::new();
    for name in &names {
        let (name, text) = find(name)?;
        let scenario = Scenario::read(&text, arguments.quick, &arguments.overrides);
        scenarios.push((scenario.with_context(|| format!("scenario `{name}`"))?, name));
    }
    let server = arguments.server.clone().unwrap_or_else(|| this.with_file_name("profile-server"));
    ensure!(server.exists(), "no server at `{}`: build it first, or give its path with `--server`", server.display());
    let bench = Bench::new(server, this, scratch);
    let outcomes: Result<Vec<_>> = scenarios.iter().map(|(scenario, name)| scenario.run(name, &bench)).collect();
    drop(bench);
    let report = Report::new(outcomes?);
    if let Some(path) = &arguments.json {
        let json = serde_json::to_vec_pretty(&report).context("a report that is no JSON")?;
        std::fs::write(path, json).with_context(|| format!("could not write `{}`", path.display()))?;
    }
    say(&report.text())
}

fn list() -> Result<()> {
    for (name, text) in scenario::known() {
        say(&format!("── {name} ──\n{text}\n"))?;
    }
    Ok(())
}

fn say(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("could not write to stdout")
}
