//! Puts new content at a name that is there already: the old file or the new one, never a part.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{Action, Dir, Owner, Stat};
use crate::error::Result;

impl Dir {
    /// Replaces the content of a file; owner and mode stay as they are. A crash leaves the old file or the
    /// new one.
    pub fn replace(&self, name: impl AsRef<[u8]>, content: &[u8]) -> Result<()> {
        let name = name.as_ref();
        let old = self.stat(name)?;
        // A dot could make it a mailbox of a Maildir++.
        let temp = [name, b".mailtally-new"].concat();
        if self.stat_if_there(&temp)?.is_some() {
            self.remove_file(&temp)?;
        }
        let mut file = self.create(&temp)?;
        file.append(content)?;
        file.become_like(&old)?;
        file.sync()?;
        self.rename_over(&temp, self, name)?;
        self.sync()
    }

    /// Renames a file of ours over whatever file has that name.
    pub fn rename_over(
        &self,
        from: impl AsRef<[u8]>,
        to_dir: &Self,
        to: impl AsRef<[u8]>,
    ) -> Result<()> {
        let from = OsStr::from_bytes(from.as_ref());
        to_dir.step(Action::Rename, to.as_ref(), |to| {
            Ok(rustix::fs::renameat(&self.fd, from, &to_dir.fd, to)?)
        })
    }
}

impl super::NewFile {
    /// Gives the file the owner and mode that another one has.
    pub fn become_like(&self, other: &Stat) -> Result<()> {
        let owner = Owner {
            uid: other.uid,
            gid: other.gid,
        };
        if owner != Owner::of_this_process() {
            self.give(owner)?;
        }
        if other.mode != 0o600 {
            self.set_mode(other.mode)?;
        }
        Ok(())
    }
}
