//! A whole tree of ours at once.

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
