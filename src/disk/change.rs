//! The steps that change something: only ever inside a directory of ours.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rustix::fs::{
    Access, AtFlags, FlockOperation, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid,
};
use rustix::io::Errno;

use super::dir::Seam;
use super::{Action, Dir};
use crate::error::{At, Error, Result};

/// Who owns what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
}

impl Owner {
    /// Who new files of this process belong to.
    pub fn of_this_process() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }
}

/// A file that is being written under its own name in a directory that nobody else knows yet.
#[derive(Debug)]
pub struct NewFile {
    seam: Seam,
    inner: fs::File,
}

impl NewFile {
    /// Where it is, for messages.
    pub fn path(&self) -> PathBuf {
        self.seam.path()
    }

    /// Overwrites bytes at `at`, or appends them there.
    pub fn write_all_at(&self, bytes: &[u8], at: u64) -> Result<()> {
        let step = || self.inner.write_all_at(bytes, at);
        self.seam.step(Action::Write, step)
    }

    /// Appends all of `bytes`, and names the place if that fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).at("write", &self.seam.path())
    }

    /// Cuts the file off behind `len` bytes.
    pub fn cut(&self, len: u64) -> Result<()> {
        self.seam.step(Action::Write, || self.inner.set_len(len))
    }

    /// Sets the time at which the content changed; the access time becomes the same.
    pub fn set_time(&self, mtime: i64) -> Result<()> {
        let time = Timespec {
            tv_sec: mtime,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        let step = || Ok(rustix::fs::futimens(&self.inner, &times)?);
        self.seam.step(Action::Own, step)
    }

    /// Waits until the content is on the device.
    pub fn sync(&self) -> Result<()> {
        let step = || self.inner.sync_all();
        self.seam.step(Action::Sync, step)
    }

    /// Gives the file to `owner`.
    pub fn give(&self, owner: Owner) -> Result<()> {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        let step = || Ok(rustix::fs::fchown(&self.inner, Some(uid), Some(gid))?);
        self.seam.step(Action::Own, step)
    }

    /// Sets the file's permission bits.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        let step = || Ok(rustix::fs::fchmod(&self.inner, mode_bits(mode))?);
        self.seam.step(Action::Own, step)
    }
}

impl NewFile {
    pub(super) fn raw(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.seam.before(Action::Write)?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn mode_bits(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}

impl Dir {
    /// An error where no name in it may be changed.
    pub fn check_writable(&self) -> Result<()> {
        self.own_step(Action::Write, || {
            let wanted = Access::WRITE_OK | Access::EXEC_OK;
            Ok(rustix::fs::accessat(
                &self.fd,
                ".",
                wanted,
                AtFlags::EACCESS,
            )?)
        })
    }

    /// Makes a directory, open to its owner alone for now, and opens it.
    pub fn make_dir(&self, name: impl AsRef<[u8]>) -> Result<Self> {
        let name = name.as_ref();
        self.step(Action::MakeDir, name, |checked| {
            Ok(rustix::fs::mkdirat(
                &self.fd,
                checked,
                Mode::from_raw_mode(0o700),
            )?)
        })?;
        self.dir(name)
    }

    /// A new file, readable by its owner alone for now; an existing name is an error.
    pub fn create(&self, name: impl AsRef<[u8]>) -> Result<NewFile> {
        self.create_with_mode(name, 0o600)
    }

    /// A new file with these permission bits, whatever the umask; an existing name is an error. For a
    /// directory that others can enter, [`Self::create`] is the one: there its owner may have to come first.
    pub fn create_with_mode(&self, name: impl AsRef<[u8]>, mode: u32) -> Result<NewFile> {
        let (name, mode) = (name.as_ref(), mode_bits(mode));
        self.step(Action::Create, name, |checked| {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(&self.fd, checked, flags, mode)?;
            // To look whether the umask took some takes a fraction of the time that to set them takes.
            if !Mode::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode).contains(mode) {
                rustix::fs::fchmod(&fd, mode)?;
            }
            Ok(NewFile {
                seam: Seam::of(self, name),
                inner: fs::File::from(fd),
            })
        })
    }

    /// A new file with this content.
    pub fn write(&self, name: impl AsRef<[u8]>, content: &[u8]) -> Result<()> {
        self.create(name)?.append(content)
    }

    /// A symbolic link that says `target`.
    pub fn make_link(&self, name: impl AsRef<[u8]>, target: &[u8]) -> Result<()> {
        self.step(Action::Link, name.as_ref(), |checked| {
            let target = OsStr::from_bytes(target);
            Ok(rustix::fs::symlinkat(target, &self.fd, checked)?)
        })
    }

    /// Renames within this directory; an existing `to` is an error, but for an empty directory.
    pub fn rename_new(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<()> {
        let from = OsStr::from_bytes(from.as_ref());
        self.step(Action::Rename, to.as_ref(), |to| {
            let fresh =
                rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE);
            match fresh {
                // rename(2) puts a directory over an empty directory and over nothing else.
                Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => {
                    Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
                }
                done => Ok(done?),
            }
        })
    }

    /// Moves a file of ours into another directory; an existing name there is an error.
    pub fn move_new(
        &self,
        from: impl AsRef<[u8]>,
        to_dir: &Self,
        to: impl AsRef<[u8]>,
    ) -> Result<()> {
        let from = OsStr::from_bytes(from.as_ref());
        to_dir.step(Action::Rename, to.as_ref(), |to| {
            let flags = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&self.fd, from, &to_dir.fd, to, flags) {
                // Not every file system can; nobody else makes names here.
                Err(Errno::INVAL | Errno::NOSYS) => {
                    match rustix::fs::statat(&to_dir.fd, to, AtFlags::SYMLINK_NOFOLLOW) {
                        Err(Errno::NOENT) => {}
                        Err(error) => return Err(error.into()),
                        Ok(_) => return Err(Errno::EXIST.into()),
                    }
                    Ok(rustix::fs::renameat(&self.fd, from, &to_dir.fd, to)?)
                }
                done => Ok(done?),
            }
        })
    }

