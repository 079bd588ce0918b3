//! Does a server work on an account right now?
//!
//! ```text
//! dovecot.index.log, dovecot.index.cache    fcntl lock while a session syncs; a fresh log was just written
//! dovecot.map.index.log                     fcntl lock: appending to an mdbox, purging it
//! m.N                                       flock while a message is appended
//! dovecot-uidlist.lock, *.newlock           dotlocks; older than two minutes they are left from a crash
//! ```
//! None of it is certain: a session that only waits holds no lock. A log that a repair has just put there is
//! fresh too, and no sign of a server while nobody has written to it.
//!
//! Source: Dovecot 2.3, `src/lib-index/mail-transaction-log-file.c`, `src/lib/file-dotlock.c`.

use std::io;

use bstr::BString;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::process::{Flock, FlockType};

use super::{Dir, File, Kind};
use crate::error::{Error, Result};

/// A dotlock that is older holds nothing.
const STALE: i64 = 120;
/// A log that was written to more recently is in use.
const FRESH: i64 = 10;
/// No server makes deeper trees.
const DEEPEST: usize = 64;

/// Fails if anything in the account says that a server works on it. `is_ours` is asked of a file, named from
/// the root down, whether it is what we have put there.
pub fn refuse(root: &Dir, now: i64, is_ours: &dyn Fn(&[BString]) -> bool) -> Result<()> {
    let at = Vec::new();
    Walk { now, is_ours, at }.through(root)
}

/// On the way through the account.
struct Walk<'a> {
    now: i64,
    is_ours: &'a dyn Fn(&[BString]) -> bool,
    /// The names from the root on.
    at: Vec<BString>,
}

impl Walk<'_> {
    fn through(&mut self, dir: &Dir) -> Result<()> {
        let mut folders = Vec::new();
        let mut files = Vec::new();
        dir.each_entry(|name, kind| match kind {
            Kind::Dir => folders.push(BString::from(name)),
            Kind::File if matters(name) => files.push(BString::from(name)),
            _ => {}
        })?;
        for name in files {
            self.at.push(name.clone());
            let why = self.sign(dir, &name)?;
            self.at.pop();
            if let Some(why) = why {
                let path = dir.path_of(&name);
                let why = why.into();
                return Err(Error::InUse { path, why });
            }
        }
        let messages = |name: &BString| matches!(&name[..], b"cur" | b"new" | b"tmp");
        for name in folders.into_iter().filter(|name| !messages(name)) {
            if self.at.len() < DEEPEST
                && let Some(inner) = if_ours_to_see(dir.dir_if_there(&name))?.flatten()
            {
                self.at.push(name);
                if_ours_to_see(self.through(&inner))?;
                self.at.pop();
            }
        }
        Ok(())
    }

    /// What shows that a file is in use; `at` names it.
    fn sign(&self, dir: &Dir, name: &[u8]) -> Result<Option<&'static str>> {
        let Some(stat) = dir.stat_if_there(name)? else {
            return Ok(None);
        };
        if is_dotlock(name) {
            let is_held = stat.mtime > self.now - STALE;
            return Ok(is_held.then_some("it is a lock of less than two minutes"));
        }
        if is_log(name) && stat.mtime > self.now - FRESH && !(self.is_ours)(&self.at) {
            return Ok(Some("it was written just now"));
        }
        let file = match if_ours_to_see(dir.file(name)) {
            Err(error) if error.is_not_found() => return Ok(None),
            opened => opened?,
        };
        let Some(file) = file else {
            return Ok(None);
        };
        let locked = if is_storage(name) {
            file.is_flocked()?
        } else {
            file.is_fcntl_locked()?
        };
        Ok(locked.then_some("another process has it locked"))
    }
}

fn is_dotlock(name: &[u8]) -> bool {
    name.ends_with(b".lock") || name.ends_with(b".newlock")
}

fn is_log(name: &[u8]) -> bool {
    name.starts_with(b"dovecot.") && name.ends_with(b"index.log")
}

