//! Faults planted into a true copy, one at a time: each is named with its code and its place, and nothing
//! else is. The table that this makes stands in the README.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mailtally::model::{Codec, Flags, MailboxName, Uid, UidValidity};
use mailtally::ops::verify::Level;
use mailtally::report::Status;
use mailtally::store::Compress;

use super::planted::{Dice, Folder, Planted, Said, Told, compared, manifest, store, tally};
use crate::harness::FORMATS;
use crate::harness::maildir::scratch;

/// Differs in these; the first word of the table's line.
type Fault = (&'static str, Plant);

/// Plants a fault, and returns what is to be said: on terms of `Same`, the codes and places.
type Plant = fn(&mut Planted, &mut Dice, Same) -> Vec<Told>;

/// How the two sides are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Same {
    format: bool,
    /// Saved dates are kept on both sides.
    saved: bool,
    /// Quota limits are.
    quota: bool,
}

fn told(code: &str, folder: &Folder, uid: u32) -> Told {
    (code.into(), folder.mailbox.name.to_string(), uid)
}

/// A message of any mailbox.
fn any(planted: &mut Planted, dice: &mut Dice) -> (usize, usize) {
    let folder = dice.below(planted.boxes.len());
    (folder, dice.below(planted.boxes[folder].messages.len()))
}

/// Changes one message; `code` is what is to be said.
fn one(
    planted: &mut Planted,
    dice: &mut Dice,
    code: &str,
    change: impl FnOnce(&mut mailtally::model::Message, &mut Vec<u8>, &mut Dice),
) -> Vec<Told> {
    let (folder, nth) = any(planted, dice);
    let folder = &mut planted.boxes[folder];
    let (message, body) = &mut folder.messages[nth];
    change(message, body, dice);
    let uid = message.uid.get();
    vec![told(code, folder, uid)]
}

