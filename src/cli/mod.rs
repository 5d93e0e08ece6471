//! The command line: one file per command.
//!
//! Exit codes: 0 success, 1 failure, 2 invalid arguments. An error is one line on stderr that says how to fix it.

mod backup;
mod config;
mod demo;
mod diff;
mod export;
mod generate;
mod history;
mod keyring;
mod keys;
mod login_link;
mod quarantine;
mod replay;
mod restore;
mod serve;
mod token;
mod verify_audit;
mod verify_export;
mod verify_receipt;
mod verify_store;
mod watch;

mod admin_client;
mod api_client;
mod http_client;
mod output;
mod output_file;
mod private_key;
mod progress;
mod server_arguments;
mod settings;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::process;
use output::{StdoutError, error_line, print_error, print_notice};

/// Serves one live, canonical JSON profile per citizen, merged from many sources and masked for each caller.
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
    Serve(serve::ServeArguments),
    Token(token::TokenArguments),
    LoginLink(login_link::LoginLinkArguments),
    Config(config::ConfigArguments),
    Demo(demo::DemoArguments),
    Watch(watch::WatchArguments),
    History(history::HistoryArguments),
    Diff(diff::DiffArguments),
    Generate(generate::GenerateArguments),
    Export(export::ExportArguments),
    Backup(backup::BackupArguments),
    Restore(restore::RestoreArguments),
    Keyring(keyring::KeyringArguments),
    Quarantine(quarantine::QuarantineArguments),
    Replay(replay::ReplayArguments),
    Keys(keys::KeysArguments),
    VerifyAudit(verify_audit::VerifyAuditArguments),
    VerifyExport(verify_export::VerifyExportArguments),
    VerifyReceipt(verify_receipt::VerifyReceiptArguments),
    VerifyStore(verify_store::VerifyStoreArguments),
}

/// Parses `arguments`, of which the first is the program's name, runs the command and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command_line = match CommandLine::try_parse_from(arguments) {
        Ok(command_line) => command_line,
        Err(error) => return print_parse_error(&error),
    };
    // Many commands read keys.
    if let Err(error) = process::forbid_core_dumps() {
        print_error(&format!("core dumps could not be turned off: {error}"));
        return ExitCode::FAILURE;
    }
    let result = match command_line.command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Token(arguments) => token::run(arguments),
        Command::LoginLink(arguments) => login_link::run(arguments),
        Command::Config(arguments) => config::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Keyring(arguments) => keyring::run(&arguments),
        Command::Quarantine(arguments) => quarantine::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::VerifyAudit(arguments) => verify_audit::run(&arguments),
        Command::VerifyExport(arguments) => verify_export::run(&arguments),
        Command::VerifyReceipt(arguments) => verify_receipt::run(&arguments),
        Command::VerifyStore(arguments) => verify_store::run(&arguments),
        Command::Watch(arguments) => watch::run(arguments),
        Command::History(arguments) => history::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Generate(arguments) => generate::run(arguments),
        Command::Export(arguments) => export::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if matches!(error.downcast_ref(), Some(StdoutError::BrokenPipe)) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// Prints help on stdout, and an error about arguments as one line on stderr.
fn print_parse_error(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print_notice(text.trim_end());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            print_notice(text.trim_end());
            ExitCode::from(2)
        }
        _ => {
            let is_detail = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more information");
            let details = text.lines().map(str::trim).take_while(is_detail);
            let line = details.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
            print_error(&format!("{}; see `profile-server --help`", line.trim_start_matches("error: ")));
            ExitCode::from(2)
        }
    }
}