    /// Swaps two names in one step: at every moment both are there.
    pub fn exchange(&self, one: impl AsRef<[u8]>, other: impl AsRef<[u8]>) -> Result<()> {
        let one = OsStr::from_bytes(one.as_ref());
        self.step(Action::Exchange, other.as_ref(), |other| {
            Ok(rustix::fs::renameat_with(
                &self.fd,
                one,
                &self.fd,
                other,
                RenameFlags::EXCHANGE,
            )?)
        })
    }

    /// Removes a name that is not a directory.
    pub fn remove_file(&self, name: impl AsRef<[u8]>) -> Result<()> {
        self.step(Action::Remove, name.as_ref(), |checked| {
            Ok(rustix::fs::unlinkat(&self.fd, checked, AtFlags::empty())?)
        })
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: impl AsRef<[u8]>) -> Result<()> {
        self.step(Action::Remove, name.as_ref(), |checked| {
            Ok(rustix::fs::unlinkat(&self.fd, checked, AtFlags::REMOVEDIR)?)
        })
    }

    /// Gives a name to `owner`; a link is not followed.
    pub fn give(&self, name: impl AsRef<[u8]>, owner: Owner) -> Result<()> {
        self.step(Action::Own, name.as_ref(), |checked| {
            let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            Ok(rustix::fs::chownat(
                &self.fd,
                checked,
                Some(uid),
                Some(gid),
                flags,
            )?)
        })
    }

    /// Gives this directory itself to `owner`.
    pub fn give_self(&self, owner: Owner) -> Result<()> {
        self.own_step(Action::Own, || {
            let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
            Ok(rustix::fs::fchown(&self.fd, Some(uid), Some(gid))?)
        })
    }

    /// Sets the permission bits of a file of ours.
    pub fn set_mode(&self, name: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        self.step(Action::Own, name.as_ref(), |checked| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(&self.fd, checked, flags, Mode::empty())?;
            Ok(rustix::fs::fchmod(fd, mode_bits(mode))?)
        })
    }

    /// Sets the time at which the content of a file changed, and nothing else of it; a link is not followed.
    pub fn set_time(&self, name: impl AsRef<[u8]>, (seconds, nanos): (i64, u32)) -> Result<()> {
        self.step(Action::Own, name.as_ref(), |checked| {
            let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
            let times = Timestamps {
                last_access: time(0, rustix::fs::UTIME_OMIT),
                last_modification: time(seconds, nanos.into()),
            };
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            Ok(rustix::fs::utimensat(&self.fd, checked, &times, flags)?)
        })
    }

    /// Sets the permission bits of this directory itself.
    pub fn set_own_mode(&self, mode: u32) -> Result<()> {
        self.own_step(Action::Own, || {
            Ok(rustix::fs::fchmod(&self.fd, mode_bits(mode))?)
        })
    }

    /// Waits until the names in this directory are on the device.
    pub fn sync(&self) -> Result<()> {
        self.own_step(Action::Sync, || match rustix::fs::fsync(&self.fd) {
            // A directory handle that cannot be synced has nothing to wait for.
            Err(Errno::INVAL) => Ok(()),
            done => Ok(done?),
        })
    }

    /// Waits until everything written to this file system is on the device: one wait for an account.
    pub fn sync_file_system(&self) -> Result<()> {
        self.own_step(Action::Sync, || Ok(rustix::fs::syncfs(&self.fd)?))
    }

    /// Takes the lock on this directory for as long as it is open; never waits.
    pub fn lock(&self) -> Result<()> {
        let locked = self.before(Action::Lock, b"").and_then(|()| {
            Ok(rustix::fs::flock(
                &self.fd,
                FlockOperation::NonBlockingLockExclusive,
            )?)
        });
        match locked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Error::Locked {
                path: self.path.to_path_buf(),
            }),
            Err(error) => Err(error).at("lock", &self.path),
            Ok(()) => {
                self.locked.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// Closing is not enough: a child that was being started has the directory open too, for a moment.
impl Drop for Dir {
    fn drop(&mut self) {
        if self.locked.load(Ordering::Relaxed) {
            let _ = rustix::fs::flock(&self.fd, FlockOperation::Unlock);
        }
    }
}

/// The parent of a path and its last name; `None` for `/` and the like.
pub(crate) fn parent_and_name(path: &Path) -> Option<(&Path, &[u8])> {
    let name = path.file_name()?.as_bytes();
    let parent = path.parent()?;
    let here = Path::new(".");
    Some((
        if parent.as_os_str().is_empty() {
            here
        } else {
            parent
        },
        name,
    ))
}
