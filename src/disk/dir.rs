//! An open directory: the only way to anything inside it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bstr::BString;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::{Action, Disk, File, Step};
use crate::error::{At, Result};

/// An open directory. Names are single components, opened beneath it without following links.
#[derive(Debug)]
pub struct Dir {
    pub(super) fd: OwnedFd,
    pub(super) path: Arc<Path>,
    pub(super) disk: Arc<dyn Disk>,
    /// Reading without touching access times: until the kernel says that it is not for us.
    quiet: AtomicBool,
    /// The lock on it is ours.
    pub(super) locked: AtomicBool,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// A socket, pipe or device.
    Other,
}

impl Kind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Dir,
            FileType::Symlink => Self::Link,
            _ => Self::Other,
        }
    }
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, as bytes.
    pub name: BString,
    /// What it stands for.
    pub kind: Kind,
}

/// What the file system says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What the name stands for.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Content changed: seconds since 1970.
    pub mtime: i64,
    /// The part of a second beyond `mtime`.
    pub mtime_nanos: u32,
    /// Inode changed: seconds since 1970.
    pub ctime: i64,
    /// The part of a second beyond `ctime`.
    pub ctime_nanos: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Hard links.
    pub links: u64,
    /// Which device and inode: the same for two names of one file.
    pub id: (u64, u64),
}

impl Stat {
    #[allow(
        clippy::useless_conversion,
        clippy::cast_lossless,
        clippy::unnecessary_cast,
        clippy::cast_possible_truncation,
        reason = "field widths differ between machines"
    )]
    pub(super) fn of(stat: &rustix::fs::Stat) -> Self {
        Self {
            kind: Kind::of(FileType::from_raw_mode(stat.st_mode)),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: stat.st_mtime as i64,
            mtime_nanos: stat.st_mtime_nsec as u32,
            ctime: stat.st_ctime as i64,
            ctime_nanos: stat.st_ctime_nsec as u32,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o7777,
            links: stat.st_nlink as u64,
            id: (stat.st_dev as u64, stat.st_ino as u64),
        }
    }
}

/// A single component: nothing that could lead elsewhere.
fn component(name: &[u8]) -> io::Result<&OsStr> {
    let harmless = !name.is_empty()
        && name != b"."
        && name != b".."
        && !name.contains(&b'/')
        && !name.contains(&0);
    if harmless {
        Ok(OsStr::from_bytes(name))
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a name of one component",
        ))
    }
}

const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

impl Dir {
    /// Opens a directory that was named on the command line; links in `path` are followed.
    pub fn open(path: &Path, disk: Arc<dyn Disk>) -> Result<Self> {
        let opened = disk
            .before(&Step {
                action: Action::OpenDir,
                dir: path,
                name: b"",
            })
            .and_then(|()| {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Ok(rustix::fs::open(path, flags, Mode::empty())?)
            });
        Ok(Self {
            fd: opened.at("open", path)?,
            path: path.into(),
            disk,
            quiet: AtomicBool::new(true),
            locked: AtomicBool::new(false),
        })
    }

