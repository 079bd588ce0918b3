//! dovecot-keywords of a Maildir is lost or damaged: the index has the names, and the file names the letters.

use std::fs;
use std::path::Path;

use super::recalled::said;
use super::{Damaged, lost, mended};
use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::maildir::{Maildir, mail, name, scratch};
use crate::harness::run::Run;
use crate::harness::store::Store;
use crate::harness::tree::copy;

const LIST: &str = "dovecot-keywords";

/// What may become of the list.
type Damage = fn(&Path);
const DAMAGES: [(&str, Damage); 5] = [
    ("missing", |list| fs::remove_file(list).unwrap()),
    ("empty", |list| fs::write(list, b"").unwrap()),
    ("cut", |list| changed(list, |bytes| bytes.truncate(18))),
    ("all zeroed", |list| changed(list, |bytes| bytes.fill(0))),
    ("a block zeroed", |list| {
        changed(list, |bytes| bytes[5..20].fill(0));
    }),
];

fn changed(list: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(list).unwrap();
    change(&mut bytes);
    fs::write(list, bytes).unwrap();
}

fn damaged(damage: Damage) -> Damaged {
    let sample = Damaged::sample("maildir");
    damage(&sample.at(LIST));
    sample
}

/// Mailbox, UID and keywords of all messages.
fn labels(store: &Path) -> Vec<String> {
    labels_of(&Store::of("maildir", store, ""))
}

fn labels_of(store: &Store) -> Vec<String> {
    let mut labels = Vec::new();
    for (name, mailbox) in &store.mailboxes {
        let all = mailbox.messages.iter();
        labels.extend(all.map(|(uid, it)| format!("{name} {uid} {:?}", it.keywords)));
    }
    labels
}

#[test]
fn a_lost_list_of_keywords_costs_no_label_where_the_index_tells_the_names() {
    let Some(server) = Server::here("a_lost_list_of_keywords_costs_no_label") else {
        return;
    };
    let whole = Damaged::sample("maildir");
    let before = labels(&whole.store());
    let told_before = told(&server.serve("maildir", whole.store()));
    for (what, damage) in DAMAGES {
        let damaged = damaged(damage);
        assert_eq!(labels(&damaged.store()), before, "{what}: as it is read");
        let ran = damaged.repair().exits(0);
        assert!(lost(&ran).is_empty(), "{what}: {ran}");
        assert!(said(&ran).contains("letter b is Junk, as dovecot.index tells"));
        assert_eq!(labels(&damaged.store()), before, "{what}: repaired");
        assert_eq!(damaged.inspect().codes(), whole.inspect().codes(), "{what}");
        let dovecot = server.serve("maildir", damaged.store());
        assert_eq!(told(&dovecot), told_before, "{what}");
        dovecot.assert_silent();
    }
}

#[test]
fn names_that_a_cut_log_still_tells_are_given_in_the_same_run_that_writes_a_new_index() {
    let Some(server) = Server::here("names_that_a_cut_log_still_tells") else {
        return;
    };
    let whole = Damaged::sample("maildir");
    let before = labels(&whole.store());
    let told_before = told(&server.serve("maildir", whole.store()));
    let mut kept = 0;
    for cut in (12..300).step_by(48) {
        let damaged = damaged(|list| fs::write(list, b"").unwrap());
        changed(&damaged.at("dovecot.index.log"), |log| {
            log.truncate(log.len() - cut);
        });
        let ran = damaged.repair();
        let again = damaged.repair();
        assert_eq!(mended(&again), [""; 0], "{cut}: {ran}{again}");
        let is_told = !ran.findings("maildir.keyword-unnamed").is_empty();
        assert_eq!(ran.code, i32::from(is_told || !lost(&ran).is_empty()));
        if is_told {
            continue;
        }
        kept += 1;
        assert_eq!(labels(&damaged.store()), before, "{cut}: {ran}");
        let dovecot = server.serve("maildir", damaged.store());
        assert_eq!(told(&dovecot), told_before, "{cut}");
        dovecot.assert_silent();
    }
    assert!(
        kept > 0,
        "some cuts are behind all that is told of keywords"
    );
}

