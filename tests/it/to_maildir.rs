//! Maildirs that are made: of an sdbox, of another Maildir, in both layouts.

mod coats;
mod limits;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::maildir::{LAYOUTS, Maildir, VALIDITY, mail, name};
use crate::harness::run::{NOBODY, Ran, Run, is_root};
use crate::harness::store::Store;
use crate::harness::tree::{Tree, differences, tree};
use crate::harness::{testdata, unpacked};

/// `mailtally convert --json`, with `temp` for a home.
fn convert(temp: &Path, source: &str, target: &str, more: &[&str]) -> Ran {
    let run = Run::new(temp).args(["convert", "--json", source, target]);
    let ran = run.args(more).done();
    assert!(ran.records_of("difference").is_empty(), "{ran}");
    ran
}

/// A Maildir of this layout, read.
fn read(root: &Path, keys: &str) -> Store {
    Store::of("maildir", root, keys.trim_start_matches(':'))
}

/// An account with some of everything, and the places of what is made of it.
struct Chain {
    source: Maildir,
}

impl Chain {
    fn new() -> Self {
        let words = [
            (1, format!("P0001.x O9 :{}", name(1))),
            (2, format!("Gmy-guid :{}", name(2))),
            (7, format!(":{}", name(3))),
        ];
        let uidlist = words.map(|(uid, words)| format!("{uid} {words}\n"));
        let header = format!("3 V{VALIDITY} N9 G{:032x}\n", 77);
        let folder = "Work.Q&AOQ-";
        let source = Maildir::five_and_one()
            .folder(folder)
            .message(folder, &format!("{}:2,RSb", name(1)), mail("one"))
            .message(folder, &format!("{}:2,a", name(2)), mail("two"))
            .new_message(folder, &name(3), vec![b'x'; 700_000])
            .side(folder, "dovecot-uidlist", header + &uidlist.concat())
            .side(folder, "dovecot-keywords", "0 $Label1\n1 Junk\n")
            .side(folder, "dovecot-acl", "owner lr\n")
            .put("subscriptions", "Work.Q&AOQ-\nGone.too\n")
            .put("sieve/main.sieve", "keep;\n");
        Self { source }
    }

    fn temp(&self) -> &Path {
        self.source.temp()
    }

    fn sdbox(&self) -> String {
        self.source.convert().exits(0);
        self.source.target()
    }

    fn place(&self) -> PathBuf {
        self.temp().join("made")
    }

    fn target(&self, keys: &str) -> String {
        format!("maildir:{}{keys}", self.place().display())
    }
}

/// All but what a Maildir does not keep.
fn kept(mut store: Store) -> Store {
    for mailbox in store.mailboxes.values_mut() {
        mailbox.first_recent = 0;
        for message in mailbox.messages.values_mut() {
            message.saved = None;
        }
    }
    store.mailboxes.retain(|_, mailbox| mailbox.selectable);
    store.findings.clear();
    store
}

#[test]
fn over_an_sdbox_and_back_it_is_the_same_mail_in_either_layout() {
    for keys in LAYOUTS {
        let chain = Chain::new();
        let before = read(&chain.source.source(), "");
        let ran = convert(chain.temp(), &chain.sdbox(), &chain.target(keys), &[]).exits(0);
        assert_eq!(ran.summary()["verdict"], "go");
        let after = read(&chain.place(), keys);
        assert_eq!(after.findings, [""; 0]);
        let recent = |store: &Store| store.mailbox("Work/Qä").first_recent;
        assert_eq!(recent(&after), recent(&before));
        assert_eq!(kept(after), kept(before));
    }
}

#[test]
fn a_maildir_of_a_maildir_is_a_clean_copy() {
    for keys in LAYOUTS {
        let account = Maildir::five_and_one()
            .message("Sent", "1700000001.M1.h,S=9,W=9:2,S", mail("wrong sizes"))
            .put("cur/note~", "x")
            .put(".Sent/cur/1700000002.M1.h:2,S,Z", mail("fields"));
        let made = account.temp().join("made");
        let target = format!("maildir:{}{keys}", made.display());
        let location = account.location();
        let ran = convert(account.temp(), &location, &target, &[]).exits(0);
        assert!(!ran.findings("maildir.size-mismatch").is_empty());
        let (before, after) = (read(&account.source(), ""), read(&made, keys));
        assert_eq!(kept(after), kept(before));
        // Nothing is left to be found.
        let ran = Run::new(account.temp()).args(["inspect", "--json", &target]);
        assert_eq!(ran.done().exits(0).codes(), [""; 0]);
        let sent = made.join(if keys.is_empty() { ".Sent" } else { "Sent" });
        for file in fs::read_dir(sent.join("cur")).unwrap() {
            let file = file.unwrap();
            let (name, size) = (file.file_name(), file.metadata().unwrap().len());
            let name = name.into_string().unwrap();
            assert!(name.contains(&format!(",S={size},W=")), "{name}");
        }
    }
}