fn is_storage(name: &[u8]) -> bool {
    name.strip_prefix(b"m.")
        .is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

fn matters(name: &[u8]) -> bool {
    is_dotlock(name) || is_log(name) || is_storage(name) || name == b"dovecot.index.cache"
}

/// What we may not look at is not worked on either, and says nothing.
fn if_ours_to_see<T>(seen: Result<T>) -> Result<Option<T>> {
    match seen {
        Err(error) if error.io_kind() == Some(io::ErrorKind::PermissionDenied) => Ok(None),
        seen => seen.map(Some),
    }
}

impl File {
    /// True while another process may write to it.
    fn is_fcntl_locked(&self) -> Result<bool> {
        let held = rustix::process::fcntl_getlk(self, &Flock::from(FlockType::WriteLock));
        match held {
            Ok(held) => Ok(held.is_some()),
            // A file system without locks has none.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK) => Ok(false),
            Err(error) => Err(self.failed("look for locks of", error)),
        }
    }

    /// The same for the other kind of lock. It goes with the open file.
    fn is_flocked(&self) -> Result<bool> {
        match rustix::fs::flock(self, FlockOperation::NonBlockingLockShared) {
            Ok(()) | Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK) => {
                Ok(false)
            }
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(self.failed("look for locks of", error)),
        }
    }

    fn failed(&self, action: &'static str, error: Errno) -> Error {
        Error::Io {
            action,
            path: self.path(),
            source: error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn account() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path(), Arc::new(crate::disk::Real)).unwrap();
        let inbox = dir
            .make_dir("mailboxes")
            .unwrap()
            .make_dir("INBOX")
            .unwrap();
        inbox.write("dovecot.index.log", b"log").unwrap();
        inbox.write("dovecot.index.cache", b"cache").unwrap();
        let storage = dir.make_dir("storage").unwrap();
        storage.write("m.1", b"2 M1e\n").unwrap();
        (temp, dir)
    }

    /// Long after everything was written.
    fn later(dir: &Dir) -> i64 {
        dir.own_stat().unwrap().mtime + 1000
    }

    /// The same, where nothing is ours.
    fn refuse(dir: &Dir, now: i64) -> Result<()> {
        super::refuse(dir, now, &|_| false)
    }

    #[test]
    fn a_log_that_was_just_written_by_us_is_not_in_use() {
        let (_temp, dir) = account();
        let now = dir.own_stat().unwrap().mtime + 1;
        let ours = ["mailboxes", "INBOX", "dovecot.index.log"];
        super::refuse(&dir, now, &|path| path == ours).unwrap();
    }

    #[test]
    fn an_account_that_nobody_uses_is_not_in_use() {
        let (_temp, dir) = account();
        refuse(&dir, later(&dir)).unwrap();
    }

    #[test]
    fn a_log_that_was_just_written_is_in_use() {
        let (_temp, dir) = account();
        let now = dir.own_stat().unwrap().mtime + 1;
        assert!(matches!(refuse(&dir, now), Err(Error::InUse { .. })));
    }

    #[test]
    fn a_fresh_dotlock_is_in_use_and_an_old_one_is_not() {
        let (_temp, dir) = account();
        dir.write("dovecot-uidlist.lock", b"").unwrap();
        let made = dir.stat("dovecot-uidlist.lock").unwrap().mtime;
        assert!(matches!(refuse(&dir, made + 60), Err(Error::InUse { .. })));
        refuse(&dir, made + 121).unwrap();
    }

    #[test]
    fn a_storage_file_that_is_locked_is_in_use() {
        let (temp, dir) = account();
        let held = std::fs::File::open(temp.path().join("storage/m.1")).unwrap();
        held.lock().unwrap();
        let refused = refuse(&dir, later(&dir)).unwrap_err();
        assert!(refused.chain().contains("m.1"), "{}", refused.chain());
        drop(held);
        refuse(&dir, later(&dir)).unwrap();
    }
}