const FAULTS: &[Fault] = &[
    ("nothing", |_, _, _| Vec::new()),
    ("a flipped byte", |planted, dice, _| {
        one(planted, dice, "message.content", |_, body, dice| {
            let at = dice.below(body.len());
            body[at] ^= 1 << dice.below(4);
        })
    }),
    ("a truncated message", |planted, dice, _| {
        one(planted, dice, "message.content", |_, body, dice| {
            body.truncate(1 + dice.below(body.len() - 1));
        })
    }),
    ("a zeroed block", |planted, dice, _| {
        one(planted, dice, "message.content", |_, body, dice| {
            let at = dice.below(body.len() - 64);
            body[at..at + 64].fill(0);
        })
    }),
    ("CRLF in place of LF", |planted, dice, same| {
        let said = one(planted, dice, "message.content", |_, body, _| {
            let text = String::from_utf8(std::mem::take(body)).unwrap();
            *body = text.replace('\n', "\r\n").into_bytes();
        });
        if same.format { said } else { Vec::new() }
    }),
    ("messages compressed", |planted, _, _| {
        planted.form.compress = Compress::With(Codec::Gz);
        Vec::new()
    }),
    ("a missing message", |planted, dice, _| {
        let (folder, nth) = any(planted, dice);
        let folder = &mut planted.boxes[folder];
        let (message, _) = folder.messages.remove(nth);
        vec![told("message.missing", folder, message.uid.get())]
    }),
    ("an extra message", |planted, dice, _| {
        let (folder, nth) = any(planted, dice);
        let folder = &mut planted.boxes[folder];
        let (mut message, mut body) = folder.messages[nth].clone();
        message.uid = Uid::new(message.uid.get() + 1).unwrap();
        message.guid.extend_from_slice(b".again");
        message.pop3_uidl = None;
        body.extend_from_slice(b"more\n");
        let uid = message.uid.get();
        folder.messages.insert(nth + 1, (message, body));
        vec![told("message.extra", folder, uid)]
    }),
    ("two messages with each other's UID", |planted, dice, _| {
        let (folder, nth) = any(planted, dice);
        let folder = &mut planted.boxes[folder];
        let other = (nth + 1 + dice.below(7)) % 8;
        let uids = [nth, other].map(|nth| folder.messages[nth].0.uid);
        folder.messages.swap(nth, other);
        (folder.messages[nth].0.uid, folder.messages[other].0.uid) = (uids[0], uids[1]);
        let mut said = uids.map(|uid| told("message.uid", folder, uid.get()));
        said.sort();
        said.to_vec()
    }),
    ("a message under another UID", |planted, dice, _| {
        let (folder, nth) = any(planted, dice);
        let folder = &mut planted.boxes[folder];
        let message = &mut folder.messages[nth].0;
        let uid = message.uid.get();
        message.uid = Uid::new(uid + 1).unwrap();
        vec![told("message.moved", folder, uid)]
    }),
    ("a message in another mailbox", |planted, dice, _| {
        let (from, nth) = any(planted, dice);
        let to = (from + 1 + dice.below(3)) % 4;
        let (mut message, body) = planted.boxes[from].messages.remove(nth);
        let said = vec![told(
            "message.moved",
            &planted.boxes[from],
            message.uid.get(),
        )];
        message.uid = Uid::new(30).unwrap();
        planted.boxes[to].messages.push((message, body));
        said
    }),
    ("a changed flag", |planted, dice, _| {
        one(planted, dice, "message.flags", |message, _, _| {
            message.flags |= Flags::ANSWERED;
        })
    }),
    ("a changed keyword", |planted, dice, _| {
        one(planted, dice, "message.keywords", |message, _, _| {
            message.keywords = vec![2];
        })
    }),
    ("a changed received date", |planted, dice, _| {
        one(planted, dice, "message.received", |message, _, _| {
            message.received += 1;
        })
    }),
    ("a changed saved date", |planted, dice, same| {
        let said = one(planted, dice, "message.saved", |message, _, _| {
            message.saved = message.saved.map(|saved| saved + 1);
        });
        if same.saved { said } else { Vec::new() }
    }),
    ("a changed GUID", |planted, dice, _| {
        one(planted, dice, "message.guid", |message, _, _| {
            message.guid = "another".into();
        })
    }),
    ("a changed POP3 UIDL", |planted, dice, _| {
        one(planted, dice, "message.pop3-uidl", |message, _, _| {
            message.pop3_uidl = Some("another".into());
        })
    }),
    ("a changed UIDVALIDITY", |planted, dice, _| {
        let nth = dice.below(4);
        let folder = &mut planted.boxes[nth];
        folder.mailbox.uidvalidity = UidValidity::new(1_700_000_099).unwrap();
        vec![told("mailbox.uidvalidity", folder, 0)]
    }),
    ("a changed UIDNEXT", |planted, dice, _| {
        let nth = dice.below(4);
        let folder = &mut planted.boxes[nth];
        folder.mailbox.uidnext += 1;
        vec![told("mailbox.uidnext", folder, 0)]
    }),
    ("a changed mailbox GUID", |planted, dice, _| {
        let nth = dice.below(4);
        let folder = &mut planted.boxes[nth];
        folder.mailbox.guid = mailtally::model::MailboxGuid::new([77; 16]).unwrap();
        vec![told("mailbox.guid", folder, 0)]
    }),
    ("a lost ACL", |planted, _, _| {
        planted.boxes[3].mailbox.acl = None;
        vec![told("acl", &planted.boxes[3], 0)]
    }),
    ("a missing mailbox", |planted, _, _| {
        let folder = planted.boxes.remove(3);
        vec![told("mailbox.missing", &folder, 0)]
    }),
    ("an extra mailbox", |planted, _, _| {
        let mut folder = planted.boxes[3].clone();
        folder.mailbox.name = MailboxName::new(["Zoo"]);
        folder.mailbox.guid = mailtally::model::MailboxGuid::new([88; 16]).unwrap();
        let said = vec![told("mailbox.extra", &folder, 0)];
        planted.boxes.push(folder);
        said
    }),
    ("a mailbox under another name", |planted, _, _| {
        let mut said = vec![told("mailbox.missing", &planted.boxes[3], 0)];
        for (message, _) in &planted.boxes[3].messages {
            said.push(told("message.moved", &planted.boxes[3], message.uid.get()));
        }
        planted.boxes[3].mailbox.name = MailboxName::new(["Zoo"]);
        said.push(told("mailbox.extra", &planted.boxes[3], 0));
        said.sort();
        said
    }),
    ("a lost subscription", |planted, dice, _| {
        let nth = dice.below(4);
        planted.account.subscriptions.remove(nth);
        vec![("subscription.missing".into(), String::new(), 0)]
    }),
    ("an extra subscription", |planted, _, _| {
        planted
            .account
            .subscriptions
            .push(MailboxName::new(["Gone"]));
        vec![("subscription.extra".into(), String::new(), 0)]
    }),
    ("a changed sieve script", |planted, _, _| {
        planted.account.sieve[0].kind = mailtally::model::SieveKind::Script(b"discard;\n".to_vec());
        vec![("sieve".into(), String::new(), 0)]
    }),
    ("a changed quota limit", |planted, _, same| {
        planted.account.quota = None;
        let said = vec![("quota".into(), String::new(), 0)];
        if same.quota { said } else { Vec::new() }
    }),
];

