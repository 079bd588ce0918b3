//! A file that is open for reading.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::{Action, Dir, Stat};
use crate::error::{At, Result};

/// A file that is open for reading; it knows its place for messages.
#[derive(Debug)]
pub struct File<'d> {
    dir: &'d Dir,
    name: Vec<u8>,
    inner: fs::File,
}

impl<'d> File<'d> {
    pub(super) fn new(dir: &'d Dir, name: &[u8], inner: fs::File) -> Self {
        Self {
            dir,
            name: name.to_owned(),
            inner,
        }
    }

    /// Where it is, for messages.
    pub fn path(&self) -> PathBuf {
        self.dir.path_of(&self.name)
    }

    /// What the file system says about the open file.
    pub fn stat(&self) -> Result<Stat> {
        let stat = self
            .dir
            .before(Action::Stat, &self.name)
            .and_then(|()| Ok(rustix::fs::fstat(&self.inner)?));
        Ok(Stat::of(&stat.at("look at", &self.path())?))
    }

    /// Fills `buffer` from `at` as far as the file goes; returns how much that was.
    pub fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.dir.before(Action::Read, &self.name)?;
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .inner
                .read_at(&mut buffer[filled..], at + filled as u64)
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Reads until `buffer` is full or the file ends; returns how much that was.
    pub fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl Read for File<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.dir.before(Action::Read, &self.name)?;
        self.inner.read(buffer)
    }
}
