//! A digest of what the file system says about a store: it changes when the store does.

use crate::digest::Digest;
use crate::disk::{Dir, Kind, Stat};
use crate::error::Result;

/// Takes sizes and times in a fixed order.
#[derive(Debug, Default)]
pub struct Stamper(blake3::Hasher);

impl Stamper {
    /// A name that tells parts of the stamp apart.
    pub fn name(&mut self, name: &[u8]) {
        self.0.update(&(name.len() as u64).to_le_bytes());
        self.0.update(name);
    }

    /// A side file, there or not.
    pub fn file(&mut self, dir: &Dir, name: impl AsRef<[u8]>) -> Result<()> {
        let name = name.as_ref();
        if let Some(stat) = dir.stat_if_there(name)? {
            self.name(name);
            self.0.update(&stat.size.to_le_bytes());
            self.times(&stat);
        }
        Ok(())
    }

    /// A directory: its time changes with the names in it.
    pub fn dir(&mut self, dir: &Dir) -> Result<()> {
        self.times(&dir.own_stat()?);
        Ok(())
    }

    /// The files of a directory, in name order.
    pub fn files(&mut self, dir: &Dir) -> Result<()> {
        self.files_that(dir, |_| true)
    }

    /// Those of them whose names are wanted.
    pub fn files_that(&mut self, dir: &Dir, wanted: impl Fn(&[u8]) -> bool) -> Result<()> {
        let mut names = Vec::new();
        dir.each_entry(|name, kind| {
            if kind != Kind::Dir && wanted(name) {
                names.push(bstr::BString::from(name));
            }
        })?;
        names.sort_unstable();
        names.iter().try_for_each(|name| self.file(dir, name))
    }

    fn times(&mut self, stat: &Stat) {
        self.0.update(&stat.mtime.to_le_bytes());
        self.0.update(&stat.mtime_nanos.to_le_bytes());
    }

    /// The directories in `dir`, in name order.
    pub fn folders(&self, dir: &Dir) -> Result<Vec<bstr::BString>> {
        let entries = dir.entries()?.into_iter();
        let dirs = entries.filter(|entry| entry.kind == Kind::Dir);
        let mut names: Vec<_> = dirs.map(|entry| entry.name).collect();
        names.sort();
        Ok(names)
    }

    /// The stamp.
    pub fn digest(&self) -> Digest {
        *self.0.finalize().as_bytes()
    }
}
