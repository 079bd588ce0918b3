//! A file that is open for reading.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::{Action, Dir, Stat, dir::Seam};
use crate::error::{At, Result};

/// A file that is open for reading; it knows its place for messages.
#[derive(Debug)]
pub struct File {
    seam: Seam,
    inner: fs::File,
}

impl File {
    pub(super) fn new(dir: &Dir, name: &[u8], inner: fs::File) -> Self {
        let seam = Seam::of(dir, name);
        Self { seam, inner }
    }

    /// Where it is, for messages.
    pub fn path(&self) -> PathBuf {
        self.seam.path()
    }

    /// What the file system says about the open file.
    pub fn stat(&self) -> Result<Stat> {
        let stat = self
            .seam
            .before(Action::Stat)
            .and_then(|()| Ok(rustix::fs::fstat(&self.inner)?));
        Ok(Stat::of(&stat.at("look at", &self.path())?))
    }

    /// Fills `buffer` from `at` as far as the file goes; returns how much that was.
    pub fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.seam.before(Action::Read)?;
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

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.seam.before(Action::Read)?;
        self.inner.read(buffer)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}
