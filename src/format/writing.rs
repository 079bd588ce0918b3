//! How the files and directories of a new account are made: one owner, and modes that follow from
//! the mode of the account's own directory, as Dovecot derives them.

use std::io::{self, BufWriter, Write};

use crate::disk::{Dir, NewFile};
use crate::error::{At, Result};
use crate::format::pour::PIECE;
use crate::store::CreateOptions;

/// Makes files and directories of one account.
#[derive(Debug, Clone, Copy)]
pub struct Writing(CreateOptions);

impl Writing {
    /// As these options say.
    pub fn new(options: &CreateOptions) -> Self {
        Self(*options)
    }

    /// The time that goes into new files.
    pub fn now(&self) -> u32 {
        self.0.now
    }

    /// A new directory.
    pub fn make(&self, above: &Dir, name: impl AsRef<[u8]>) -> Result<Dir> {
        let dir = above.make_dir(name)?;
        if let Some(owner) = self.0.owner {
            dir.give_self(owner)?;
        }
        if self.0.mode != 0o700 {
            dir.set_own_mode(self.0.mode)?;
        }
        Ok(dir)
    }

    /// A directory that may be there already.
    pub fn make_or_open(&self, above: &Dir, name: impl AsRef<[u8]>) -> Result<Dir> {
        let name = name.as_ref();
        match above.dir_if_there(name)? {
            Some(dir) => Ok(dir),
            None => self.make(above, name),
        }
    }

    /// A new file. It has its mode from the start: until it is complete, only we can enter the account.
    pub fn create(&self, dir: &Dir, name: impl AsRef<[u8]>) -> Result<NewFile> {
        let file = dir.create_with_mode(name, self.0.mode & 0o666)?;
        if let Some(owner) = self.0.owner {
            file.give(owner)?;
        }
        Ok(file)
    }

    /// A new file with this content.
    pub fn write(&self, dir: &Dir, name: impl AsRef<[u8]>, content: &[u8]) -> Result<()> {
        self.create(dir, name)?.append(content)
    }

    /// A new file that `fill` writes piece by piece.
    pub fn fill(
        &self,
        dir: &Dir,
        name: impl AsRef<[u8]>,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        let name = name.as_ref();
        let mut out = BufWriter::with_capacity(PIECE, self.create(dir, name)?);
        let filled = fill(&mut out).and_then(|()| out.flush());
        filled.at("write", &dir.path_of(name))
    }

    /// A new symbolic link.
    pub fn link(&self, dir: &Dir, name: impl AsRef<[u8]>, target: &[u8]) -> Result<()> {
        let name = name.as_ref();
        dir.make_link(name, target)?;
        match self.0.owner {
            Some(owner) => dir.give(name, owner),
            None => Ok(()),
        }
    }
}
