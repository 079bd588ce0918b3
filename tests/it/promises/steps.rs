//! Every step may be the last one, and any step may fail once.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailtally::Result;
use mailtally::disk::{Dir, Disk, Owner, Real};
use mailtally::format::{OpenOptions, room};
use mailtally::ops::{Teller, convert, together::Together, users::Place, workers::Workers};
use mailtally::report::UserLine;

use crate::harness::FORMATS;
use crate::harness::failing::{EIO, ENOSPC, Failing};
use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::is_root;
use crate::harness::tree::tree;

/// Some of everything that is written, and something that is not carried.
pub(super) fn account() -> Maildir {
    Maildir::five_and_one()
        .folder("A.B")
        .message("A.B", &format!("{}:2,S", name(7)), vec![b'x'; 700_000])
        .uidlist("A.B", 2, &[(1, name(7))])
        .message("Sent", &format!("{}:2,S", name(8)), b"\x1f\x8b\x08 torn")
        .put("subscriptions", "Sent\n")
        .put("sieve/main.sieve", "keep;\n")
        .link(".dovecot.sieve", "sieve/main.sieve")
        .side("Sent", "dovecot-acl", "owner lr\n")
        .mode("", 0o750)
}

pub(super) fn convert(
    from: &Maildir,
    format: &str,
    to: &Path,
    disk: &Arc<dyn Disk>,
) -> Result<UserLine> {
    convert_by(1, from, format, to, disk)
}

/// The same, by so many threads.
fn convert_by(
    threads: usize,
    from: &Maildir,
    format: &str,
    to: &Path,
    disk: &Arc<dyn Disk>,
) -> Result<UserLine> {
    convert_beside(&Workers::new(threads)?, from, format, to, disk)
}

/// The same, by workers that may have other accounts too.
pub(super) fn convert_beside(
    workers: &Workers,
    from: &Maildir,
    format: &str,
    to: &Path,
    disk: &Arc<dyn Disk>,
) -> Result<UserLine> {
    let destination = Place::named(to.to_owned(), disk);
    let open = OpenOptions {
        now: 1_800_000_000,
        ..OpenOptions::default()
    };
    let job = convert::Job {
        user: "",
        from: room("maildir").unwrap(),
        source: Dir::open(&from.source(), Arc::clone(disk)).unwrap(),
        open: &open,
        to: room(format).unwrap(),
        destination: &destination,
        together: &Together::default(),
    };
    let options = convert::Options {
        now: 1_800_000_000,
        owner: is_root().then_some(Owner {
            uid: 1234,
            gid: 1234,
        }),
        ..Default::default()
    };
    convert::account(job, &options, &Teller::new("", &()), workers)
}

/// Mode, owner and content.
type Lasting = (u32, (u32, u32), Vec<u8>);

/// What lasts of every name; of the state, all but the times in its stamp.
fn contents(root: &Path) -> BTreeMap<PathBuf, Lasting> {
    let nodes = tree(root).into_iter();
    let told = nodes.map(|(path, node)| {
        let mut content = node.content.to_vec();
        if path.ends_with("mailtally.state") {
            let text = zstd::decode_all(&content[..]).unwrap();
            let text = String::from_utf8(text).unwrap();
            let (head, rest) = text.split_once('\n').unwrap();
            let mut head: serde_json::Value = serde_json::from_str(head).unwrap();
            head["destination_stamp"] = "".into();
            content = format!("{head}\n{rest}").into_bytes();
        }
        (path, (node.mode, node.owner, content))
    });
    told.collect()
}

fn real() -> Arc<dyn Disk> {
    Arc::new(Real)
}

