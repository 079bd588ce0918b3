//! Who may touch a message is part of a copy within one format.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mailtally::ops::verify::Level;

use super::planted::{Planted, compared, store};
use crate::harness::maildir::scratch;

#[test]
fn the_mode_of_one_maildir_message_is_named_at_every_level() {
    named("maildir", |root| {
        let list = fs::read_to_string(root.join("dovecot-uidlist")).unwrap();
        let line = list.lines().nth(1).unwrap();
        let (uid, _) = line.split_once(' ').unwrap();
        let (_, base) = line.split_once(" :").unwrap();
        let files = fs::read_dir(root.join("cur")).unwrap();
        let mut paths = files.map(|file| file.unwrap().path());
        let is_it = |path: &PathBuf| path.to_str().unwrap().contains(base);
        (paths.find(is_it).unwrap(), uid.parse().unwrap())
    });
}

#[test]
fn the_mode_of_one_sdbox_message_is_named_at_every_level() {
    named("sdbox", |root| {
        let files = fs::read_dir(root.join("mailboxes/INBOX/dbox-Mails")).unwrap();
        let mut names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let name = names.find(|name| name.starts_with("u.")).unwrap();
        let path = root.join("mailboxes/INBOX/dbox-Mails").join(&name);
        (path, name[2..].parse().unwrap())
    });
}

/// One file of a true copy gets another mode: that and nothing else is said.
fn named(format: &str, pick: impl Fn(&Path) -> (PathBuf, u32)) {
    let temp = scratch();
    let [one, other] = ["one", "other"].map(|name| temp.path().join(name));
    let planted = Planted::sound(4);
    planted.write(format, &one);
    planted.write(format, &other);
    let (file, uid) = pick(&other);
    fs::set_permissions(file, Permissions::from_mode(0o640)).unwrap();
    for level in [Level::Full, Level::Quick] {
        let (_, said) = compared(store(format, &one), store(format, &other), level);
        let all = said.differences.lock().unwrap();
        assert_eq!(*all, [("mode".to_owned(), "INBOX".to_owned(), uid)]);
    }
}
