//! Small messages that are written with others.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::pool::Pool;
use super::{numbered, read, size_of, written, written_on};
use crate::disk::{Action, Disk, Step};
use crate::format::golden::open_dir;
use crate::format::writing::Writing;
use crate::model::Message;
use crate::store::{CreateOptions, Form};

/// A disk that counts what is written to storage files.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Disk for Counting {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        if step.action == Action::Write && step.name.starts_with(b"m.") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Messages of these sizes, each of other bytes than the one before.
fn mails(sizes: &[usize]) -> Vec<(Message, Vec<u8>)> {
    let mails = (1..).zip(sizes).zip((b'a'..=b'z').cycle());
    mails
        .map(|((uid, size), byte)| (numbered(uid), vec![byte; *size]))
        .collect()
}

#[test]
fn many_small_messages_take_few_writes() {
    let disk = Arc::new(Counting::default());
    let (temp, names) = written_on(disk.clone(), &[mails(&[1000; 500])], Form::default());
    assert_eq!(names, ["m.1"]);
    assert!(size_of(temp.path(), "m.1") > 500_000);
    let writes = disk.0.load(Ordering::Relaxed);
    assert!(writes < 10, "{writes} for 500 messages");
}

#[test]
fn small_ones_beside_large_ones_and_at_the_end_of_a_file_are_all_there_with_nothing_between_them() {
    let mut sizes = vec![
        10, 70_000, 20, 30, 300_000, 40, 5_000_000, 50, 60, 65_000, 65_536,
    ];
    sizes.extend([60_000; 30]);
    sizes.extend([6_000_000, 1]);
    let mails = mails(&sizes);
    let form = Form {
        rotate_size: 2 << 20,
        ..Form::default()
    };
    let (temp, names) = written(std::slice::from_ref(&mails), form);
    assert!(names.len() > 3, "{names:?}");
    let (bodies, findings) = read(temp.path());
    assert_eq!(findings, []);
    let wanted = mails
        .into_iter()
        .map(|(message, body)| (message.uid.get(), body));
    assert!(bodies.into_iter().eq(wanted), "other bytes");
    std::fs::remove_file(temp.path().join("storage/dovecot.map.index")).unwrap();
    std::fs::remove_file(temp.path().join("storage/dovecot.map.index.log")).unwrap();
    let (_, findings) = read(temp.path());
    let codes: Vec<_> = findings.iter().map(|finding| finding.rule.code).collect();
    assert_eq!(codes, ["mdbox.map-missing"], "no gap, and no message twice");
}

#[test]
fn a_small_message_leaves_the_large_buffer_to_a_large_one() {
    let temp = tempfile::tempdir().unwrap();
    let writing = Writing::new(&CreateOptions {
        now: 1,
        owner: None,
        mode: 0o700,
        form: Form::default(),
    });
    let pool = Pool::new(open_dir(temp.path()), writing, 1 << 20);
    pool.give_back(Vec::with_capacity(300_000));
    pool.give_back(Vec::with_capacity(2000));
    assert!(pool.buffer(1000).capacity() < 300_000);
    assert!(pool.buffer(300_000).capacity() < 400_000);
}
