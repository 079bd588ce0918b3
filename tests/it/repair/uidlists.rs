//! Blocks of a dovecot-uidlist are zeroed, or its tail is cut: a message keeps its UID where something tells for sure
//! which it is, no UID is given to another message, and each new one is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Damaged, lost};
use crate::harness::dovecot::Server;
use crate::harness::maildir::{Maildir, VALIDITY, mail};
use crate::harness::run::Run;
use crate::harness::store::Store;
use crate::harness::tree::copy;

const LIST: &str = "dovecot-uidlist";
const MESSAGES: u32 = 60;

/// Messages with gaps between their UIDs; every tenth came in the same second as the one before it, and no file tells
/// these two apart.
fn account() -> Maildir {
    let mut account = Maildir::new();
    let mut rows = Vec::new();
    for nth in 0..MESSAGES {
        let second = if nth % 10 == 1 { nth - 1 } else { nth };
        let (size, lines) = (mail("same").len(), 4);
        let sizes = format!("S={size},W={}", size + lines);
        let name = format!("17{second:08}.M{nth}P1.host,{sizes}");
        rows.push((2 * nth + 1, name.clone()));
        account = account.message("INBOX", &format!("{name}:2,S"), mail("same"));
    }
    account.uidlist("INBOX", 2 * MESSAGES + 1, &rows)
}

/// What may become of a list of so many bytes: what is said of it, and the bytes that are left as they are.
fn damages(len: usize) -> Vec<(String, usize, Option<usize>)> {
    let mut damages = Vec::new();
    for (block, step) in [(64, 320), (512, 512), (4096, 4096)] {
        let zeroed = (0..len).step_by(step).skip(1);
        damages.extend(zeroed.map(|at| (format!("{block} at {at}"), at, Some(at + block))));
    }
    damages.push(("the first, but for the header".into(), 64, Some(512)));
    for at in [len - 1, len - 8, len - 100, len / 2] {
        damages.push((format!("cut at {at}"), at, None));
    }
    damages
}

fn damage(list: &Path, (_, from, to): &(String, usize, Option<usize>)) {
    let mut bytes = fs::read(list).unwrap();
    match to {
        Some(to) => {
            let to = bytes.len().min(*to);
            bytes[*from..to].fill(0);
        }
        None => bytes.truncate(*from),
    }
    fs::write(list, bytes).unwrap();
}

/// UIDs and what the messages are known by.
fn uids(store: &Path) -> BTreeMap<u32, String> {
    let store = Store::of("maildir", store, "");
    let inbox = store.mailbox("INBOX");
    assert_eq!(inbox.uidvalidity, VALIDITY);
    let all = inbox.messages.iter();
    all.map(|(uid, it)| (*uid, it.guid.to_string())).collect()
}

/// Repairs; how many messages have another UID then.
fn renumbered(what: &str, before: &BTreeMap<u32, String>, damaged: &Damaged) -> usize {
    let ran = damaged.repair();
    let after = uids(&damaged.store());
    assert_eq!(after.len(), before.len(), "{what}");
    let other = after
        .iter()
        .filter(|(uid, guid)| before.get(uid) != Some(guid));
    let other: Vec<_> = other.map(|(uid, _)| *uid).collect();
    for uid in &other {
        assert!(
            !before.contains_key(uid),
            "{what}: {uid} is another message"
        );
    }
    let told = format!(
        "the UIDs of {} message{}, which have new ones: clients load them again",
        other.len(),
        if other.len() == 1 { "" } else { "s" }
    );
    let wanted = if other.is_empty() { vec![] } else { vec![told] };
    assert_eq!(lost(&ran), wanted, "{what}: {ran}");
    assert_eq!(ran.code, i32::from(!other.is_empty()), "{what}: {ran}");
    damaged.repair().exits(0);
    other.len()
}

fn copied(store: &Path) -> Damaged {
    Damaged::new("maildir", |to| copy(store, to))
}

#[test]
fn messages_whose_lines_are_gone_keep_the_uids_that_the_servers_cache_tells() {
    let Some(server) = Server::here("messages_whose_lines_are_gone_keep_the_uids") else {
        return;
    };
    let account = account();
    let dovecot = server.serve("maildir", account.source());
    dovecot.account();
    let store = dovecot.mail();
    let before = uids(&store);
    let list = fs::read(store.join(LIST)).unwrap();
    let mut kept = 0;
    for case in damages(list.len()) {
        let damaged = copied(&store);
        damage(&damaged.at(LIST), &case);
        let whole = uids_listed(&damaged.at(LIST));
        let read = uids(&damaged.store());
        let new = renumbered(&case.0, &before, &damaged);
        assert_eq!(uids(&damaged.store()), read, "{}: as it was read", case.0);
        assert!(new <= 2 * MESSAGES as usize / 10, "{}: {new}", case.0);
        kept += before.len() - whole - new;
        let server = server.serve("maildir", damaged.store());
        let account = server.account();
        server.assert_silent();
        let theirs = account.mailbox("INBOX").messages.iter();
        let theirs: Vec<_> = theirs.map(|it| u32::try_from(it.uid).unwrap()).collect();
        let ours: Vec<_> = uids(&damaged.store()).into_keys().collect();
        assert_eq!(theirs, ours, "{}", case.0);
    }
    assert!(kept > 80, "{kept}");
}

