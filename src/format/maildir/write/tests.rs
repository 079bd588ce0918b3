//! An account that is written, file by file, and read back.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bstr::ByteSlice;

use super::super::ROOM;
use crate::digest::Measured;
use crate::disk::{Dir, Disk, Real, Step};
use crate::format::OpenOptions;
use crate::format::pour::PIECE;
use crate::model::{
    Account, Codec, Flags, Mailbox, MailboxGuid, MailboxName, Message, QuotaLimits, Uid,
    UidValidity,
};
use crate::report::Finding;
use crate::store::{Compress, CreateOptions, Form, Incoming, MailboxSource, Source, Turns};

fn mailbox(levels: &[&str]) -> Mailbox {
    Mailbox {
        name: MailboxName::new(levels.iter().copied()),
        selectable: true,
        guid: MailboxGuid::new([u8::try_from(levels.len()).unwrap(); 16]).unwrap(),
        uidvalidity: UidValidity::new(1_600_000_000).unwrap(),
        uidnext: 30,
        first_recent: 11, // of all that are after the last one in cur/
        highest_modseq: 1,
        keywords: vec!["$Label1".into(), "Work".into()],
        acl: Some(b"owner lr\n".to_vec()),
    }
}

fn message(uid: u32, guid: &str) -> Message {
    Message {
        uid: Uid::new(uid).unwrap(),
        flags: Flags::NONE,
        keywords: Vec::new(),
        received: 1_500_000_000 + i64::from(uid),
        saved: None,
        guid: guid.into(),
        pop3_uidl: None,
        pop3_order: None,
        sealed: None,
    }
}

/// Messages of every kind, with their bodies.
fn messages() -> Vec<(Message, Vec<u8>)> {
    let small = b"Subject: a\n\nx\n".to_vec();
    let mut named = message(3, "1500000003.M1P1.host,S=14,W=17");
    named.flags = Flags::SEEN | Flags::FLAGGED;
    named.keywords = vec![1];
    named.pop3_uidl = Some("0003.x".into());
    let mut copy = message(4, "1500000003.M1P1.host,S=14,W=17");
    copy.pop3_order = Some(7);
    let large = message(9, "101112131415161718191a1b1c1d1e1f");
    let mut old = message(10, "old");
    old.received = -5;
    let mut seen = message(21, "seen");
    seen.flags = Flags::SEEN;
    vec![
        (named, small.clone()),
        (copy, small.clone()),
        (
            large,
            b"Subject: large\r\n\r\n0123456789\n".repeat(PIECE / 8),
        ),
        (old, Vec::new()),
        (message(20, "recent"), small.clone()),
        (seen, small),
    ]
}

fn options(form: Form) -> CreateOptions {
    CreateOptions {
        now: 1_700_000_000,
        owner: None,
        mode: 0o750,
        form,
    }
}

fn dir(root: &Path) -> Dir {
    Dir::open(root, Arc::new(Real)).unwrap()
}

/// Writes the mailboxes, all with the same messages.
fn write(root: &Path, mailboxes: &[Mailbox], form: Form) {
    let create = ROOM.create.unwrap();
    let account = create(dir(root), &options(form)).unwrap();
    for mailbox in mailboxes {
        let mut writer = account.mailbox(mailbox).unwrap();
        let turns = Turns::default();
        let all = if mailbox.selectable {
            messages()
        } else {
            Vec::new()
        };
        for (nth, (message, body)) in all.into_iter().enumerate() {
            let stored = writer.store(Incoming {
                message: &message,
                body: Measured::new(Box::new(&body[..])),
                coat: None,
                hint: None,
                turn: turns.of(nth),
            });
            writer.commit(&message, &stored.unwrap()).unwrap();
        }
        writer.finish().unwrap();
    }
    let whole = Account {
        subscriptions: vec![MailboxName::new(["A", "B"])],
        quota: Some(QuotaLimits {
            bytes: Some(1 << 30),
            messages: None,
        }),
        last_uidvalidity: 1_600_000_000,
        ..Account::default()
    };
    account.finish(&whole).unwrap();
}

fn open(root: &Path, form: &Form, found: &mut Vec<Finding>) -> Box<dyn Source> {
    let options = OpenOptions {
        now: 1_700_000_000,
        ..OpenOptions::of(form)
    };
    (ROOM.open)(dir(root), &options, &mut |finding| found.push(finding)).unwrap()
}

