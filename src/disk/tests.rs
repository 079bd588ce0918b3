use std::os::unix::fs::symlink;
use std::sync::Arc;

use super::{Dir, Kind, Real, remove_tree};

fn sandbox() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let inside = temp.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(temp.path().join("secret"), "outside").unwrap();
    let dir = Dir::open(&inside, Arc::new(Real)).unwrap();
    (temp, dir)
}

#[test]
fn nothing_outside_an_open_directory_can_be_named_through_it() {
    let (temp, dir) = sandbox();
    symlink(temp.path().join("secret"), dir.path().join("link")).unwrap();
    symlink(temp.path(), dir.path().join("up")).unwrap();
    for name in [
        "../secret",
        "..",
        ".",
        "",
        "link",
        "a/b",
        "/etc/passwd",
        "a\0b",
    ] {
        assert!(dir.file(name).is_err(), "{name:?} was opened");
        assert!(dir.create(name).is_err(), "{name:?} was created");
    }
    for name in ["..", ".", "up", "link"] {
        assert!(dir.dir(name).is_err(), "{name:?} was entered");
    }
}

#[test]
fn a_new_file_has_the_mode_that_was_wanted_whatever_the_umask_takes() {
    let (_temp, dir) = sandbox();
    for mode in [0o600, 0o640, 0o644, 0o666] {
        let name = format!("{mode:o}");
        dir.create_with_mode(&name, mode).unwrap();
        assert_eq!(dir.stat(&name).unwrap().mode, mode, "{name}");
    }
    dir.create("private").unwrap();
    assert_eq!(dir.stat("private").unwrap().mode, 0o600);
}

#[test]
fn what_a_directory_holds_is_told_without_following_links() {
    let (_temp, dir) = sandbox();
    dir.write("file", b"12345").unwrap();
    dir.make_dir("dir").unwrap();
    dir.make_link("link", b"nowhere").unwrap();
    let mut entries = dir.entries().unwrap();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::Dir, Kind::File, Kind::Link]);
    assert_eq!(dir.stat("file").unwrap().size, 5);
    assert_eq!(dir.read_link("link").unwrap(), "nowhere");
    assert_eq!(dir.read_if_there("file", 9).unwrap().unwrap(), b"12345");
    assert!(dir.read_if_there("file", 4).is_err(), "larger than allowed");
    assert_eq!(dir.read_if_there("none", 4).unwrap(), None);
}

#[test]
fn removing_a_tree_removes_links_and_not_what_they_point_to() {
    let (temp, dir) = sandbox();
    let tree = dir.make_dir("tree").unwrap();
    tree.make_dir("deep").unwrap().write("f", b"x").unwrap();
    tree.make_link("out", temp.path().as_os_str().as_encoded_bytes())
        .unwrap();
    remove_tree(&dir, b"tree").unwrap();
    assert!(dir.entries().unwrap().is_empty());
    assert!(temp.path().join("secret").exists());
}

#[test]
fn a_rename_never_replaces_what_holds_something() {
    let (_temp, dir) = sandbox();
    dir.make_dir("new").unwrap().write("ours", b"").unwrap();
    dir.make_dir("old").unwrap().write("theirs", b"").unwrap();
    dir.make_dir("empty").unwrap();
    assert!(dir.rename_new("new", "old").is_err());
    dir.rename_new("new", "empty").unwrap();
    assert!(dir.dir("empty").unwrap().stat("ours").is_ok());
    dir.exchange("empty", "old").unwrap();
    assert!(dir.dir("old").unwrap().stat("ours").is_ok());
}

#[test]
fn a_second_lock_on_a_directory_is_refused_at_once() {
    let (_temp, dir) = sandbox();
    let account = dir.make_dir("account").unwrap();
    account.lock().unwrap();
    let second = dir.dir("account").unwrap();
    assert!(matches!(second.lock(), Err(crate::Error::Locked { .. })));
    drop(account);
    second.lock().unwrap();
}

#[test]
fn a_link_is_told_to_stay_inside_or_not_by_its_text_alone() {
    let (_temp, dir) = sandbox();
    let at = ["sieve".into(), "old".into()];
    let inside = |target: &str| dir.inside(&at, target.as_bytes());
    assert_eq!(inside("x").unwrap(), ["sieve", "old", "x"]);
    assert_eq!(inside("../../x").unwrap(), ["x"]);
    assert_eq!(inside("../../../x"), None);
    assert_eq!(inside("/etc/passwd"), None);
    let absolute = dir.path().join("a/./b");
    assert_eq!(inside(absolute.to_str().unwrap()).unwrap(), ["a", "b"]);
    let beside = format!("{}-other/x", dir.path().display());
    assert_eq!(inside(&beside), None);
}