/// How many lines are whole.
fn uids_listed(list: &Path) -> usize {
    let bytes = fs::read(list).unwrap();
    let list = mailtally::format::maildir::uidlist::read(&bytes);
    list.rows.len()
}

#[test]
fn a_damaged_word_of_a_line_costs_what_it_told_and_that_is_said() {
    let Some(server) = Server::here("a_damaged_word_of_a_line") else {
        return;
    };
    for word in ["\u{c7}old.name", "gold.name", "4old.name", "G\0old.name"] {
        let account = account();
        let text = fs::read_to_string(account.at(LIST)).unwrap();
        let text = text.replacen("\n3 ", &format!("\n3 {word} P7 "), 1);
        fs::write(account.at(LIST), text).unwrap();
        let before = uids(&account.source());
        let damaged = copied(&account.source());
        let found = damaged.inspect();
        let found = found.findings("uidlist.broken");
        let says = "1 line with words that are none, left out; the first is line 3";
        assert_eq!(found[0]["detail"], says, "{word:?}");
        let ran = damaged.repair().exits(1);
        let told = "what damaged words of the list told of 1 message, perhaps a GUID or a POP3 UIDL: uid 3: ";
        let lost = lost(&ran);
        assert!(lost.len() == 1 && lost[0].starts_with(told), "{ran}");
        assert_eq!(uids(&damaged.store()), before, "{word:?}");
        damaged.is_not_touched();
        let dovecot = server.serve("maildir", damaged.store());
        let theirs = dovecot.account();
        dovecot.assert_silent();
        let third = &theirs.mailbox("INBOX").messages[1];
        assert_eq!((third.uid, &*third.pop3_uidl), (3, "7"), "{word:?}");
    }
}

#[test]
fn without_an_index_messages_whose_lines_are_gone_have_new_uids_and_that_is_told() {
    let account = account();
    let before = uids(&account.source());
    let list = fs::read(account.at(LIST)).unwrap();
    for case in damages(list.len()).iter().filter(|case| case.2.is_some()) {
        let damaged = copied(&account.source());
        damage(&damaged.at(LIST), case);
        let new = renumbered(&case.0, &before, &damaged);
        assert!(new > 0, "{}", case.0);
    }
}

#[test]
fn what_a_conversion_wrote_tells_the_uids_of_all_whose_lines_are_gone() {
    let account = account();
    let store: PathBuf = account.temp().join("store");
    let target = format!("maildir:{}", store.display());
    let args = ["convert", "-q", &account.location(), &target];
    Run::new(account.temp()).args(args).done().exits(0);
    let before = uids(&store);
    let list = fs::read(store.join(LIST)).unwrap();
    for case in damages(list.len()) {
        let damaged = copied(&store);
        damage(&damaged.at(LIST), &case);
        assert_eq!(renumbered(&case.0, &before, &damaged), 0, "{}", case.0);
    }
}

/// The sample, with another base name in the line of UID 21.
fn misspelt(name: &str) -> Damaged {
    let damaged = Damaged::sample("maildir");
    let list = damaged.at(LIST);
    damaged.changed(&list, |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replace(":1580000000.M0P300.lab", name).into_bytes();
    })
}

/// UIDs and GUIDs of the INBOX, asked for before anything else.
fn fetched(server: &Server, store: &Path) -> String {
    let dovecot = server.serve("maildir", store);
    let told = dovecot.ask(&["fetch", "uid guid flags", "mailbox", "INBOX"]);
    dovecot.assert_silent();
    String::from_utf8(told).unwrap()
}

#[test]
fn a_flipped_bit_in_the_name_of_a_line_costs_no_uid() {
    let Some(server) = Server::here("a_flipped_bit_in_the_name_of_a_line") else {
        return;
    };
    let before = fetched(&server, &Damaged::sample("maildir").store());
    for name in [":1580000000.M0P310.lab", ":1580000000.M0P300.la"] {
        let damaged = misspelt(name);
        let is_a_bit = name.contains("P310");
        let ran = damaged.repair().exits(i32::from(!is_a_bit));
        let told = fetched(&server, &damaged.store());
        assert_eq!(told == before, is_a_bit, "{name}: {ran}");
        let lost = lost(&ran);
        assert_eq!(lost.is_empty(), is_a_bit, "{name}: {lost:?}");
        if !is_a_bit {
            let wanted = "uid 21: cur/1580000000.M0P300.la is gone, or is a file of another name that has a new UID \
                          now: clients load that again";
            assert_eq!(lost, [wanted]);
            assert!(told.contains("uid: 28\n"), "{told}");
        }
        damaged.is_not_touched();
    }
}
