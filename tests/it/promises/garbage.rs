//! Nothing panics on any input: any bytes in any file, any name. A seed makes each run the same.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailtally::digest::Measured;
use mailtally::disk::{Dir, Disk, Real};
use mailtally::format::{OpenOptions, room};
use mailtally::ops::{
    Teller, convert, inspect, together::Together, users::Place, workers::Workers,
};
use mailtally::report::Status;

use crate::harness::maildir::{Indexed, Maildir, mail, name};

/// Numbers that look random and are the same at every run.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        let telling = b"\n\n  ::,,=0139GVNSWPO.\t\0\x01\xff&-/";
        match self.below(3) {
            0 => self.next().to_le_bytes()[0],
            _ => telling[self.below(telling.len())],
        }
    }

    /// The bytes with some of them changed, cut or repeated; sometimes others altogether.
    fn spoil(&mut self, sound: &[u8]) -> Vec<u8> {
        let mut bytes = sound.to_vec();
        match self.below(6) {
            0 => {
                let len = self.below(300);
                bytes = (0..len).map(|_| self.byte()).collect();
            }
            1 => bytes.truncate(self.below(sound.len() + 1)),
            2 => {
                let from = self.below(bytes.len());
                let piece = bytes[from..].to_vec();
                let at = self.below(bytes.len() + 1);
                bytes.splice(at..at, piece);
            }
            _ => {
                for _ in 0..=self.below(4) {
                    let at = self.below(bytes.len());
                    let byte = self.byte();
                    if let Some(place) = bytes.get_mut(at) {
                        *place = byte;
                    }
                }
            }
        }
        bytes
    }
}

/// Reads everything that is there; only a panic is wrong.
fn read_all(format: &str, root: &Path) {
    let disk: Arc<dyn Disk> = Arc::new(Real);
    let room = room(format).unwrap();
    let dir = Dir::open(root, disk).unwrap();
    let _ = (room.detect)(&dir);
    let _ = (room.stamp)(&dir);
    let Ok(source) = (room.open)(dir, &OpenOptions::default(), &mut |_| ()) else {
        return;
    };
    let _ = source.stamp();
    let mut scratch = Vec::new();
    for nth in 0..source.mailboxes().len() {
        let Ok(mailbox) = source.mailbox(nth, &mut |_| ()) else {
            continue;
        };
        for nth in 0..mailbox.len() {
            let Ok(opened) = mailbox.open(nth, &mut scratch) else {
                continue;
            };
            let (message, claims) = (opened.message, opened.claims);
            match Measured::new(opened.body).drain() {
                Ok(facts) => mailbox.judge(nth, &message, claims, &facts, &mut |_| ()),
                Err(error) => drop(mailbox.broken(nth, &error, 1)),
            }
        }
        mailbox.conclude(&mut |_| ());
    }
}

/// Spoils each file in turn, many times.
fn spoil_each(format: &str, root: &Path, files: &[PathBuf], rounds: usize) {
    let mut seeded = Seeded(0x6d61_696c_7461_6c6c);
    for file in files {
        let sound = fs::read(file).unwrap();
        for _ in 0..rounds {
            fs::write(file, seeded.spoil(&sound)).unwrap();
            read_all(format, root);
        }
        fs::write(file, sound).unwrap();
    }
    // And several at once.
    let sound: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    for _ in 0..rounds {
        for (file, sound) in files.iter().zip(&sound) {
            if seeded.below(2) == 0 {
                fs::write(file, seeded.spoil(sound)).unwrap();
            }
        }
        read_all(format, root);
    }
}

fn full() -> Maildir {
    Maildir::five_and_one()
        .index(
            "INBOX",
            &Indexed {
                keywords: &["A", "B", "C"],
                messages: &[(1, 8, &[0, 1]), (2, 0x82, &[2]), (4, 0, &[])],
                cached: &[1, 2, 3],
                ..Indexed::default()
            },
        )
        .side("INBOX", "dovecot-keywords", "0 A\n1 B\n")
        .put(
            "courierimapkeywords/:list",
            format!("A\nB\n\n{}:0 1\n", name(1)),
        )
        .put(
            format!(".Sent/courierimapkeywords/.1.{}", name(9)),
            "A\nB\n",
        )
        .side(
            "Sent",
            "courierimapuiddb",
            format!("1 5 7\n1 {}\n", name(9)),
        )
        .side("Sent", "dovecot-acl", "owner lr\n")
        .put("subscriptions", "V\t2\n\nSent\nA\tB\n")
        .put("maildirsize", "100S,2C\n1 1\n")
        .put("dovecot-uidvalidity", "0000000a")
        .put("sieve/main.sieve", "keep;\n")
        .link(".dovecot.sieve", "sieve/main.sieve")
}