/// The labels that a server shows.
fn told(dovecot: &Dovecot) -> Vec<String> {
    let account = dovecot.account();
    let all = account.mailboxes.iter().flat_map(|mailbox| {
        let all = mailbox.messages.iter();
        all.map(|it| format!("{} {} {:?}", mailbox.name, it.uid, it.keywords))
    });
    all.collect()
}

#[test]
fn what_has_no_list_of_keywords_is_converted_with_the_names_that_the_index_tells() {
    let damaged = damaged(|list| fs::remove_file(list).unwrap());
    let source = format!("maildir:{}", damaged.store().display());
    let temp = scratch();
    let target = temp.path().join("sdbox");
    let to = format!("sdbox:{}", target.display());
    let ran = Run::new(temp.path()).args(["convert", "--json", &source, &to]);
    let ran = ran.done().exits(0);
    let found = ran.findings("maildir.keyword-unnamed");
    let details: Vec<_> = found.iter().map(|it| it["detail"].clone()).collect();
    let says = "letter c is Work, as dovecot.index tells";
    assert!(details.iter().any(|it| it == says), "{details:?}");
    let whole = labels(&Damaged::sample("maildir").store());
    assert_eq!(labels_of(&Store::sdbox(&target)), whole);
}

/// Five messages, of which a server gave some two labels or three; then its list of keywords was lost.
fn labelled(server: &Server, labels: &[(&str, &str)]) -> Damaged {
    let account = Maildir::five_and_one();
    let dovecot = server.serve("maildir", account.source());
    for (uid, labels) in labels {
        dovecot.ask(&["flags", "add", labels, "mailbox", "INBOX", "uid", uid]);
    }
    fs::remove_file(dovecot.mail().join(LIST)).unwrap();
    Damaged::new("maildir", |store| copy(&dovecot.mail(), store))
}

#[test]
fn letters_that_stand_on_the_same_messages_everywhere_have_names_in_the_order_of_the_index() {
    let Some(server) = Server::here("letters_that_stand_on_the_same_messages") else {
        return;
    };
    let damaged = labelled(&server, &[("2", "One Two"), ("4", "One Two")]);
    let ran = damaged.repair().exits(0);
    let says = "letter b is Two, as dovecot.index tells of letters that stand on the same messages everywhere";
    assert!(said(&ran).ends_with(says), "{ran}");
    assert_eq!(fs::read(damaged.at(LIST)).unwrap(), b"0 One\n1 Two\n");
    let dovecot = server.serve("maildir", damaged.store());
    let shown = told(&dovecot);
    let both = ["INBOX 2 [\"One\", \"Two\"]", "INBOX 4 [\"One\", \"Two\"]"];
    for labels in both {
        assert!(shown.contains(&labels.to_owned()), "{shown:?}");
    }
    dovecot.assert_silent();
    damaged.is_not_touched();
}

#[test]
fn letters_that_nothing_tells_apart_are_left_for_a_person() {
    let Some(server) = Server::here("letters_that_nothing_tells_apart") else {
        return;
    };
    let damaged = labelled(&server, &[("2", "One Two")]);
    let alone = damaged.at("cur").join(format!("{}:2,Sa", name(6)));
    fs::write(&alone, mail("the index does not know it")).unwrap();
    for _ in 0..2 {
        let ran = damaged.repair().exits(1);
        assert_eq!(mended(&ran), [""; 0], "{ran}");
        assert_eq!(ran.findings("maildir.keyword-unnamed").len(), 2, "{ran}");
    }
    let other = damaged.at(".Sent").join(LIST);
    fs::write(&other, "0 Three\n1 One\n").unwrap();
    let ran = damaged.repair().exits(1);
    let says = "letter b is One, as every other folder that names it tells";
    assert!(said(&ran).ends_with(says), "{ran}");
    let left = ran.findings("maildir.keyword-unnamed");
    assert_eq!(left.len(), 1, "the index has no Three: {ran}");
}

