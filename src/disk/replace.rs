//! Puts new content at a name that is there already: the old file or the new one, never a part.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::AtFlags;

use super::{Action, Dir, Owner, Stat};
use crate::error::{At, Error, Result};

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

    /// Gives a file a second name in another directory; where a file can have only one, a copy.
    pub fn keep_as(&self, name: &[u8], to_dir: &Self, to: &[u8]) -> Result<()> {
        let from = OsStr::from_bytes(name);
        let linked = to_dir.step(Action::Link, to, |to| {
            Ok(rustix::fs::linkat(
                &self.fd,
                from,
                &to_dir.fd,
                to,
                AtFlags::empty(),
            )?)
        });
        match linked {
            Err(error) if !error.is_not_found() && cannot_link(&error) => {
                self.copy_to(name, to_dir, to)
            }
            done => done,
        }
    }

    fn copy_to(&self, name: &[u8], to_dir: &Self, to: &[u8]) -> Result<()> {
        let mut from = self.file(name)?;
        let stat = from.stat()?;
        let mut copy = to_dir.create(to)?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = from.read(&mut buffer).at("read", &self.path_of(name))?;
            if read == 0 {
                break;
            }
            copy.append(&buffer[..read])?;
        }
        copy.become_like(&stat)?;
        copy.set_time(stat.mtime)
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

/// The file system has no second names, or none more for this file.
fn cannot_link(error: &Error) -> bool {
    use std::io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    let kind = error.io_kind();
    kind.is_some_and(|kind| {
        matches!(
            kind,
            CrossesDevices | PermissionDenied | TooManyLinks | Unsupported
        )
    })
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