/// Seeds for each fault.
const SEEDS: u64 = 3;

/// True copies of one account, and their tallies.
struct Truth {
    temp: tempfile::TempDir,
    tallies: BTreeMap<&'static str, Vec<u8>>,
}

impl Truth {
    fn of(planted: &Planted) -> Self {
        let temp = scratch();
        let mut tallies = BTreeMap::new();
        for format in FORMATS {
            let path = temp.path().join(format);
            planted.write(format, &path);
            tallies.insert(format, manifest(format, &path));
        }
        Self { temp, tallies }
    }

    fn path(&self, format: &str) -> PathBuf {
        self.temp.path().join(format)
    }
}

/// What was said, in the order of codes and places.
fn sorted(said: &Said) -> Vec<Told> {
    let mut all = said.differences.lock().unwrap().clone();
    all.sort();
    all
}

/// Compares the faulty store with the truth, as stores and as tallies. Returns how often.
fn compare_all(truth: &Truth, faulty: (&str, &Path), expect: &dyn Fn(Same) -> Vec<Told>) -> usize {
    let (format, path) = faulty;
    let its_tally = manifest(format, path);
    let mut times = 0;
    for from in FORMATS {
        let holds = [from, format].map(|format| mailtally::format::room(format).unwrap().holds);
        let same = Same {
            format: from == format,
            saved: holds.iter().all(|holds| holds.saved_dates),
            quota: holds.iter().all(|holds| holds.quota_limits),
        };
        let mut check = |one, other, stores: bool| {
            let (line, said) = compared(one, other, Level::Full);
            let wanted = expect(same);
            let what = format!("{from} against {format}, stores: {stores}");
            assert_eq!(sorted(&said), wanted, "{what}");
            let status = if wanted.is_empty() {
                Status::Verified
            } else {
                Status::Attention
            };
            assert_eq!(line.status, status, "{what}");
            assert_eq!(*said.findings.lock().unwrap(), [], "{what}");
            times += 1;
        };
        let true_store = || store(from, &truth.path(from));
        check(true_store(), store(format, path), true);
        let mut one = tally(&truth.tallies[from]);
        check(
            mailtally::ops::verify::Party::Tally(&mut one),
            store(format, path),
            false,
        );
        let mut other = tally(&its_tally);
        check(
            true_store(),
            mailtally::ops::verify::Party::Tally(&mut other),
            false,
        );
    }
    times
}

const ALL: Same = Same {
    format: true,
    saved: true,
    quota: true,
};

/// What is said of a fault, as the table has it.
fn shown(expect: &dyn Fn(Same) -> Vec<Told>, same: Same) -> String {
    let codes = |same: Same| {
        let said = expect(same).into_iter();
        let mut codes: Vec<_> = said.map(|(code, ..)| format!("`{code}`")).collect();
        codes.dedup();
        codes.join(", ")
    };
    let kept = codes(same);
    let bare = codes(Same {
        saved: false,
        quota: false,
        ..same
    });
    match (kept.as_str(), bare.as_str()) {
        ("", _) => "-".into(),
        (kept, "") => format!("{kept}, where both keep it"),
        (kept, _) => kept.into(),
    }
}

#[test]
fn every_planted_fault_is_named_with_its_code_and_place_and_nothing_else_is() {
    let mut table = String::new();
    let mut times = 0;
    for (name, plant) in FAULTS {
        for seed in 0..SEEDS {
            let truth = Planted::sound(seed);
            let stores = Truth::of(&truth);
            let expect = |same: Same| plant(&mut truth.clone(), &mut Dice::new(seed), same);
            for format in FORMATS {
                let mut faulty = truth.clone();
                plant(&mut faulty, &mut Dice::new(seed), ALL);
                let path = stores.temp.path().join("faulty");
                faulty.write(format, &path);
                times += compare_all(&stores, (format, &path), &expect);
                std::fs::remove_dir_all(&path).unwrap();
            }
            if seed == 0 {
                let other = Same {
                    format: false,
                    ..ALL
                };
                let (same, other) = (shown(&expect, ALL), shown(&expect, other));
                writeln!(table, "| {name} | {same} | {other} |").unwrap();
            }
        }
    }
    assert!(times > 700, "{times}");
    println!("{table}");
    let readme = include_str!("../../../README.md");
    assert!(
        readme.contains(&table),
        "the README has another table:\n{table}"
    );
}