#[test]
fn any_bytes_in_any_file_of_a_maildir_are_read_or_refused() {
    let account = full();
    let files = [
        "dovecot-uidlist",
        "dovecot-keywords",
        "dovecot.index",
        "dovecot.index.log",
        "dovecot.index.cache",
        "courierimapkeywords/:list",
        "subscriptions",
        "maildirsize",
        "dovecot-uidvalidity",
        ".Sent/courierimapuiddb",
        ".Sent/dovecot-acl",
        "sieve/main.sieve",
    ];
    let files: Vec<_> = files.iter().map(|file| account.at(file)).collect();
    spoil_each("maildir", &account.source(), &files, 60);
    // Without an index the log is all there is, without Dovecot's list Courier's.
    fs::remove_file(account.at("dovecot.index")).unwrap();
    fs::remove_file(account.at(".Sent/dovecot-uidlist")).unwrap();
    let left = [
        account.at("dovecot.index.log"),
        account.at(".Sent/courierimapuiddb"),
    ];
    spoil_each("maildir", &account.source(), &left, 60);
}

#[test]
fn any_bytes_in_any_file_of_an_sdbox_are_read_or_refused() {
    let account = full();
    account.convert();
    let mails = account.destination().join("mailboxes/INBOX/dbox-Mails");
    let mut files: Vec<_> = [
        "u.1",
        "dovecot.index",
        "dovecot.index.log",
        "dovecot.index.cache",
    ]
    .iter()
    .map(|file| mails.join(file))
    .collect();
    files.push(account.destination().join("subscriptions"));
    spoil_each("sdbox", &account.destination(), &files, 60);
}

#[test]
fn a_spoiled_state_file_is_somebody_elses() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let state = account.destination().join("mailtally.state");
    let sound = fs::read(&state).unwrap();
    let mut seeded = Seeded(7);
    for _ in 0..40 {
        fs::write(&state, seeded.spoil(&sound)).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(Real);
        let root = Dir::open(&account.destination(), disk).unwrap();
        let _ = mailtally::format::tally::read_state(&root);
    }
}

/// A name of a file or folder, of bytes that names can have.
fn any_name(seeded: &mut Seeded) -> OsString {
    let most = if seeded.below(20) == 0 { 240 } else { 24 };
    let len = 1 + seeded.below(most);
    let mut bytes: Vec<u8> = (0..len).map(|_| seeded.byte()).collect();
    bytes
        .iter_mut()
        .filter(|byte| matches!(**byte, 0 | b'/'))
        .for_each(|byte| *byte = b'_');
    if matches!(&bytes[..], b"." | b"..") {
        bytes.push(b'_');
    }
    OsString::from_vec(bytes)
}

#[test]
fn any_names_of_messages_and_folders_are_carried_and_compare_equal() {
    let mut seeded = Seeded(0x1234_5678_9abc_def1);
    for round in 0..40 {
        let mut account = Maildir::five_and_one();
        for nth in 0..6 {
            let mut folder = OsString::from(".");
            folder.push(any_name(&mut seeded));
            let folder = Path::new(&folder).to_owned();
            if folder.as_os_str() == ".." || folder.as_os_str().len() > 255 {
                continue;
            }
            for place in ["cur", "new"] {
                let file = folder.join(place).join(any_name(&mut seeded));
                account = account.put(file, mail(&format!("{nth}")));
            }
        }
        for place in ["cur", "new"] {
            for nth in 0..4 {
                account = account.put(
                    Path::new(place).join(any_name(&mut seeded)),
                    mail(&format!("{place} {nth}")),
                );
            }
        }
        let disk: Arc<dyn Disk> = Arc::new(Real);
        let destination = Place::named(account.destination(), &disk);
        let open = OpenOptions {
            now: 1_800_000_000,
            ..OpenOptions::default()
        };
        let source = || Dir::open(&account.source(), Arc::clone(&disk)).unwrap();
        let job = convert::Job {
            user: "",
            from: room("maildir").unwrap(),
            source: source(),
            open: &open,
            to: room("sdbox").unwrap(),
            destination: &destination,
            together: &Together::default(),
        };
        let options = convert::Options {
            now: 1_800_000_000,
            ..Default::default()
        };
        let workers = Workers::new(1).unwrap();
        let line = convert::account(job, &options, &Teller::new("", &()), &workers).unwrap();
        assert_eq!(line.differences, 0, "round {round}");
        let read = inspect::account(
            room("sdbox").unwrap(),
            Dir::open(&account.destination(), Arc::clone(&disk)).unwrap(),
            &open,
            &Teller::new("", &()),
            &workers,
        )
        .unwrap();
        assert_eq!(
            (read.messages, read.status),
            (line.messages, Status::Ok),
            "round {round}"
        );
    }
}
