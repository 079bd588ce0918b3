//! Every touch of the file system.
//!
//! ```text
//! Dir --- open directory: the only way in -----------------------------------+
//!  |  dir("cur")   another Dir, no link followed                             |
//!  |  file("u.1")  a File to read, no link followed, regular files only      |
//!  |  create("u.1"), make_dir, rename, remove ...   changes                  |
//!  +-- before each step: Disk::before(Step)   the seam: tests cut or fail it |
//! ```
//!
//! Names are single components: nothing outside an open directory can be named through it. No other
//! code joins paths, so whatever names and links a user left in a mailbox, a run stays inside.

mod change;
mod dir;
mod early;
mod file;
pub mod in_use;
pub mod plan;
mod replace;
mod space;
mod tree;

use std::fmt;
use std::io;
use std::path::Path;

pub(crate) use change::parent_and_name;
pub use change::{NewFile, Owner};
pub use dir::{Dir, Entry, Kind, Stat};
pub use file::File;
pub use space::Space;
pub use tree::{Usage, remove_tree, usage};

/// What is about to be done to the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Open a directory.
    OpenDir,
    /// Read the names in a directory.
    List,
    /// Read size, dates and owner of a name.
    Stat,
    /// Open a file to read it.
    Open,
    /// Read from a file.
    Read,
    /// Read where a link points.
    ReadLink,
    /// Make a directory.
    MakeDir,
    /// Make a new file.
    Create,
    /// Write to a new file.
    Write,
    /// Make a symbolic link.
    Link,
    /// Give a new name.
    Rename,
    /// Swap two names.
    Exchange,
    /// Remove a name.
    Remove,
    /// Set owner, mode or time.
    Own,
    /// Wait until content and names are on the device.
    Sync,
    /// Take the lock on a directory.
    Lock,
}

impl Action {
    /// True for a step that changes something.
    pub fn changes(self) -> bool {
        use Action::{Create, Exchange, Link, MakeDir, Own, Remove, Rename, Sync, Write};
        matches!(
            self,
            Create | Exchange | Link | MakeDir | Own | Remove | Rename | Sync | Write
        )
    }

    /// The verb for messages: "cannot … NAME".
    pub fn verb(self) -> &'static str {
        match self {
            Self::OpenDir | Self::Open => "open",
            Self::List => "list",
            Self::Stat => "look at",
            Self::Read => "read",
            Self::ReadLink => "read the link",
            Self::MakeDir => "make the directory",
            Self::Create => "create",
            Self::Write => "write",
            Self::Link => "make the link",
            Self::Rename => "rename",
            Self::Exchange => "exchange",
            Self::Remove => "remove",
            Self::Own => "set owner, mode or time of",
            Self::Sync => "sync",
            Self::Lock => "lock",
        }
    }
}

/// One step, as the seam sees it before it is done.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What.
    pub action: Action,
    /// In which directory (for messages and for tests, never for opening).
    pub dir: &'a Path,
    /// Which name in it; empty for the directory itself.
    pub name: &'a [u8],
}

/// The seam under every step: the real disk lets all pass, a test's disk fails where it wants.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Called before each step; an error is what the step ends with, undone.
    fn before(&self, step: &Step<'_>) -> io::Result<()>;
}

/// The disk as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Real;

impl Disk for Real {
    fn before(&self, _: &Step<'_>) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
