//! An account as values, and the same account with one thing wrong, written in any format by the library.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bstr::BString;
use mailtally::disk::{Dir, Disk, Real};
use mailtally::format::tally::{Reader, Writer};
use mailtally::format::{OpenOptions, room};
use mailtally::model::{
    Account, Flags, Mailbox, MailboxGuid, MailboxName, Message, QuotaLimits, SieveFile, SieveKind,
    Uid, UidValidity,
};
use mailtally::ops::Teller;
use mailtally::ops::manifest::Manifest;
use mailtally::ops::verify::{self, Level, Party, StoreAt, Tally};
use mailtally::ops::workers::Workers;
use mailtally::report::{Event, Observer, Severity, UserLine};
use mailtally::store::{CreateOptions, Form};

use crate::harness::store::store_all;

/// Numbers that are the same at every run.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `most`.
    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// A mailbox and its messages.
#[derive(Debug, Clone)]
pub struct Folder {
    pub mailbox: Mailbox,
    pub messages: Vec<(Message, Vec<u8>)>,
}

/// An account.
#[derive(Debug, Clone)]
pub struct Planted {
    pub account: Account,
    pub boxes: Vec<Folder>,
    pub form: Form,
    pub mode: u32,
}

const NAMES: [&[&str]; 4] = [&["Archive"], &["Archive", "2009"], &["INBOX"], &["Work"]];
const KEYWORDS: [&str; 3] = ["$Label1", "Project-X", "later"];

impl Planted {
    /// Four mailboxes with eight messages each; odd UIDs from 1 on, so that there is room between them.
    pub fn sound(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let names = NAMES.map(|levels| MailboxName::new(levels.iter().copied()));
        let boxes = names.iter().enumerate();
        Self {
            account: Account {
                subscriptions: names.to_vec(),
                sieve: vec![SieveFile {
                    path: vec!["sieve".into(), "main.sieve".into()],
                    kind: SieveKind::Script(b"keep;\n".to_vec()),
                }],
                quota: Some(QuotaLimits {
                    bytes: Some(1_000_000),
                    messages: None,
                }),
                last_uidvalidity: 1_700_000_100,
            },
            boxes: boxes
                .map(|(nth, name)| a_box(nth, name, &mut dice))
                .collect(),
            form: Form::default(),
            mode: 0o700,
        }
    }

    /// Writes it; `path` is not there yet.
    pub fn write(&self, format: &str, path: &Path) {
        std::fs::create_dir(path).unwrap();
        let options = CreateOptions {
            now: 1_700_000_000,
            owner: None,
            mode: self.mode,
            form: self.form,
        };
        let create = room(format).unwrap().create.unwrap();
        let destination = create(dir(path), &options).unwrap();
        for Folder { mailbox, messages } in &self.boxes {
            let messages = messages.iter().map(|(message, body)| (message, &body[..]));
            store_all(destination.mailbox(mailbox).unwrap(), messages);
        }
        destination.finish(&self.account).unwrap();
        dir(path).set_own_mode(self.mode).unwrap();
    }
}

fn a_box(nth: usize, name: &MailboxName, dice: &mut Dice) -> Folder {
    let messages = (0..8).map(|at| a_message(nth * 8 + at, 1 + 2 * at, dice));
    let number = u8::try_from(nth).unwrap() + 1;
    Folder {
        mailbox: Mailbox {
            name: name.clone(),
            selectable: true,
            guid: MailboxGuid::new([number; 16]).unwrap(),
            uidvalidity: UidValidity::new(1_700_000_000 + u32::from(number)).unwrap(),
            uidnext: 40,
            first_recent: 40,
            highest_modseq: 1,
            keywords: KEYWORDS.map(BString::from).to_vec(),
            acl: (nth == 3).then(|| b"user=bob lr\n".to_vec()),
        },
        messages: messages.collect(),
    }
}

