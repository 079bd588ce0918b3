//! `--quick` opens no message; `--sample` reads every message once in so many runs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bstr::ByteSlice;

use mailtally::disk::{Action, Disk, Real, Step};
use mailtally::model::Flags;
use mailtally::ops::verify::Level;
use mailtally::report::Status;

use super::planted::{Planted, compared, store, store_on};
use crate::harness::FORMATS;
use crate::harness::maildir::scratch;

/// A disk that counts how often a message of a Maildir is opened, whatever its flags.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Disk for Counting {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        if step.action == Action::Open && step.name.contains_str(":2,") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Real.before(step)
    }
}

#[test]
fn a_quick_look_opens_no_message_of_a_maildir_and_sees_flags_dates_and_sizes() {
    let temp = scratch();
    let [one, other] = ["one", "other"].map(|name| temp.path().join(name));
    let mut planted = Planted::sound(1);
    planted.write("maildir", &one);
    planted.boxes[0].messages[0].0.flags = Flags::DRAFT;
    planted.boxes[1].messages[1].0.received += 5;
    planted.boxes[2].messages[2].1.push(b'x');
    planted.boxes[3].messages.remove(3);
    planted.write("maildir", &other);
    let disk = Arc::new(Counting::default());
    let sides = [&one, &other].map(|path| {
        let disk = Arc::clone(&disk) as Arc<dyn Disk>;
        store_on("maildir", path, disk)
    });
    let [source, destination] = sides;
    let (line, said) = compared(source, destination, Level::Quick);
    let codes: Vec<_> = said.differences.lock().unwrap().clone();
    let codes: Vec<_> = codes.iter().map(|(code, ..)| code.as_str()).collect();
    let wanted = [
        "message.flags",
        "message.received",
        "message.content",
        "message.missing",
    ];
    assert_eq!(codes, wanted);
    assert_eq!(disk.0.load(Ordering::Relaxed), 0);
    let again = store_on("maildir", &one, Arc::clone(&disk) as Arc<dyn Disk>);
    compared(again, store("maildir", &one), Level::Full);
    assert_eq!(disk.0.load(Ordering::Relaxed), 32, "a full look is counted");
    assert_eq!(line.digest.source, "");
    assert!(line.not_compared[0].starts_with("contents: --quick"));
}

#[test]
fn a_true_copy_is_go_at_every_level_in_every_pair_of_formats() {
    let temp = scratch();
    let planted = Planted::sound(2);
    for format in FORMATS {
        for side in ["one", "other"] {
            planted.write(format, &temp.path().join(format!("{side}-{format}")));
        }
    }
    let path = |side: &str, format: &str| temp.path().join(format!("{side}-{format}"));
    let sample = Level::Sample { of: 3, seed: 1 };
    for from in FORMATS {
        for to in FORMATS {
            for level in [Level::Full, Level::Quick, sample] {
                let (one, other) = (path("one", from), path("other", to));
                let (line, said) = compared(store(from, &one), store(to, &other), level);
                let what = format!("{from} {to} {level:?}");
                assert_eq!(*said.differences.lock().unwrap(), [], "{what}");
                assert_eq!(*said.findings.lock().unwrap(), [], "{what}");
                assert_eq!(line.status, Status::Verified, "{what}");
            }
        }
    }
}

#[test]
fn samples_with_seeds_in_a_row_find_a_changed_byte_once() {
    let temp = scratch();
    let [one, other] = ["one", "other"].map(|name| temp.path().join(name));
    let mut planted = Planted::sound(3);
    planted.write("maildir", &one);
    planted.boxes[2].messages[4].1[60] ^= 1;
    planted.write("sdbox", &other);
    let mut found = Vec::new();
    for seed in 100..107 {
        let level = Level::Sample { of: 7, seed };
        let (_, said) = compared(store("maildir", &one), store("sdbox", &other), level);
        found.extend(said.differences.lock().unwrap().clone());
    }
    assert_eq!(
        found,
        [("message.content".to_owned(), "INBOX".to_owned(), 9)]
    );
}

#[test]
fn a_message_whose_guid_one_format_cannot_keep_is_not_another_message() {
    let temp = scratch();
    let [one, other] = ["one", "other"].map(|name| temp.path().join(name));
    let mut planted = Planted::sound(3);
    planted.boxes[2].messages[4].0.guid = "two words".into();
    planted.write("sdbox", &one);
    planted.boxes[2].messages[4].0.guid = "one".into();
    planted.boxes[2].messages[4].0.flags = Flags::DRAFT;
    planted.write("maildir", &other);
    for level in [Level::Quick, Level::Sample { of: 3, seed: 1 }] {
        let (_, said) = compared(store("sdbox", &one), store("maildir", &other), level);
        let wanted = [("message.flags".to_owned(), "INBOX".to_owned(), 9)];
        assert_eq!(*said.differences.lock().unwrap(), wanted, "{level:?}");
    }
}
