//! A plan is carried out, cut anywhere and finished, and taken back.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::disk::{self, Disk, Real};
use crate::error::Error;

/// A disk that fails from one step on.
#[derive(Debug)]
struct Cut(AtomicUsize);

impl Disk for Cut {
    fn before(&self, step: &disk::Step<'_>) -> io::Result<()> {
        if !step.action.changes() {
            return Ok(());
        }
        let left = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_sub(1))
            });
        if left == Ok(0) {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }
}

fn store() -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = temp.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("a/index", "old index");
    put("a/log", "old log");
    put("a/gone", "went away");
    put("b/name", "renamed");
    put("b/dated", "dated");
    put("control/list", "old list");
    let dated = std::fs::File::open(temp.path().join("b/dated")).unwrap();
    let was = Duration::new(WAS.0.unsigned_abs(), WAS.1);
    dated.set_modified(UNIX_EPOCH + was).unwrap();
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(temp.path().join("a/index"), mode).unwrap();
    temp
}

/// The time that a file has, and gets.
const WAS: (i64, u32) = (1_700_000_000, 5);
const TO: i64 = 1_500_000_000;

/// The root, and another place.
fn open(temp: &tempfile::TempDir, disk: Arc<dyn Disk>) -> [Dir; 2] {
    let root = Dir::open(temp.path(), disk).unwrap();
    let control = root.dir("control").unwrap();
    [root, control]
}

fn places([root, control]: &[Dir; 2]) -> Places<'_> {
    Places {
        elsewhere: vec![(Place::Control, control)],
        ..Places::one(root)
    }
}

/// True where nothing is left of a plan in any place.
fn nothing_is_kept(temp: &tempfile::TempDir) -> bool {
    let kept = [REPLACED, "control/mailtally-replaced"];
    kept.iter().all(|name| !temp.path().join(name).exists())
}

fn path(text: &str) -> Path {
    text.split('/').map(BString::from).collect()
}

fn plan() -> Plan {
    let mut plan = Plan::default();
    let mut push = |at: &str, act| plan.push(path(at), act, About::default());
    push("a/index", Act::put(b"new index".to_vec()));
    push("a/log", Act::put(b"new log".to_vec()));
    push("a/cache", Act::put(b"new cache".to_vec()));
    push("a/gone", Act::Remove);
    push("b/name", Act::Rename(path("b/other")));
    push("c", Act::MakeDir);
    push("b/dated", Act::SetTime { was: WAS, to: TO });
    plan.steps[3].about.lost = vec!["it went away".into()];
    for (name, act) in [
        ("sub", Act::MakeDir),
        ("sub/list", Act::put(b"new".to_vec())),
        ("list", Act::put(b"new list".to_vec())),
        ("list.mark", Act::Mark),
    ] {
        plan.push_in(Place::Control, path(name), act, About::default());
    }
    plan
}

/// Content, or the time where that is what changes, and mode by name; without what was kept.
fn contents(temp: &tempfile::TempDir) -> BTreeMap<String, (String, u32)> {
    let mut all = BTreeMap::new();
    let mut open = vec![temp.path().to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let (path, stat) = (entry.path(), entry.metadata().unwrap());
            if entry.file_name() == REPLACED {
                continue;
            }
            let name = path
                .strip_prefix(temp.path())
                .unwrap()
                .display()
                .to_string();
            if stat.is_dir() {
                open.push(path);
                all.insert(name, (String::new(), 0));
            } else {
                let text = if name == "b/dated" {
                    format!("{}.{}", stat.mtime(), stat.mtime_nsec())
                } else {
                    std::fs::read_to_string(path).unwrap()
                };
                all.insert(name, (text, stat.permissions().mode() & 0o777));
            }
        }
    }
    all
}

fn cut(step: usize) -> Arc<dyn Disk> {
    Arc::new(Cut(AtomicUsize::new(step)))
}

#[test]
fn what_is_replaced_is_kept_and_comes_back() {
    let temp = store();
    let before = contents(&temp);
    let root = open(&temp, Arc::new(Real));
    let folder = carry_out(&places(&root), &plan(), "2026").unwrap().folder;
    let after = contents(&temp);
    assert_eq!(after["a/index"], ("new index".into(), 0o640));
    assert_eq!(after["a/cache"].0, "new cache");
    assert_eq!(after["b/other"].0, "renamed");
    assert_eq!(after["b/dated"].0, format!("{TO}.0"));
    assert_eq!(after["control/list"].0, "new list");
    assert_eq!(after["control/sub/list"].0, "new");
    assert_eq!(after["control/list.mark"], (String::new(), 0o444));
    assert!(after.contains_key("c") && !after.contains_key("a/gone"));
    let kept = temp.path().join(REPLACED).join(&folder);
    let kept = |name: &str| std::fs::read_to_string(kept.join(name)).unwrap();
    assert_eq!(kept("0001.index"), "old index");
    assert_eq!(kept("0004.gone"), "went away");
    let told_now = || finish_what_was_begun(&places(&root)).unwrap().len();
    assert_eq!([told_now(), told_now()], [1, 1]);
    told(&places(&root), std::slice::from_ref(&folder)).unwrap();
    assert_eq!(told_now(), 0);
    assert_eq!(undo(&places(&root)).unwrap(), Some(folder));
    assert_eq!(contents(&temp), before);
    assert!(nothing_is_kept(&temp));
    assert_eq!(undo(&places(&root)).unwrap(), None);
}