/// What is told of names that list and index have in different ways.
fn contradictions(damaged: &Damaged) -> Vec<String> {
    let found = damaged.inspect();
    let found = found.findings("maildir.keyword-name");
    let details = found
        .iter()
        .map(|it| it["detail"].as_str().unwrap().to_owned());
    details.collect()
}

#[test]
fn a_wrong_name_in_the_list_is_told_where_the_index_has_the_right_one() {
    let damaged = Damaged::sample("maildir");
    changed(&damaged.at(LIST), |list| {
        let label = list.windows(7).position(|it| it == b"$Label1").unwrap();
        list[label] = b'4';
    });
    let told = "letter d is $Label1, as dovecot.index tells; the list says 4Label1";
    assert_eq!(contradictions(&damaged), [told]);
    let before = fs::read(damaged.at(LIST)).unwrap();
    damaged.repair().exits(0);
    assert_eq!(
        fs::read(damaged.at(LIST)).unwrap(),
        before,
        "left for a person"
    );
}

#[test]
fn two_names_of_the_list_that_are_swapped_are_told() {
    let damaged = Damaged::sample("maildir");
    fs::write(
        damaged.at(LIST),
        "0 Junk\n1 $Forwarded\n2 Work\n3 $Label1\n4 $MDNSent\n",
    )
    .unwrap();
    let told = [
        "letter a is $Forwarded, as dovecot.index tells; the list says Junk",
        "letter b is Junk, as dovecot.index tells; the list says $Forwarded",
    ];
    assert_eq!(contradictions(&damaged), told);
}

#[test]
fn an_index_that_is_behind_the_file_names_contradicts_no_name() {
    let Some(server) = Server::here("an_index_that_is_behind_the_file_names") else {
        return;
    };
    let account = Maildir::five_and_one();
    let dovecot = server.serve("maildir", account.source());
    let flags = |how: &str, uids: &str, labels: &str| {
        dovecot.ask(&["flags", how, labels, "mailbox", "INBOX", "uid", uids]);
    };
    flags("add", "1:3", "Old");
    flags("add", "4:5", "Work Later");
    let mut indexes = vec![index_of(&dovecot)];
    for (how, uids, labels) in [
        ("add", "1:3", "New"),
        ("remove", "1:3", "Old"),
        ("add", "1:3", "Work"),
        ("remove", "4:5", "Work"),
        ("add", "1:5", "Late \\Flagged"),
        ("remove", "1:2", "New Work Late"),
    ] {
        flags(how, uids, labels);
        indexes.push(index_of(&dovecot));
        for index in &indexes {
            let damaged = Damaged::left_by(&dovecot, "maildir");
            for (name, content) in index {
                fs::remove_file(damaged.at(name)).ok();
                fs::write(damaged.at(name), content).unwrap();
            }
            assert_eq!(contradictions(&damaged), [""; 0], "{how} {uids} {labels}");
        }
    }
}

/// The files of the INBOX's index, as they are now.
fn index_of(dovecot: &Dovecot) -> Vec<(&'static str, Vec<u8>)> {
    let files = ["dovecot.index", "dovecot.index.log", "dovecot.index.cache"];
    let files = files.into_iter();
    let files = files.filter_map(|name| Some((name, fs::read(dovecot.mail().join(name)).ok()?)));
    files.collect()
}

#[test]
fn letters_without_list_and_index_are_left_for_a_person() {
    let account =
        Maildir::five_and_one().message("INBOX", &format!("{}:2,Sa", name(7)), mail("lettered"));
    let location = account.location();
    let args = ["repair", "--offline", &location];
    let ran = Run::new(account.temp()).args(args).done().exits(1);
    let shown = ran.to_string();
    assert!(shown.contains("letter a becomes unknown-0"), "{shown}");
    assert!(!shown.contains("SOUND"), "{shown}");
}
