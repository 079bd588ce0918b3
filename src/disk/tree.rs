//! A whole tree of ours at once.

use bstr::BString;

use super::{Dir, Kind};
use crate::error::Result;

/// Removes `name` and everything in it; links are removed, never followed.
pub fn remove_tree(parent: &Dir, name: &[u8]) -> Result<()> {
    let dir = parent.dir(name)?;
    for entry in dir.entries()? {
        if entry.kind == Kind::Dir {
            remove_tree(&dir, &entry.name)?;
        } else {
            dir.remove_file(&entry.name)?;
        }
    }
    parent.remove_dir(name)
}

/// What a tree holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Counts what lies below `dir`; what cannot be looked at is left out.
pub fn usage(dir: &Dir) -> Usage {
    let mut sum = Usage::default();
    for entry in dir.entries().unwrap_or_default() {
        match entry.kind {
            Kind::Dir => {
                if let Ok(inner) = dir.dir(&entry.name) {
                    let inner = usage(&inner);
                    sum.files += inner.files;
                    sum.bytes += inner.bytes;
                }
            }
            Kind::File => {
                sum.files += 1;
                sum.bytes += dir.stat(&entry.name).map_or(0, |stat| stat.size);
            }
            Kind::Link | Kind::Other => {}
        }
    }
    sum
}

impl Dir {
    /// Where a link in the directory `at` (names from this one down) leads, if that is inside this
    /// directory: names from here down. Only text is looked at; whoever opens them follows nothing.
    pub fn inside(&self, at: &[BString], target: &[u8]) -> Option<Vec<BString>> {
        let here = self.path.as_os_str().as_encoded_bytes();
        let (mut names, rest) = match target.strip_prefix(b"/") {
            Some(_) => (Vec::new(), target.strip_prefix(here)?.strip_prefix(b"/")?),
            None => (at.to_vec(), target),
        };
        for part in rest.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(names.pop()?),
                name => names.push(name.into()),
            }
        }
        Some(names)
    }

    /// Walks down a path of names, following no link.
    pub fn descend(&self, names: &[BString]) -> Result<Self> {
        names
            .iter()
            .try_fold(self.again()?, |dir, name| dir.dir(name))
    }
}