#[test]
fn a_plan_cut_before_any_step_is_as_before_or_finished_by_the_next_run() {
    let whole = store();
    let before = contents(&whole);
    carry_out(&places(&open(&whole, Arc::new(Real))), &plan(), "2026").unwrap();
    let after = contents(&whole);
    for step in 0.. {
        let temp = store();
        let done = carry_out(&places(&open(&temp, cut(step))), &plan(), "2026").is_ok();
        let root = open(&temp, Arc::new(Real));
        let folder = temp.path().join(REPLACED).join("2026");
        let begun = folder.join("plan.json").exists();
        let untold = begun || folder.join("done.json").exists();
        if !begun && !done && contents(&temp) != after {
            assert_eq!(contents(&temp), before, "cut before step {step}");
        }
        let finished = finish_what_was_begun(&places(&root)).unwrap();
        let told = finished.iter().flat_map(|carried| &carried.steps);
        let told: Vec<_> = told.flat_map(|step| &step.lost).collect();
        let lost: &[&str] = if untold { &["it went away"] } else { &[] };
        assert_eq!(told, lost, "cut before step {step}");
        let now = contents(&temp);
        assert!(now == before || now == after, "cut before step {step}");
        assert!(!begun || now == after, "cut before step {step}: finished");
        if now == before {
            assert!(nothing_is_kept(&temp), "step {step}");
        }
        if done {
            assert!(step > 20, "{step} steps");
            return;
        }
    }
}

#[test]
fn undoing_cut_before_any_step_is_finished_by_the_next_run() {
    for step in 0.. {
        let temp = store();
        let before = contents(&temp);
        carry_out(&places(&open(&temp, Arc::new(Real))), &plan(), "2026").unwrap();
        let after = contents(&temp);
        let done = undo(&places(&open(&temp, cut(step)))).is_ok();
        let root = open(&temp, Arc::new(Real));
        finish_what_was_begun(&places(&root)).unwrap();
        let now = contents(&temp);
        assert!(now == before || now == after, "cut before step {step}");
        undo(&places(&root)).unwrap();
        assert_eq!(contents(&temp), before, "cut before step {step}");
        assert!(nothing_is_kept(&temp), "step {step}");
        if done {
            assert!(step > 8, "{step} steps");
            return;
        }
    }
}

#[test]
fn what_someone_has_changed_since_is_not_taken_back() {
    let temp = store();
    let root = open(&temp, Arc::new(Real));
    carry_out(&places(&root), &plan(), "2026").unwrap();
    std::fs::write(temp.path().join("a/log"), "a server was here").unwrap();
    let after = contents(&temp);
    assert!(matches!(undo(&places(&root)), Err(Error::Occupied { .. })));
    assert_eq!(contents(&temp), after);
}

#[test]
fn two_repairs_of_one_second_have_a_folder_each() {
    let temp = store();
    let root = open(&temp, Arc::new(Real));
    for wanted in ["2026", "2026.002", "2026.003"] {
        let mut plan = Plan::default();
        plan.push(path("a/log"), Act::put(wanted.into()), About::default());
        let carried = carry_out(&places(&root), &plan, "2026").unwrap();
        assert_eq!(carried.folder, wanted);
    }
    assert_eq!(undo(&places(&root)).unwrap().as_deref(), Some("2026.003"));
    assert_eq!(contents(&temp)["a/log"].0, "2026.002");
}

#[test]
fn a_plan_of_several_places_is_not_finished_without_them() {
    let temp = store();
    let dirs = open(&temp, Arc::new(Real));
    carry_out(&places(&dirs), &plan(), "2026").unwrap();
    let after = contents(&temp);
    assert!(matches!(
        undo(&Places::one(&dirs[0])),
        Err(Error::Usage { .. })
    ));
    assert_eq!(contents(&temp), after);
}

#[test]
fn what_is_kept_lies_where_no_mailbox_can_be() {
    let temp = store();
    let before = contents(&temp);
    let dirs = open(&temp, Arc::new(Real));
    let hidden = Places {
        hidden: vec!["tmp".into()],
        ..places(&dirs)
    };
    let mut plan = plan();
    plan.push(path("tmp"), Act::MakeDir, About::default());
    let folder = carry_out(&hidden, &plan, "2026").unwrap().folder;
    assert_eq!(hidden.shown(&folder), "tmp/mailtally-replaced/2026");
    assert!(temp.path().join("tmp/mailtally-replaced/2026").exists());
    assert!(!temp.path().join(REPLACED).exists());
    undo(&hidden).unwrap();
    assert_eq!(contents(&temp), before);
}
