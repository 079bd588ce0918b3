//! The command line: the only place that knows a terminal, colours, signals and exit codes.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are what --help prints, and it knows no backticks"
)]

mod convert;
mod exit;
mod findings_page;
mod global;
mod inspect;
mod lies;
mod manifest;
mod memory;
mod output;
mod pages;
mod parties;
mod progress;
mod quota;
mod render;
mod repair;
mod run;
mod stores;
mod terminal;
mod verify;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use exit::Exit;
use global::Global;

/// Move mail stores safely, offline: every message, UID, flag and date, and the proof
///
/// A LOCATION is DRIVER:PATH[:KEY=VALUE...], as in Dovecot's mail_location. With a variable (%u, %n,
/// %d) it stands for many accounts.
///
/// Exit status: 0 done and nothing differs; 1 done, and something needs a person; 64 wrong command
/// line; 66 a source or user is not there; 73 the destination holds something that is not ours;
/// 74 I/O error; 75 not now, run again; 77 permission denied.
#[derive(Parser)]
#[command(name = "mailtally", version, term_width = terminal::width())]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(inspect::Inspect),
    Convert(convert::Convert),
    Verify(verify::Verify),
    Manifest(manifest::ManifestOf),
    Quota(quota::Quota),
    Repair(repair::Repair),
    Completions(pages::Completions),
    Man(pages::Man),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    memory::give_back();
    let cli = match Cli::try_parse_from(words(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    cli.global.start_log();
    let done = match cli.command {
        Command::Inspect(inspect) => inspect.run(&cli.global),
        Command::Convert(convert) => convert.run(&cli.global),
        Command::Verify(verify) => verify.run(&cli.global),
        Command::Manifest(manifest) => manifest.run(&cli.global),
        Command::Quota(quota) => quota.run(&cli.global),
        Command::Repair(repair) => repair.run(&cli.global),
        Command::Completions(completions) => Ok(completions.run(&mut Cli::command())),
        Command::Man(man) => man.run(&Cli::command()),
    };
    done.unwrap_or_else(|error| {
        exit::complain(&error);
        Exit::of(&error)
    })
    .into()
}

/// Whoever asks for help on help gets help: clap takes the option for the name of a command.
fn words(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<_> = given.collect();
    if words.get(1).is_some_and(|word| word == "help") {
        words.retain(|word| word != "--help" && word != "-h");
    }
    words
}

/// clap's own code for a wrong command line is 2; here it is 64.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        exit::say_broken(error);
        Exit::Usage.into()
    } else {
        // A closed pipe ends quietly.
        let _ = error.print();
        ExitCode::SUCCESS
    }
}