#[test]
fn a_second_pass_does_nothing_or_makes_what_a_fresh_run_makes() {
    for keys in LAYOUTS {
        let chain = Chain::new();
        let (location, target) = (chain.source.location(), chain.target(keys));
        convert(chain.temp(), &location, &target, &[]).exits(0);
        let before = tree(&chain.place());
        let ran = convert(chain.temp(), &location, &target, &[]).exits(0);
        assert_eq!(ran.user()["status"], "unchanged");
        assert_eq!(differences(&before, &tree(&chain.place())), [""; 0]);

        let source = chain.source.new_message("INBOX", &name(7), mail("new"));
        let ran = convert(source.temp(), &location, &target, &[]).exits(0);
        assert_eq!(ran.user()["status"], "verified");
        let fresh = source.temp().join("fresh");
        let target = format!("maildir:{}{keys}", fresh.display());
        convert(source.temp(), &location, &target, &[]).exits(0);
        let made = source.temp().join("made");
        assert_eq!(lasting(tree(&made)), lasting(tree(&fresh)));
    }
}

/// Names, modes and contents, but for the state, which has times in it.
fn lasting(tree: Tree) -> Vec<(PathBuf, u32, bstr::BString)> {
    let nodes = tree.into_iter();
    let nodes = nodes.filter(|(path, _)| !path.ends_with("mailtally.state"));
    nodes
        .map(|(path, node)| (path, node.mode, node.content))
        .collect()
}

#[test]
fn what_a_server_has_touched_is_left_alone() {
    type Touch = fn(&Path);
    let touches: [(&str, Touch); 4] = [
        ("INBOX", |root| {
            fs::write(root.join("new/1800000000.M1.h"), "A: b\n\nx").unwrap();
        }),
        ("flags, subscriptions or folders", |root| {
            let old = fs::read_dir(root.join("cur"))
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .path();
            let new = old.to_str().unwrap().replace(":2,S", ":2,FS");
            fs::rename(&old, new).unwrap();
        }),
        ("flags, subscriptions or folders", |root| {
            fs::write(root.join("dovecot.index.log"), "").unwrap();
        }),
        ("flags, subscriptions or folders", |root| {
            fs::write(root.join("maildirsize"), "\n1 1\n").unwrap();
        }),
    ];
    for (keys, (changed, touch)) in LAYOUTS.into_iter().flat_map(|keys| {
        let touches = touches.into_iter();
        touches.map(move |touch| (keys, touch))
    }) {
        let chain = Chain::new();
        let (location, target) = (chain.source.location(), chain.target(keys));
        convert(chain.temp(), &location, &target, &[]).exits(0);
        touch(&chain.place());
        let before = tree(&chain.place());
        let ran = convert(chain.temp(), &location, &target, &[]).exits(73);
        assert!(ran.stderr.contains(changed), "{changed}: {ran}");
        assert_eq!(differences(&before, &tree(&chain.place())), [""; 0]);
    }
}