fn a_message(nth: usize, uid: usize, dice: &mut Dice) -> (Message, Vec<u8>) {
    let mut body = format!("From: a@b.example\nSubject: number {nth}\n\n").into_bytes();
    for line in 0..8 + dice.below(120) {
        body.extend(format!("line {line} of {nth}: {}\n", dice.below(1 << 30)).bytes());
    }
    let at = i64::try_from(nth).unwrap();
    let flags = [Flags::NONE, Flags::SEEN, Flags::SEEN | Flags::FLAGGED];
    let message = Message {
        uid: Uid::new(u32::try_from(uid).unwrap()).unwrap(),
        flags: flags[nth % 3],
        keywords: if nth.is_multiple_of(4) {
            vec![0]
        } else {
            Vec::new()
        },
        received: 1_600_000_000 + at * 1000,
        saved: Some(1_600_000_500 + at * 1000),
        guid: format!("15{nth:08}.M{nth}P1.host").into(),
        pop3_uidl: nth.is_multiple_of(5).then(|| format!("UIDL{nth}").into()),
        pop3_order: None,
        sealed: None,
    };
    (message, body)
}

/// An open directory.
pub fn dir(path: &Path) -> Dir {
    Dir::open(path, real()).unwrap()
}

fn real() -> Arc<dyn Disk> {
    Arc::new(Real)
}

/// What was said: differences, and findings that are not only notes.
#[derive(Debug, Default)]
pub struct Said {
    pub differences: Mutex<Vec<Told>>,
    pub findings: Mutex<Vec<Told>>,
}

/// A code, and where: mailbox and UID.
pub type Told = (String, String, u32);

impl Observer for Said {
    fn on(&self, event: Event<'_>) {
        let told = |code: &str, place: &mailtally::report::Place| {
            let mailbox = place.mailbox.clone().unwrap_or_default();
            (code.to_owned(), mailbox, place.uid.unwrap_or(0))
        };
        match event {
            Event::Differs(difference) => {
                let told = told(difference.code, &difference.place);
                self.differences.lock().unwrap().push(told);
            }
            Event::Found(finding) if finding.severity() > Severity::Info => {
                let told = told(finding.rule.code, &finding.place);
                self.findings.lock().unwrap().push(told);
            }
            _ => {}
        }
    }
}

/// A store to compare.
pub fn store_on(format: &str, path: &Path, disk: Arc<dyn Disk>) -> Party<'static> {
    Party::Store(Box::new(store_at(format, path, disk)))
}

fn store_at(format: &str, path: &Path, disk: Arc<dyn Disk>) -> StoreAt {
    StoreAt {
        room: room(format).unwrap(),
        root: Dir::open(path, disk).unwrap(),
        open: OpenOptions {
            now: 1_700_000_000,
            ..OpenOptions::default()
        },
    }
}

/// The same, on the disk as it is.
pub fn store(format: &str, path: &Path) -> Party<'static> {
    store_on(format, path, real())
}

/// A tally of a store.
pub fn manifest(format: &str, path: &Path) -> Vec<u8> {
    let out = Writer::new(Vec::new(), "memory".into()).unwrap();
    let store = store_at(format, path, real());
    let mut manifest = Manifest::begin(out, store.room, false, 1_700_000_000).unwrap();
    let workers = Workers::new(1).unwrap();
    let teller = Teller::new("", &());
    manifest.account(&store, &teller, &workers).unwrap();
    manifest.finish().unwrap()
}

/// A tally, open.
pub fn tally(bytes: &[u8]) -> Tally {
    let stream = std::io::Cursor::new(bytes.to_vec());
    Tally::new(Reader::new(stream, "memory".into()).unwrap()).unwrap()
}

/// Compares two.
pub fn compared(one: Party<'_>, other: Party<'_>, level: Level) -> (UserLine, Said) {
    let said = Said::default();
    let teller = Teller::new("", &said);
    let workers = Workers::new(1).unwrap();
    let line = verify::account([one, other], level, &teller, &workers).unwrap();
    (line, said)
}
