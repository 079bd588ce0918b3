//! A side that changes while it is read: what holds still at the second look is the truth, and what does not
//! is a finding, never a difference.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use mailtally::disk::{Action, Disk, Real, Step};
use mailtally::model::Uid;
use mailtally::ops::verify::Level;
use mailtally::report::{Status, UserLine};

use super::planted::{Planted, Said, compared, store, store_on};
use crate::harness::maildir::scratch;

/// A disk on which something happens whenever the uidlist of a folder is looked for: the first time at the
/// opening of the account, which is not told, then at every look at the folder.
struct Moving<F> {
    /// Told which look it is.
    happens: F,
    looks: AtomicUsize,
}

impl<F: Fn(usize) + Send + Sync + 'static> Moving<F> {
    fn disk(happens: F) -> Arc<dyn Disk> {
        let looks = AtomicUsize::new(0);
        Arc::new(Self { happens, looks })
    }
}

impl<F> fmt::Debug for Moving<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Moving({:?})", self.looks)
    }
}

impl<F: Fn(usize) + Send + Sync> Disk for Moving<F> {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        if step.action == Action::Open
            && step.name == b"dovecot-uidlist"
            && step.dir.ends_with(".Work")
        {
            let look = self.looks.fetch_add(1, Ordering::Relaxed);
            if let Some(look) = look.checked_sub(1) {
                (self.happens)(look);
            }
        }
        Real.before(step)
    }
}

/// The first message of a folder gets these flags.
fn set_flags(folder: &Path, flags: &str) {
    let path = first(folder);
    let path = path.to_str().unwrap();
    let (base, _) = path.rsplit_once(":2,").unwrap();
    fs::rename(path, format!("{base}:2,{flags}")).unwrap();
}

fn first(folder: &Path) -> PathBuf {
    let names = fs::read_dir(folder.join("cur")).unwrap();
    let paths = names.map(|entry| entry.unwrap().path());
    paths.min().unwrap()
}

/// A message comes to a folder.
fn deliver(folder: &Path) {
    let path = folder.join("cur/1700000099.M1P1.host:2,");
    fs::write(&path, "A: b\n\nnew\n").unwrap();
    let when = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_099);
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(when).unwrap();
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

    /// Both without the lists that give messages their UIDs.
    fn without_uids() -> Self {
        let copies = Self::new();
        for name in ["one", "other"] {
            for folder in ["", ".Archive", ".Archive.2009", ".Work"] {
                fs::remove_file(copies.path(name).join(folder).join("dovecot-uidlist")).unwrap();
            }
        }
        copies
    }

    /// Compares them, the side of this name on such a disk.
    fn compared(&self, moving: &str, disk: &Arc<dyn Disk>) -> (UserLine, Said) {
        let sides = ["one", "other"].map(|name| {
            if name == moving {
                store_on("maildir", &self.path(name), Arc::clone(disk))
            } else {
                store("maildir", &self.path(name))
            }
        });
        let [one, other] = sides;
        let (line, said) = compared(one, other, Level::Full);
        let mut findings = said.findings.lock().unwrap();
        findings.retain(|(code, ..)| code != "uidlist.missing");
        drop(findings);
        (line, said)
    }

    /// Folders of both copies.
    fn both(&self) -> [PathBuf; 2] {
        [self.work("one"), self.work("other")]
    }

    fn work(&self, name: &str) -> PathBuf {
        self.path(name).join(".Work")
    }
}

#[test]
fn what_came_to_both_sides_while_they_were_read_is_no_difference() {
    for copies in [Copies::new(), Copies::without_uids()] {
        let dirs = copies.both();
        // The source was listed before the flags changed on both sides, the destination after it.
        let disk = Moving::disk(move |look| {
            if look == 0 {
                for dir in &dirs {
                    set_flags(dir, "FS");
                    deliver(dir);
                }
            }
        });
        let (line, said) = copies.compared("other", &disk);
        assert_eq!(*said.differences.lock().unwrap(), []);
        assert_eq!(*said.findings.lock().unwrap(), []);
        assert_eq!(line.status, Status::Verified);
    }
}

#[test]
fn what_went_from_both_sides_while_they_were_read_is_no_difference() {
    for copies in [Copies::new(), Copies::without_uids()] {
        let dirs = copies.both();
        let disk = Moving::disk(move |look| {
            if look == 0 {
                for dir in &dirs {
                    fs::remove_file(first(dir)).unwrap();
                }
            }
        });
        let (_, said) = copies.compared("other", &disk);
        assert_eq!(*said.differences.lock().unwrap(), []);
        let findings = said.findings.lock().unwrap();
        let codes: Vec<_> = findings.iter().map(|(code, ..)| code.as_str()).collect();
        assert_eq!(codes, ["maildir.vanished"]);
    }
}

#[test]
fn a_message_that_does_not_hold_still_is_a_finding() {
    for copies in [Copies::new(), Copies::without_uids()] {
        let dir = copies.work("one");
        let disk = Moving::disk(move |look| {
            if let Some(flags) = ["DF", "DR", "DT"].get(look) {
                set_flags(&dir, flags);
            }
        });
        let (line, said) = copies.compared("one", &disk);
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
}

#[test]
fn a_message_that_goes_while_it_is_read_is_a_finding_and_not_missing() {
    for copies in [Copies::new(), Copies::without_uids()] {
        let dir = copies.work("one");
        // Behind the listing of the source: its own look at the folder is the first.
        let disk = Moving::disk(move |look| {
            if look == 0 {
                fs::remove_file(first(&dir)).unwrap();
            }
        });
        let (line, said) = copies.compared("other", &disk);
        assert_eq!(*said.differences.lock().unwrap(), []);
        let findings = said.findings.lock().unwrap();
        let codes: Vec<_> = findings.iter().map(|(code, ..)| code.as_str()).collect();
        assert_eq!(codes, ["maildir.vanished", "message.changed"]);
        assert_eq!(line.status, Status::Attention);
    }
}

#[test]
fn of_two_messages_with_one_guid_the_one_that_is_missing_is_missing() {
    let copies = Copies::without_uids();
    let mut planted = Planted::sound(4);
    let (mut twin, body) = planted.boxes[3].messages[7].clone();
    twin.uid = Uid::new(30).unwrap();
    planted.boxes[3].messages.push((twin, body));
    let twins = copies.path("twins");
    planted.write("sdbox", &twins);
    let other = store("maildir", &copies.path("other"));
    let (_, said) = compared(store("sdbox", &twins), other, Level::Full);
    let wanted = [("message.missing".to_owned(), "Work".to_owned(), 30)];
    assert_eq!(*said.differences.lock().unwrap(), wanted);
}
