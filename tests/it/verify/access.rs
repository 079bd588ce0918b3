//! Who may touch a message is part of a copy within one format.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use mailtally::ops::verify::Level;

use super::planted::{Planted, compared, store};
use crate::harness::maildir::scratch;
use crate::harness::run::{NOBODY, is_root};
use crate::harness::skipped;

const MODE: Change = |file| {
    fs::set_permissions(file, Permissions::from_mode(0o640)).unwrap();
    "mode"
};

const OWNER: Change = |file| {
    chown(file, Some(NOBODY), Some(NOBODY)).unwrap();
    "owner"
};

/// Changes a file, and returns what is to be said.
type Change = fn(&Path) -> &'static str;

#[test]
fn the_mode_of_one_message_is_named_at_every_level() {
    named("maildir", a_maildir_message, MODE);
    named("sdbox", an_sdbox_message, MODE);
}

#[test]
fn the_owner_of_one_message_is_named_at_every_level() {
    if !is_root() {
        return skipped("only root can give files away");
    }
    named("maildir", a_maildir_message, OWNER);
    named("sdbox", an_sdbox_message, OWNER);
}

/// A message of the INBOX, and its UID.
fn a_maildir_message(root: &Path) -> (PathBuf, u32) {
    let list = fs::read_to_string(root.join("dovecot-uidlist")).unwrap();
    let line = list.lines().nth(1).unwrap();
    let (uid, _) = line.split_once(' ').unwrap();
    let (_, base) = line.split_once(" :").unwrap();
    let files = fs::read_dir(root.join("cur")).unwrap();
    let mut paths = files.map(|file| file.unwrap().path());
    let is_it = |path: &PathBuf| path.to_str().unwrap().contains(base);
    (paths.find(is_it).unwrap(), uid.parse().unwrap())
}

fn an_sdbox_message(root: &Path) -> (PathBuf, u32) {
    let files = fs::read_dir(root.join("mailboxes/INBOX/dbox-Mails")).unwrap();
    let mut names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let name = names.find(|name| name.starts_with("u.")).unwrap();
    let path = root.join("mailboxes/INBOX/dbox-Mails").join(&name);
    (path, name[2..].parse().unwrap())
}

/// One file of a true copy gets another owner or mode: that and nothing else is said.
fn named(format: &str, pick: fn(&Path) -> (PathBuf, u32), change: Change) {
    let temp = scratch();
    let [one, other] = ["one", "other"].map(|name| temp.path().join(name));
    let planted = Planted::sound(4);
    planted.write(format, &one);
    planted.write(format, &other);
    let (file, uid) = pick(&other);
    let code = change(&file);
    for level in [Level::Full, Level::Quick] {
        let (_, said) = compared(store(format, &one), store(format, &other), level);
        let all = said.differences.lock().unwrap();
        assert_eq!(*all, [(code.to_owned(), "INBOX".to_owned(), uid)]);
    }
}