fn assert_holds_the_messages(read: &dyn MailboxSource, coat: Option<Codec>) {
    let all = messages();
    assert_eq!(read.len(), all.len());
    for (nth, (message, body)) in all.into_iter().enumerate() {
        let mut scratch = Vec::new();
        let opened = read.open(nth, &mut scratch).unwrap();
        let saved = opened.message.saved;
        assert!(saved.is_some(), "the file's own time");
        assert_eq!(opened.message, Message { saved, ..message });
        assert_eq!(opened.coat, coat);
        let claims = opened.claims;
        let mut plain = Vec::new();
        std::io::copy(&mut { opened.body }, &mut plain).unwrap();
        assert!(plain == body, "uid {}", read.uid(nth));
        let facts = Measured::new(Box::new(&body[..])).drain().unwrap();
        assert_eq!(claims.size, Some(facts.size));
        assert_eq!(claims.virtual_size, Some(facts.virtual_size));
    }
}

#[test]
fn what_is_written_is_read_back_in_every_form() {
    let coats = [
        (Compress::None, None),
        (Compress::Keep, None),
        (Compress::With(Codec::Zstd), Some(Codec::Zstd)),
        (Compress::With(Codec::Gz), Some(Codec::Gz)),
    ];
    for ((compress, coat), fs_layout) in coats.into_iter().zip([false, true, false, true]) {
        let temp = tempfile::tempdir().unwrap();
        let form = Form {
            fs_layout,
            compress,
            ..Form::default()
        };
        let mailboxes = [mailbox(&["A", "B"]), mailbox(&["INBOX"])];
        write(temp.path(), &mailboxes, form);
        let mut findings = Vec::new();
        let source = open(temp.path(), &form, &mut findings);
        for wanted in &mailboxes {
            let nth = source
                .mailboxes()
                .iter()
                .position(|name| *name == wanted.name);
            let read = source.mailbox(nth.unwrap(), &mut |finding| findings.push(finding));
            let read = read.unwrap();
            assert_eq!(read.mailbox(), wanted);
            assert_holds_the_messages(read.as_ref(), coat);
        }
        assert_eq!(findings, []);
        let account = source.account();
        assert_eq!(account.subscriptions, [MailboxName::new(["A", "B"])]);
        assert_eq!(account.quota.is_some(), !fs_layout);
        // A name that stands above others is given one when it is read.
        let given = u32::from(fs_layout);
        assert_eq!(account.last_uidvalidity, 1_600_000_000 + given);
    }
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn files_lie_where_a_maildir_has_them() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    write(
        root,
        &[mailbox(&["A", "B"]), mailbox(&["INBOX"])],
        Form::default(),
    );
    let in_root = [
        ".A.B",
        "cur",
        "dovecot-acl",
        "dovecot-keywords",
        "dovecot-uidlist",
        "dovecot-uidvalidity",
        "dovecot-uidvalidity.5f5e1000",
        "maildirsize",
        "new",
        "subscriptions",
        "tmp",
    ];
    assert_eq!(names_in(root), in_root.map(String::from).into());
    let mut in_folder = names_in(&root.join(".A.B"));
    assert!(in_folder.remove("maildirfolder"));
    let own = [
        "cur",
        "dovecot-acl",
        "dovecot-keywords",
        "dovecot-uidlist",
        "new",
        "tmp",
    ];
    assert_eq!(in_folder, own.map(String::from).into());
    assert_eq!(names_in(&root.join("tmp")), BTreeSet::new());

    let new = names_in(&root.join("new"));
    let new: Vec<_> = new.iter().map(String::as_str).collect();
    assert!(matches!(new[..], [plain, seen] if !plain.contains(':') && seen.ends_with(":2,S")));
    let cur = names_in(&root.join("cur"));
    assert!(
        cur.contains("1500000003.M1P1.host,S=14,W=17:2,FSb"),
        "{cur:?}"
    );
    assert!(
        cur.iter()
            .any(|name| name.starts_with("0.M10P") && name.ends_with(",S=0,W=0:2,"))
    );
    let path = root.join("cur/1500000003.M1P1.host,S=14,W=17:2,FSb");
    let stat = fs::metadata(path).unwrap();
    assert_eq!(stat.mtime(), 1_500_000_003);
    assert_eq!(stat.permissions().mode() & 0o777, 0o640);
    let folder = fs::metadata(root.join(".A.B/cur")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o750);
}