#[test]
fn the_same_names_are_made_whatever_the_threads_do() {
    let mut account = Maildir::new();
    let mut uidlist = format!("3 V{VALIDITY} N900 G{:032x}\n", 5);
    for nth in 1..=700 {
        let base = format!("1700000000.M{nth}P1.host");
        // Five have one GUID, and every hundredth is large.
        let body = mail(&"y".repeat(if nth % 100 == 0 { 400_000 } else { nth / 5 }));
        let guid = format!(
            "G1700000000.M{}P1.host,S={},W={}",
            nth / 5,
            body.len(),
            body.len() + 4
        );
        writeln!(uidlist, "{nth} {guid} :{base}").unwrap();
        account = account.message("INBOX", &format!("{base}:2,S"), body);
    }
    let account = account.side("INBOX", "dovecot-uidlist", uidlist);
    let trees = ["1", "2", "8"].map(|jobs| {
        let made = account.temp().join(format!("made{jobs}"));
        let target = format!("maildir:{}", made.display());
        let more = ["--jobs", jobs];
        convert(account.temp(), &account.location(), &target, &more).exits(0);
        lasting(tree(&made))
    });
    assert_eq!(trees[0], trees[1]);
    assert_eq!(trees[0], trees[2]);
    let listed = fs::read_to_string(account.temp().join("made1/dovecot-uidlist")).unwrap();
    let names: BTreeSet<_> = listed
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .collect();
    assert_eq!(names.len(), 700);
    assert!(
        listed.contains(" :1700000000.M2P1.host,S="),
        "a GUID that can be the name is it"
    );
    assert!(
        listed.contains(".mailtally,S="),
        "and the next one with it has a made name"
    );
}

#[test]
fn all_of_it_belongs_to_the_owner_and_modes_follow_from_that_of_the_root() {
    for keys in LAYOUTS {
        let mut chain = Chain::new();
        chain.source = chain.source.mode("", 0o750);
        if is_root() {
            chain.source = chain.source.owned_by(NOBODY);
        }
        let (location, target) = (chain.source.location(), chain.target(keys));
        convert(chain.temp(), &location, &target, &[]).exits(0);
        let theirs = tree(&chain.source.source())[Path::new("")].owner;
        let made = tree(&chain.place());
        assert!(made.len() > 20);
        for (path, node) in made {
            let path = path.to_str().unwrap();
            let wanted = match node.mode & 0o170_000 {
                0o040_000 => 0o750,
                _ if path.starts_with("dovecot-uidvalidity.") => 0o444,
                _ => 0o640,
            };
            assert_eq!(node.mode & 0o7777, wanted, "{path}");
            assert_eq!(node.owner, theirs, "{path}");
        }
    }
}

/// What is known of the messages of a mailbox, as the truth has it.
fn told(store: &Store, name: &str) -> Vec<Value> {
    let messages = store.mailbox(name).messages.iter();
    let told = messages.map(|(uid, message)| {
        json!({
            "uid": uid,
            "guid": message.guid.to_string(),
            "flags": message.flags,
            "keywords": message.keywords,
            "received": message.received,
            "size_physical": message.body.len(),
        })
    });
    told.collect()
}

fn expected(mailbox: &Value) -> Vec<Value> {
    let sorted = |list: &Value| {
        let mut list: Vec<_> = list.as_array().unwrap().clone();
        list.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        list
    };
    let messages = mailbox["msgs"].as_array().unwrap().iter();
    let told = messages.map(|message| {
        json!({
            "uid": message["uid"],
            "guid": message["guid"],
            "flags": sorted(&message["flags"]),
            "keywords": sorted(&message["keywords"]),
            "received": message["received"],
            "size_physical": message["size_physical"],
        })
    });
    told.collect()
}

#[test]
fn a_maildir_made_of_a_dbox_that_dovecot_has_aged_tells_the_same() {
    for format in ["sdbox", "mdbox"] {
        let truth = fs::read(testdata(&format!("dovecot-2.3.19/{format}.json"))).unwrap();
        let truth: Value = serde_json::from_slice(&truth).unwrap();
        for keys in LAYOUTS {
            let sample = unpacked(&format!("dovecot-2.3.19/{format}.tar.gz"));
            let source = format!("{format}:{}", sample.path().join(format).display());
            let made = sample.path().join("made");
            let target = format!("maildir:{}{keys}", made.display());
            convert(sample.path(), &source, &target, &[]).exits(0);
            let store = read(&made, keys);
            assert_eq!(store.findings, [""; 0]);
            for mailbox in truth["mailboxes"].as_array().unwrap() {
                let name = mailbox["name"].as_str().unwrap();
                assert_eq!(told(&store, name), expected(mailbox), "{format}: {name}");
                let read = store.mailbox(name);
                assert_eq!(mailbox["uidvalidity"], read.uidvalidity);
                assert_eq!(mailbox["uidnext"], read.uidnext);
                assert_eq!(mailbox["guid"], read.guid);
            }
        }
    }
}
