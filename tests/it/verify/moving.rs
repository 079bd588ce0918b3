//! A side that changes while it is read: what holds still at the second look is the truth, and what does not
//! is a finding, never a difference.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mailtally::disk::{Action, Disk, Real, Step};
use mailtally::ops::verify::Level;
use mailtally::report::Status;

use super::planted::{Planted, compared, store, store_on};
use crate::harness::maildir::scratch;

/// A disk on which flags change whenever the uidlist of a folder is opened: the first time at the opening
/// of the account, then at every look at the folder.
#[derive(Debug)]
struct Moving {
    /// Whose flags change.
    dirs: Vec<PathBuf>,
    /// To these, look by look.
    flags: &'static [&'static str],
    looks: AtomicUsize,
}

impl Disk for Moving {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        if step.action == Action::Open
            && step.name == b"dovecot-uidlist"
            && step.dir.ends_with(".Work")
        {
            let look = self.looks.fetch_add(1, Ordering::Relaxed);
            if let Some(flags) = look.checked_sub(1).and_then(|look| self.flags.get(look)) {
                self.dirs.iter().for_each(|dir| set_flags(dir, flags));
            }
        }
        Real.before(step)
    }
}

/// The first message of a folder gets these flags.
fn set_flags(folder: &Path, flags: &str) {
    let names = fs::read_dir(folder.join("cur")).unwrap();
    let mut paths: Vec<_> = names.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let path = paths[0].to_str().unwrap();
    let (base, _) = path.rsplit_once(":2,").unwrap();
    fs::rename(path, format!("{base}:2,{flags}")).unwrap();
}

struct Copies {
    temp: tempfile::TempDir,
}

impl Copies {
    fn new() -> Self {
        let temp = scratch();
        let planted = Planted::sound(4);
        for name in ["one", "other"] {
            planted.write("maildir", &temp.path().join(name));
        }
        Self { temp }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn work(&self, name: &str) -> PathBuf {
        self.path(name).join(".Work")
    }
}

#[test]
fn what_came_to_both_sides_while_they_were_read_is_no_difference() {
    let copies = Copies::new();
    // The source was listed before the flags changed on both sides, the destination after it.
    let disk = Arc::new(Moving {
        dirs: vec![copies.work("one"), copies.work("other")],
        flags: &["FS"],
        looks: AtomicUsize::new(0),
    });
    let destination = store_on("maildir", &copies.path("other"), disk);
    let (line, said) = compared(
        store("maildir", &copies.path("one")),
        destination,
        Level::Full,
    );
    assert_eq!(*said.differences.lock().unwrap(), []);
    assert_eq!(*said.findings.lock().unwrap(), []);
    assert_eq!(line.status, Status::Verified);
}

#[test]
fn a_message_that_does_not_hold_still_is_a_finding() {
    let copies = Copies::new();
    let disk = Arc::new(Moving {
        dirs: vec![copies.work("one")],
        flags: &["DF", "DR", "DT"],
        looks: AtomicUsize::new(0),
    });
    let source = store_on("maildir", &copies.path("one"), disk);
    let (line, said) = compared(source, store("maildir", &copies.path("other")), Level::Full);
    assert_eq!(*said.differences.lock().unwrap(), []);
    let findings = said.findings.lock().unwrap();
    let [(code, mailbox, _)] = &findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(
        (code.as_str(), mailbox.as_str()),
        ("message.changed", "Work")
    );
    assert_eq!(line.status, Status::Attention);
}