#[test]
fn side_files_say_what_the_messages_are() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    write(root, &[mailbox(&["INBOX"])], Form::default());
    let uidlist = fs::read(root.join("dovecot-uidlist")).unwrap();
    let lines: Vec<_> = uidlist.lines().map(|line| line.to_str_lossy()).collect();
    assert_eq!(
        lines[0],
        "3 V1600000000 N30 G01010101010101010101010101010101"
    );
    assert_eq!(lines[1], "3 P0003.x :1500000003.M1P1.host,S=14,W=17");
    let copy = "4 O7 G1500000003.M1P1.host,S=14,W=17 :1500000004.M4P";
    assert!(lines[2].starts_with(copy), "{}", lines[2]);
    assert!(lines[3].starts_with("9 G101112131415161718191a1b1c1d1e1f :1500000009.M9P"));
    let keywords = fs::read(root.join("dovecot-keywords")).unwrap();
    assert_eq!(keywords, b"0 $Label1\n1 Work\n");
    let bytes: usize = messages().iter().map(|(_, body)| body.len()).sum();
    let maildirsize = fs::read_to_string(root.join("maildirsize")).unwrap();
    assert_eq!(maildirsize, format!("1073741824S\n{bytes} 6\n"));
}

#[test]
fn a_name_without_messages_is_a_directory_in_the_fs_layout_and_nothing_else() {
    let above = Mailbox {
        selectable: false,
        ..mailbox(&["A", "B"])
    };
    let temp = tempfile::tempdir().unwrap();
    let form = Form {
        fs_layout: true,
        ..Form::default()
    };
    write(temp.path(), std::slice::from_ref(&above), form);
    assert_eq!(names_in(&temp.path().join("A/B")), BTreeSet::new());
    assert!(!temp.path().join("maildirsize").exists());
    let temp = tempfile::tempdir().unwrap();
    write(temp.path(), &[above], Form::default());
    assert!(!names_in(temp.path()).contains(".A.B"));
    // The INBOX is always there; without one in the account, whoever opens it makes its UIDs.
    assert!(temp.path().join("cur").exists() && !temp.path().join("dovecot-uidlist").exists());
}

/// A disk that counts the steps on messages.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Disk for Counting {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        if step.dir.ends_with("cur") && !step.name.is_empty() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[test]
fn a_small_message_is_created_written_and_dated_and_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let disk = Arc::new(Counting::default());
    let root = Dir::open(temp.path(), disk.clone()).unwrap();
    let account = ROOM.create.unwrap()(root, &options(Form::default())).unwrap();
    let writer = account.mailbox(&mailbox(&["INBOX"])).unwrap();
    let (message, body) = messages().swap_remove(0);
    let stored = writer.store(Incoming {
        message: &message,
        body: Measured::new(Box::new(&body[..])),
        coat: None,
        hint: None,
        turn: Turns::default().of(0),
    });
    assert!(stored.is_ok());
    assert_eq!(disk.0.load(Ordering::Relaxed), 3);
    let file = fs::read_dir(temp.path().join("cur")).unwrap().next();
    let mode = file.unwrap().unwrap().metadata().unwrap().mode();
    assert_eq!(mode & 0o7777, 0o640, "as the account's directory");
}

#[test]
fn a_body_that_cannot_be_read_leaves_nothing_behind() {
    struct Torn(usize);
    impl std::io::Read for Torn {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::from_raw_os_error(5));
            }
            self.0 -= 1;
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }
    let temp = tempfile::tempdir().unwrap();
    let create = ROOM.create.unwrap();
    let account = create(dir(temp.path()), &options(Form::default())).unwrap();
    let writer = account.mailbox(&mailbox(&["INBOX"])).unwrap();
    let turns = Turns::default();
    for (nth, pieces) in [0, 1, 5].into_iter().enumerate() {
        let body = std::io::BufReader::with_capacity(PIECE / 2, Torn(pieces));
        let stored = writer.store(Incoming {
            message: &message(3, "a"),
            body: Measured::new(Box::new(body)),
            coat: None,
            hint: None,
            turn: turns.of(nth),
        });
        assert!(stored.is_err());
    }
    for place in ["cur", "new", "tmp"] {
        assert_eq!(names_in(&temp.path().join(place)), BTreeSet::new());
    }
}