/// The names beside the destination.
pub(super) fn beside(to: &Path) -> Vec<String> {
    let names = fs::read_dir(to.parent().unwrap()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// A place for destinations, of their own.
pub(super) fn place(account: &Maildir) -> PathBuf {
    let above = account.temp().join("srv");
    fs::create_dir(&above).unwrap();
    above.join("store")
}

#[test]
fn a_conversion_cut_before_any_step_resumes_to_the_same_store() {
    for format in FORMATS {
        conversion_cut_in(format);
    }
}

fn conversion_cut_in(format: &str) {
    let account = account();
    let to = place(&account);
    convert(&account, format, &to, &real()).expect("no cut");
    let whole = contents(&to);
    for step in 0.. {
        fs::remove_dir_all(&to).unwrap();
        let finished = convert(&account, format, &to, &Failing::disk(step, true, EIO)).is_ok();
        if to.exists() {
            assert_eq!(
                contents(&to),
                whole,
                "cut before step {step}: whole or not there"
            );
        }
        convert(&account, format, &to, &real())
            .expect("the second run takes up where the first one stopped");
        assert_eq!(contents(&to), whole, "cut before step {step}");
        assert_eq!(beside(&to), ["store"], "cut before step {step}");
        if finished {
            assert!(step > 50, "{step} steps");
            return;
        }
    }
}

#[test]
fn a_second_pass_cut_before_any_step_leaves_the_old_store_or_the_new_one() {
    for format in FORMATS {
        second_pass_cut_in(format);
    }
}

fn second_pass_cut_in(format: &str) {
    let (old, new) = (
        account(),
        account().new_message("INBOX", &name(9), mail("new")),
    );
    let to = place(&old);
    convert(&old, format, &to, &real()).expect("no cut");
    let before = contents(&to);
    convert(&new, format, &to, &real()).expect("no cut");
    let after = contents(&to);
    assert_ne!(before, after);
    for step in 0.. {
        fs::remove_dir_all(&to).unwrap();
        convert(&old, format, &to, &real()).expect("no cut");
        let finished = convert(&new, format, &to, &Failing::disk(step, true, EIO)).is_ok();
        let now = contents(&to);
        assert!(
            now == before || now == after,
            "cut before step {step}: neither old nor new"
        );
        convert(&new, format, &to, &real()).expect("the next run takes up where this one stopped");
        assert_eq!(contents(&to), after, "cut before step {step}");
        assert_eq!(beside(&to), ["store"], "cut before step {step}");
        if finished {
            return;
        }
    }
}

#[test]
fn a_step_that_fails_once_fails_the_run_and_leaves_nothing_behind() {
    for format in FORMATS {
        step_that_fails_in(format);
    }
}

#[test]
fn a_step_that_fails_once_beside_other_threads_fails_the_run_with_what_the_system_said() {
    let account = (10..40).fold(account(), |account, nth| {
        account.message("INBOX", &format!("{}:2,S", name(nth)), mail("more"))
    });
    let to = place(&account);
    for step in 0.. {
        let disk = Failing::disk(step, false, ENOSPC);
        let Err(error) = convert_by(4, &account, "mdbox", &to, &disk) else {
            return;
        };
        assert_eq!(
            system_error(&error),
            Some(ENOSPC),
            "{step}: {}",
            error.chain()
        );
        if to.exists() {
            fs::remove_dir_all(&to).unwrap();
        }
    }
}

/// What the system said.
fn system_error(error: &mailtally::Error) -> Option<i32> {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error)
}

fn step_that_fails_in(format: &str) {
    let account = account();
    let to = place(&account);
    convert(&account, format, &to, &real()).expect("no failure");
    let whole = contents(&to);
    for (nth, with) in [EIO, ENOSPC].into_iter().enumerate() {
        for step in (nth..).step_by(2) {
            fs::remove_dir_all(&to).unwrap();
            let ended = convert(&account, format, &to, &Failing::disk(step, false, with));
            let finished = ended.is_ok();
            if let Err(error) = ended {
                assert_eq!(
                    system_error(&error),
                    Some(with),
                    "step {step}: {}",
                    error.chain()
                );
            }
            match beside(&to)[..] {
                [] => {}
                ref names => {
                    assert_eq!(names, ["store"], "step {step}");
                    assert_eq!(contents(&to), whole, "step {step}: whole or not there");
                }
            }
            convert(&account, format, &to, &real()).expect("the next run has a sound disk");
            assert_eq!(contents(&to), whole, "step {step}");
            if finished {
                break;
            }
        }
    }
}
