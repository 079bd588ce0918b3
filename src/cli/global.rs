//! Options that every command knows.

use std::io::{IsTerminal, stderr, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

use super::terminal;

/// Options that every command knows.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Options that every command knows")]
pub struct Global {
    /// Work on so many accounts or messages at once [default: the cores]
    #[arg(short, long, value_name = "N", global = true)]
    pub jobs: Option<NonZeroUsize>,
    /// Only users that match; `*` and `?` stand for any text and any character
    #[arg(short, long = "user", value_name = "MASK", global = true)]
    pub users: Vec<String>,
    /// Only the users in FILE, one a line
    #[arg(short = 'F', long, value_name = "FILE", global = true)]
    pub user_file: Option<PathBuf>,
    /// Only the I-th of N shares of the users
    #[arg(long, value_name = "I/N", value_parser = shard, global = true)]
    pub shard: Option<(u32, u32)>,
    /// Write records, one JSON object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what is wrong: the verdict and errors, and nothing where all is well
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more; twice: say what is done
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// When to show progress on standard error
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub progress: When,
    /// How to write the log on standard error
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        global = true
    )]
    pub log_format: LogFormat,
    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub color: When,
}

/// When to do something that suits a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Where it suits
    #[default]
    Auto,
    /// Wherever
    Always,
    /// Nowhere
    Never,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// JSON objects
    Json,
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    let (nth, of) = text.split_once('/').ok_or("write I/N, such as 1/4")?;
    let number = |part: &str| {
        part.parse::<u32>()
            .map_err(|_| format!("{part} is no number"))
    };
    let (nth, of) = (number(nth)?, number(of)?);
    if nth == 0 || nth > of {
        return Err(format!("{nth} is not between 1 and {of}"));
    }
    Ok((nth, of))
}

impl Global {
    /// How many at once.
    pub fn jobs(&self) -> usize {
        let cores = std::thread::available_parallelism();
        let jobs = self.jobs.or(cores.ok());
        // More threads than that only wait for one another.
        jobs.map_or(1, NonZeroUsize::get).min(256)
    }

    /// Colours for what goes to standard output.
    pub fn colours(&self) -> bool {
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// Starts the log on standard error.
    pub fn start_log(&self) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::ERROR,
            (_, 0 | 1) => LevelFilter::WARN,
            (_, 2) => LevelFilter::INFO,
            _ => LevelFilter::DEBUG,
        };
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(terminal::Complaints::default)
            .log_internal_errors(false)
            .with_target(false)
            .with_ansi(stderr().is_terminal() && self.color != When::Never);
        match self.log_format {
            LogFormat::Text => log.init(),
            LogFormat::Json => log.json().with_writer(stderr).init(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shard;

    #[test]
    fn a_shard_is_one_of_n() {
        assert_eq!(shard("1/4"), Ok((1, 4)));
        for wrong in ["0/4", "5/4", "1", "a/b", "1/0", "-1/2"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }
}