    /// Where this directory is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A name in this directory, for messages.
    pub fn path_of(&self, name: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(name))
    }

    /// Runs one step on a name behind the seam, and names the place if it fails.
    pub(super) fn step<T>(
        &self,
        action: Action,
        name: &[u8],
        run: impl FnOnce(&OsStr) -> io::Result<T>,
    ) -> Result<T> {
        component(name)
            .and_then(|checked| {
                self.before(action, name)?;
                run(checked)
            })
            .map_err(|source| crate::Error::Io {
                action: action.verb(),
                path: self.path_of(name),
                source,
            })
    }

    /// Runs one step on the directory itself behind the seam.
    pub(super) fn own_step<T>(
        &self,
        action: Action,
        run: impl FnOnce() -> io::Result<T>,
    ) -> Result<T> {
        self.before(action, b"")
            .and_then(|()| run())
            .at(action.verb(), &self.path)
    }

    pub(super) fn before(&self, action: Action, name: &[u8]) -> io::Result<()> {
        self.disk.before(&Step {
            action,
            dir: &self.path,
            name,
        })
    }

    pub(super) fn beneath(&self, name: &[u8], fd: OwnedFd) -> Self {
        Self {
            fd,
            path: self.path_of(name).into(),
            disk: Arc::clone(&self.disk),
            quiet: AtomicBool::new(self.quiet.load(Ordering::Relaxed)),
            locked: AtomicBool::new(false),
        }
    }

    /// Opens without touching the access time where the kernel lets us.
    fn open_quietly(&self, name: &OsStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        if self.quiet.load(Ordering::Relaxed) {
            match rustix::fs::openat(&self.fd, name, flags | OFlags::NOATIME, Mode::empty()) {
                Err(Errno::PERM) => self.quiet.store(false, Ordering::Relaxed),
                opened => return opened,
            }
        }
        rustix::fs::openat(&self.fd, name, flags, Mode::empty())
    }

    /// The directory `name` in this one.
    pub fn dir(&self, name: impl AsRef<[u8]>) -> Result<Self> {
        let name = name.as_ref();
        self.step(Action::OpenDir, name, |checked| {
            let fd = self.open_quietly(checked, READ | OFlags::DIRECTORY)?;
            Ok(self.beneath(name, fd))
        })
    }

    /// The directory `name`, or `None` where there is nothing of that name.
    pub fn dir_if_there(&self, name: impl AsRef<[u8]>) -> Result<Option<Self>> {
        none_if_missing(self.dir(name))
    }

    /// Whether `name` is a directory, also one that may not be read.
    pub fn has_dir(&self, name: impl AsRef<[u8]>) -> bool {
        matches!(self.stat(name), Ok(stat) if stat.kind == Kind::Dir)
    }

    /// The same directory once more.
    pub fn again(&self) -> Result<Self> {
        self.own_step(Action::OpenDir, || {
            Ok(Self {
                fd: self.fd.try_clone()?,
                path: self.path.clone(),
                disk: Arc::clone(&self.disk),
                quiet: AtomicBool::new(self.quiet.load(Ordering::Relaxed)),
                locked: AtomicBool::new(false),
            })
        })
    }

    /// A regular file to read.
    pub fn file(&self, name: impl AsRef<[u8]>) -> Result<File> {
        let name = name.as_ref();
        self.step(Action::Open, name, |checked| {
            let fd = self.open_quietly(checked, READ)?;
            Ok(File::new(self, name, fs::File::from(fd)))
        })
    }

    /// All bytes of a small side file; `None` where it is not there, an error above `most` bytes.
    pub fn read_if_there(&self, name: impl AsRef<[u8]>, most: u64) -> Result<Option<Vec<u8>>> {
        let name = name.as_ref();
        let Some(mut file) = none_if_missing(self.file(name))? else {
            return Ok(None);
        };
        let stat = file.stat()?;
        let refuse = |why: &str| {
            Err(io::Error::new(io::ErrorKind::InvalidData, why.to_owned()))
                .at("read", &self.path_of(name))
        };
        if stat.kind != Kind::File {
            return refuse("not a regular file");
        }
        if stat.size > most {
            return refuse("larger than a file of this kind can be");
        }
        // The file system's word, not the file's: and what is not filled is never touched.
        let mut bytes = Vec::with_capacity(usize::try_from(stat.size).map_or(0, |size| size + 1));
        let read = (&mut file).take(most).read_to_end(&mut bytes);
        read.at("read", &self.path_of(name))?;
        Ok(Some(bytes))
    }

    /// The names in this directory, in the directory's order.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.each_entry(|name, kind| {
            entries.push(Entry {
                name: name.into(),
                kind,
            });
        })?;
        Ok(entries)
    }

    /// Calls `each` with every name, without holding more than a buffer of them.
    pub fn each_entry(&self, mut each: impl FnMut(&[u8], Kind)) -> Result<()> {
        self.own_step(Action::List, || {
            // A second handle: the position of this one is shared with nobody.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let quiet = flags | OFlags::NOATIME;
            let fd = rustix::fs::openat(&self.fd, c".", quiet, Mode::empty())
                .or_else(|_| rustix::fs::openat(&self.fd, c".", flags, Mode::empty()))?;
            let mut buffer = Vec::with_capacity(64 * 1024);
            let mut names = RawDir::new(fd, buffer.spare_capacity_mut());
            while let Some(entry) = names.next() {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                each(name, self.kind_of(name, entry.file_type()));
            }
            Ok(())
        })
    }

    fn kind_of(&self, name: &[u8], kind: FileType) -> Kind {
        if kind != FileType::Unknown {
            return Kind::of(kind);
        }
        // Some file systems do not say it in the listing.
        self.stat(name).map_or(Kind::Other, |stat| stat.kind)
    }

    /// How many names this directory has; 0 where it cannot be read.
    pub fn count(&self) -> u64 {
        let mut count = 0;
        let counted = self.each_entry(|_, _| count += 1);
        counted.map_or(0, |()| count)
    }

    /// What the file system says about a name; a link is not followed.
    pub fn stat(&self, name: impl AsRef<[u8]>) -> Result<Stat> {
        self.step(Action::Stat, name.as_ref(), |checked| {
            let stat = rustix::fs::statat(&self.fd, checked, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(Stat::of(&stat))
        })
    }

    /// The same, or `None` where there is nothing of that name.
    pub fn stat_if_there(&self, name: impl AsRef<[u8]>) -> Result<Option<Stat>> {
        none_if_missing(self.stat(name))
    }

    /// What the file system says about this directory itself.
    pub fn own_stat(&self) -> Result<Stat> {
        self.own_step(Action::Stat, || Ok(Stat::of(&rustix::fs::fstat(&self.fd)?)))
    }

    /// Where a link points, as text; nothing is followed.
    pub fn read_link(&self, name: impl AsRef<[u8]>) -> Result<BString> {
        self.step(Action::ReadLink, name.as_ref(), |checked| {
            let target = rustix::fs::readlinkat(&self.fd, checked, Vec::new())?;
            Ok(BString::from(target.into_bytes()))
        })
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What an open file knows of the place where it was opened: for the seam and for messages.
#[derive(Debug)]
pub(super) struct Seam {
    dir: Arc<Path>,
    name: Vec<u8>,
    disk: Arc<dyn Disk>,
}

impl Seam {
    pub(super) fn of(dir: &Dir, name: &[u8]) -> Self {
        Self {
            dir: Arc::clone(&dir.path),
            name: name.to_owned(),
            disk: Arc::clone(&dir.disk),
        }
    }

    pub(super) fn before(&self, action: Action) -> io::Result<()> {
        self.disk.before(&Step {
            action,
            dir: &self.dir,
            name: &self.name,
        })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(OsStr::from_bytes(&self.name))
    }

    /// Runs one step on the open file behind the seam, and names the place if it fails.
    pub(super) fn step<T>(&self, action: Action, run: impl FnOnce() -> io::Result<T>) -> Result<T> {
        self.before(action)
            .and_then(|()| run())
            .at(action.verb(), &self.path())
    }
}

/// Turns "not there" into `None`.
pub(super) fn none_if_missing<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
