//! Why an operation cannot go on. Damage in the mail itself is a [`Finding`](crate::report::Finding).

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::bytes::Decode;
use crate::report::escape;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused a step.
    #[error("cannot {action} {}", shown(path))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what its name says.
    #[error("{} is not a readable {format} file", shown(path))]
    Format {
        /// The format that was expected.
        format: &'static str,
        /// Where.
        path: PathBuf,
        /// The byte and field that do not fit.
        source: Decode,
    },
    /// A location on the command line cannot be understood.
    #[error("{what}")]
    Usage {
        /// What is wrong, and with which argument.
        what: String,
        /// What to write instead.
        help: String,
    },
    /// A source or user that was named is not there.
    #[error("{what}")]
    Missing {
        /// What was looked for, and where.
        what: String,
        /// What to write instead; empty where nobody can know.
        help: String,
    },
    /// The destination holds something that is not ours to replace.
    #[error("{}: {why}", shown(path))]
    Occupied {
        /// The destination.
        path: PathBuf,
        /// What lies there.
        why: String,
        /// What to do about it.
        help: String,
    },
    /// Another process works on the same account.
    #[error("{} is locked by another process", shown(path))]
    Locked {
        /// What is locked.
        path: PathBuf,
    },
    /// A server works on the account.
    #[error("{} is in use: {why}", shown(path))]
    InUse {
        /// What shows it.
        path: PathBuf,
        /// How.
        why: String,
    },
    /// A signal or a full stop asked for the end.
    #[error("interrupted")]
    Interrupted,
    /// Our own mistake, caught so that the other accounts go on.
    #[error("internal error: {0}")]
    Bug(String),
}

impl Error {
    /// The next step for the administrator, where there is one to name.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Usage { help, .. } | Self::Missing { help, .. } | Self::Occupied { help, .. } => {
                Some(help.clone()).filter(|help| !help.is_empty())
            }
            Self::Locked { .. } => {
                Some("another mailtally run is at work on this account; wait for it".into())
            }
            Self::InUse { .. } => Some(
                "stop the mail server for this user; if it is stopped already, say so with --offline"
                    .into(),
            ),
            Self::Interrupted => Some("run the same command again; it is safe".into()),
            Self::Bug(_) => Some("please report this, with the command and the log".into()),
            Self::Io { source, .. } => io_help(source),
            Self::Format {
                format: "tally", ..
            } => Some(
                "copy the file once more, or make it again: mailtally manifest LOCATION -o FILE"
                    .into(),
            ),
            _ => None,
        }
    }

    /// The system's own error number, if the system refused a step.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// True when the name simply is not there.
    pub fn is_not_found(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::NotFound)
    }

    /// The whole chain in one line, for reports.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

/// A path may hold whatever a user called a file.
fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_bytes())
}

fn io_help(source: &io::Error) -> Option<String> {
    let help = match source.kind() {
        io::ErrorKind::PermissionDenied => "run as the mail user, or as root",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on the file system of this path, and run the same command again"
        }
        io::ErrorKind::ReadOnlyFilesystem => "the file system of this path is mounted read-only",
        io::ErrorKind::NotADirectory => {
            "a part of this path is a file and no directory: name another path"
        }
        _ => return None,
    };
    Some(help.into())
}

/// Adds the place to a system error.
pub trait At<T> {
    /// `what` was tried at `path`.
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for std::result::Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io {
            action,
            path: path.to_owned(),
            source: source.into(),
        })
    }
}
