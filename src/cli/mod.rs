//! The command line: one file per command.
//!
//! Exit codes: 0 done, 1 failed, 2 used wrongly. An error is one line on stderr that names the remedy.

mod config;
mod demo;
mod generate;
mod http_client;
mod screen;
mod serve;
mod token;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// One live, canonical JSON document per citizen: merged, masked and served.
#[derive(Parser)]
#[command(name = "profile-server", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  profile-server demo
  profile-server serve --data-dir var
  profile-server token --data-dir var --sub usr_7Qm2Xr9TzKpA --role self
  profile-server generate --users 1000 --out var/events.ndjson
  profile-server <command> --help";

#[derive(Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Token(token::Arguments),
    Config(config::Arguments),
    Demo(demo::Arguments),
    Watch(watch::Arguments),
    Generate(generate::Arguments),
}

/// Runs the command that `arguments` name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => return explain(&error),
    };
    let result = match line.command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Token(arguments) => token::run(arguments),
        Command::Config(arguments) => config::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Watch(arguments) => watch::run(arguments),
        Command::Generate(arguments) => generate::run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if matches!(error.downcast_ref(), Some(Unsaid::Closed)) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&line_of(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, each said once: most name theirs themselves.
fn line_of(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |line, cause| match line.as_str() {
        "" => cause,
        said if said.contains(&cause) => line,
        said => format!("{said}: {cause}"),
    })
}

/// Help goes to stdout whole; a wrong use is one line on stderr.
fn explain(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            say(text.trim_end());
            let asked = error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            ExitCode::from(if asked { 0 } else { 2 })
        }
        _ => {
            let is_detail = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more information");
            let details = text.lines().map(str::trim).take_while(is_detail);
            let line = details.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
            complain(&format!("{}; see `profile-server --help`", line.trim_start_matches("error: ")));
            ExitCode::from(2)
        }
    }
}

/// A line on stdout, beside what the command does: that nobody reads it is no error.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Why a line did not come out.
#[derive(Debug, thiserror::Error)]
enum Unsaid {
    /// Whoever read stdout has enough: the command is done.
    #[error("nobody reads stdout any more")]
    Closed,
    /// A full disk, most likely.
    #[error("stdout cannot be written: {0}; make room, or send it elsewhere")]
    Failed(io::Error),
}

/// A line on stdout that the command is there for.
fn print_line(line: &str) -> Result<(), Unsaid> {
    writeln!(io::stdout(), "{line}").map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Unsaid::Closed,
        _ => Unsaid::Failed(error),
    })
}

/// A line on stderr, whatever the message's own line breaks.
fn complain(message: &str) {
    let line = message.split(['\n', '\r']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let _ = writeln!(io::stderr(), "profile-server: {line}");
}
