//! What the process ends with (INTERFACE.md), and how an error is said.

use std::io;
use std::process::ExitCode;

use mailtally::Error;

use super::render::{broken, hanging};
use super::terminal;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done; every message is accounted for, and nothing differs.
    Done = 0,
    /// Done, and something needs a person.
    Attention = 1,
    /// The command line is wrong.
    Usage = 64,
    /// A source or user named is not there.
    NoInput = 66,
    /// The destination cannot be created, or holds something that is not ours to replace.
    CantCreate = 73,
    /// An I/O error ended the run.
    IoError = 74,
    /// Not now, run again.
    TempFail = 75,
    /// Permission denied for the whole run.
    NoPerm = 77,
}

impl Exit {
    /// The code for an error that ended a run.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Usage { .. } => Self::Usage,
            // A tally that cannot be read is no input.
            Error::Missing { .. }
            | Error::Format {
                format: "tally", ..
            } => Self::NoInput,
            Error::Occupied { .. } => Self::CantCreate,
            Error::Locked { .. } | Error::InUse { .. } | Error::Interrupted => Self::TempFail,
            Error::Io { source, .. } => Self::of_io(source.kind()),
            _ => Self::Attention,
        }
    }

    fn of_io(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::NotFound => Self::NoInput,
            io::ErrorKind::PermissionDenied => Self::NoPerm,
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::ReadOnlyFilesystem => Self::CantCreate,
            _ => Self::IoError,
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Says an error, what caused it, and the next step.
pub fn complain(error: &Error) {
    say("error: ", &error.chain());
    if let Some(help) = error.help() {
        say("help: ", &help);
    }
}

/// A complaint, broken at words.
pub fn say(lead: &str, text: &str) {
    let mut out = String::new();
    let width = terminal::width_of_complaints();
    hanging(&mut out, width, lead, 2, text);
    terminal::complain(&out);
}

/// A complaint of clap, which breaks nothing but its help.
pub fn say_broken(error: &clap::Error) {
    let text = error.render().to_string();
    let told = broken(&text, terminal::width_of_complaints());
    if told == text {
        let _ = error.print(); // with its colours
    } else {
        terminal::complain(&told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_code_of_the_interface() {
        let io = |kind: io::ErrorKind| Error::Io {
            action: "write",
            path: "x".into(),
            source: kind.into(),
        };
        assert_eq!(Exit::of(&io(io::ErrorKind::StorageFull)), Exit::IoError);
        assert_eq!(Exit::of(&io(io::ErrorKind::PermissionDenied)), Exit::NoPerm);
        assert_eq!(Exit::of(&io(io::ErrorKind::NotFound)), Exit::NoInput);
        assert_eq!(Exit::of(&Error::Interrupted), Exit::TempFail);
        assert_eq!(Exit::CantCreate.code(), 73);
    }
}
