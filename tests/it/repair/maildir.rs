//! Maildir: uidlist, sizes in names, names twice, keyword letters, maildirsize.

use std::fs;
use std::path::Path;

use super::{Damaged, lost, mended};
use crate::harness::dovecot::Server;
use crate::harness::gz;
use crate::harness::maildir::{Indexed, Maildir, VALIDITY, mail, name};
use crate::harness::run::{Ran, Run};
use crate::harness::store::Store;
use crate::harness::tree::{differences, tree};

fn repair(account: &Maildir) -> Ran {
    let location = account.location();
    let args = ["repair", "--json", "--offline", &location];
    Run::new(account.temp()).args(args).done()
}

fn read(path: &Path) -> Store {
    Store::of("maildir", path, "")
}

/// As [`repaired_with`], and nothing is lost.
pub fn repaired(account: &Maildir, test: &str) -> (Ran, Store) {
    repaired_with(0, account, test)
}

/// Repairs; then it is sound, a second repair has nothing to do, and a server gives the same UIDs.
pub fn repaired_with(code: i32, account: &Maildir, test: &str) -> (Ran, Store) {
    let ran = repair(account).exits(code);
    let before = tree(&account.source());
    let again = repair(account).exits(0);
    assert!(again.records_of("step").is_empty(), "{again}");
    assert_eq!(differences(&before, &tree(&account.source())), [""; 0]);
    let store = read(&account.source());
    if let Some(server) = Server::here(test) {
        let dovecot = server.serve("maildir", account.source());
        let told = dovecot.account();
        dovecot.assert_silent();
        for (name, mailbox) in store.mailboxes.iter().filter(|(_, it)| it.selectable) {
            let theirs = told.mailbox(name);
            let status = theirs.status.as_ref().unwrap();
            assert_eq!(status.uidvalidity, u64::from(mailbox.uidvalidity), "{name}");
            let messages = theirs.messages.iter();
            let theirs: Vec<_> = messages.map(|it| (it.uid, it.guid.clone())).collect();
            let ours = mailbox.messages.iter();
            let ours: Vec<_> = ours
                .map(|(uid, it)| (u64::from(*uid), it.guid.to_string()))
                .collect();
            assert_eq!(theirs, ours, "{name}");
        }
    }
    (ran, store)
}

#[test]
fn a_sound_store_is_not_touched() {
    Damaged::sample("maildir").is_not_touched();
    let account = Maildir::five_and_one();
    let before = tree(&account.source());
    let ran = repair(&account).exits(0);
    assert!(ran.records_of("step").is_empty(), "{ran}");
    assert_eq!(differences(&before, &tree(&account.source())), [""; 0]);
}

#[test]
fn sound_lines_of_a_broken_uidlist_keep_their_uids() {
    let list = format!(
        "3 V{VALIDITY} N6 G{:032x}\n1 :{}\nxx\n3 :{}\n4 :{}\n5 :{}",
        7,
        name(1),
        name(3),
        name(4),
        name(5)
    );
    let account = Maildir::five_and_one().side("INBOX", "dovecot-uidlist", list);
    let (ran, store) = repaired_with(1, &account, "sound_lines_of_a_broken_uidlist");
    let wanted = ["uidlist.broken", "uidlist.renumbered", "uidlist.truncated"];
    assert_eq!(mended(&ran), wanted);
    let told = "the UIDs of 2 messages, which have new ones: clients load them again";
    assert_eq!(lost(&ran), [told]);
    let subjects = store.subjects("INBOX");
    for (uid, subject) in [(1, "number 1"), (3, "number 3"), (4, "number 4")] {
        assert!(subjects.contains(&(uid, subject.into())), "{subjects:?}");
    }
    assert_eq!(subjects.len(), 5);
    assert!(
        subjects
            .iter()
            .all(|(uid, _)| matches!(uid, 1 | 3 | 4 | 6 | 7))
    );
    assert_eq!(store.mailbox("INBOX").uidvalidity, VALIDITY);
    assert_eq!(store.findings, [""; 0]);
}

#[test]
fn pop3_uidls_of_broken_lines_are_told_as_lost() {
    let list = format!("3 V{VALIDITY} N3\n1 Puidl-1 :{}\n2 Puidl", name(1));
    let account = Maildir::new()
        .message("INBOX", &format!("{}:2,S", name(1)), mail("one"))
        .message("INBOX", &format!("{}:2,S", name(2)), mail("two"))
        .side("INBOX", "dovecot-uidlist", list);
    let (ran, _) = repaired_with(1, &account, "pop3_uidls_of_broken_lines");
    let told = "the POP3 UIDLs of 1 message, where their lines had any";
    assert_eq!(lost(&ran)[1..], [told], "{ran}");
}

#[test]
fn a_file_with_wrong_sizes_is_renamed_and_stays_the_same_message() {
    let wrong = format!("{},S=999,W=5", name(6));
    let rows: Vec<_> = vec![(1, name(9)), (2, wrong.clone())];
    let account = Maildir::five_and_one()
        .message("Sent", &format!("{wrong}:2,FS"), mail("sized"))
        .uidlist("Sent", 3, &rows);
    let (ran, store) = repaired(&account, "a_file_with_wrong_sizes");
    let codes = ["maildir.size-mismatch", "maildir.vsize-mismatch"];
    assert_eq!(mended(&ran), codes);
    let right = format!("{},S=39,W=43:2,FS", name(6));
    assert!(
        account.in_folder("Sent", "cur").join(&right).exists(),
        "{ran}"
    );
    let message = store.message("Sent", 2);
    assert_eq!(message.guid, wrong, "known by the name that it had");
    assert_eq!(message.flags, ["\\Flagged", "\\Seen"]);
    assert_eq!(store.findings, [""; 0]);
}

#[test]
fn two_files_of_one_name_are_one_message_or_two() {
    let account = Maildir::five_and_one()
        .message("INBOX", &format!("{}:2,FS", name(1)), mail("number 1"))
        .message("INBOX", &format!("{}:2,R", name(2)), mail("another"));
    let (ran, store) = repaired(&account, "two_files_of_one_name");
    assert_eq!(mended(&ran), ["maildir.duplicate-name"]);
    let subjects: Vec<_> = store
        .subjects("INBOX")
        .into_iter()
        .map(|(_, it)| it)
        .collect();
    assert_eq!(subjects.len(), 6, "{subjects:?}");
    assert!(subjects.contains(&"another".to_owned()));
    assert_eq!(store.findings, [""; 0]);
}

#[test]
fn missing_directories_are_made_and_usage_is_corrected() {
    let account = Maildir::five_and_one().put("maildirsize", "1000S\n7 7\n");
    fs::remove_dir(account.in_folder("Sent", "new")).unwrap();
    fs::remove_dir(account.in_folder("Sent", "tmp")).unwrap();
    let (ran, store) = repaired(&account, "missing_directories_are_made");
    assert_eq!(mended(&ran), ["maildir.missing-dir", "quota.stale"]);
    assert_eq!(
        fs::read(account.at("maildirsize")).unwrap(),
        b"1000S\n252 6\n"
    );
    assert_eq!(store.findings, [""; 0]);
}

/// A long message in a coat that is torn, and its name.
fn torn() -> (String, Vec<u8>) {
    let whole = mail(&"long ".repeat(4000));
    let packed = gz(&whole);
    let name = format!("{},S={}:2,S", name(6), whole.len());
    (name, packed[..packed.len() / 2].into())
}

#[test]
fn what_is_left_of_a_torn_message_takes_its_place_and_the_file_is_kept() {
    let (name, torn) = torn();
    let account = Maildir::five_and_one().put("maildirsize", "1000S\n7 7\n");
    let account = account.message("Sent", &name, &torn);
    let before = read(&account.source());
    let found = account.inspect().exits(1);
    let remedy = found.findings("maildir.damaged")[0]["remedy"].clone();
    assert!(remedy.as_str().unwrap().contains("repair"), "{remedy}");
    let test = "what_is_left_of_a_torn_message_takes_its_place";
    let (ran, after) = repaired_with(1, &account, test);
    assert_eq!(mended(&ran), ["maildir.damaged", "quota.stale"], "{ran}");
    assert!(lost(&ran)[0].contains("the stream ends early"), "{ran}");
    let message = |store: &Store| {
        let messages = &store.mailbox("Sent").messages;
        messages
            .last_key_value()
            .map(|(uid, it)| (*uid, it.clone()))
    };
    let ((uid, one), (same, other)) = (message(&before).unwrap(), message(&after).unwrap());
    assert_eq!((uid, one.guid, one.flags), (same, other.guid, other.flags));
    assert_eq!(one.received, other.received);

    let location = account.location();
    let args = ["repair", "--json", "--offline", "--undo", &location];
    Run::new(account.temp()).args(args).done().exits(1);
    let file = account.in_folder("Sent", format!("cur/{name}"));
    assert_eq!(fs::read(file).unwrap(), torn);
}

#[test]
fn a_maildirsize_whose_usage_is_garbage_is_broken_and_not_out_of_date() {
    for text in ["1000S\0\0\0\0 12\n", "1000S\n\0\0\0\0\n", "\0\0\0\0\0\0"] {
        let account = Maildir::five_and_one().put("maildirsize", text);
        let ran = account.inspect();
        assert_eq!(ran.codes(), ["quota.broken"], "{text:?}: {ran}");
        assert_eq!(mended(&repair(&account)), ["quota.broken"], "{text:?}");
    }
}

#[test]
fn a_letter_that_other_folders_name_alike_gets_that_name() {
    let account = Maildir::five_and_one()
        .message("INBOX", &format!("{}:2,Sa", name(7)), mail("lettered"))
        .message("Sent", &format!("{}:2,Sa", name(8)), mail("lettered"))
        .side("Sent", "dovecot-keywords", "0 $Label1\n");
    let (ran, store) = repaired(&account, "a_letter_that_other_folders_name");
    assert_eq!(mended(&ran), ["maildir.keyword-unnamed"]);
    let all = store.mailbox("INBOX").messages.values();
    let keywords: Vec<_> = all.flat_map(|message| message.keywords.clone()).collect();
    assert_eq!(keywords, ["$Label1"]);
}

#[test]
fn what_a_repair_leaves_is_for_a_person_and_not_for_another_repair() {
    let account = Maildir::five_and_one()
        .message("INBOX", &format!("{}:2,Sa", name(7)), mail("lettered"))
        .message("Sent", &format!("{}:2,Sz", name(8)), mail("lettered"));
    let remedies = |more: &[&str]| {
        let args = ["--json", "--offline", &account.location()];
        let run = Run::new(account.temp()).args(["repair"]).args(args);
        let ran = run.args(more).done();
        let ran = ran.exits(1);
        let left = ran.findings("maildir.keyword-unnamed");
        let remedies = left
            .iter()
            .map(|it| it["remedy"].as_str().unwrap().to_owned());
        remedies.collect::<Vec<_>>()
    };
    let [one, other] = &remedies(&["--dry-run"])[..] else {
        panic!("two mailboxes have a letter without a name");
    };
    assert!(one.contains("run repair") && other == one, "{one}");
    let left = "add the missing line to dovecot-keywords";
    assert_eq!(remedies(&[]), [left, left]);
}

#[test]
fn a_mailbox_without_uidlist_gets_one() {
    let account = Maildir::five_and_one().without("dovecot-uidlist");
    let (ran, store) = repaired_with(1, &account, "a_mailbox_without_uidlist");
    assert_eq!(mended(&ran), ["uidlist.missing"]);
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
    let said = "UIDVALIDITY and the UIDs of 5 messages: clients load all messages again";
    assert_eq!(lost(&ran), [said]);
}

/// An index of five seen messages, which has given more UIDs than theirs.
fn index_of_five() -> Indexed<'static> {
    const SEEN: u8 = 8;
    const FIVE: [(u32, u8, &[usize]); 5] = [
        (1, SEEN, &[]),
        (2, SEEN, &[]),
        (3, SEEN, &[]),
        (4, SEEN, &[]),
        (5, SEEN, &[]),
    ];
    Indexed {
        next: 31,
        messages: &FIVE,
        ..Indexed::default()
    }
}

#[test]
fn with_an_index_and_no_uidlist_only_the_uids_are_lost() {
    let index = index_of_five();
    let account = Maildir::five_and_one().index("INBOX", &index);
    let account = account.without("dovecot-uidlist");
    let (ran, store) = repaired_with(1, &account, "with_an_index_and_no_uidlist");
    assert_eq!(store.mailbox("INBOX").uidvalidity, VALIDITY);
    assert_eq!(store.uids("INBOX"), [31, 32, 33, 34, 35]);
    let said = "the UIDs of 5 messages, which have new ones: clients load them again";
    assert_eq!(lost(&ran), [said]);
}

#[test]
fn the_server_s_list_of_mailboxes_keeps_uidvalidity() {
    let sample = Damaged::sample("maildir");
    let before = read(&sample.store());
    let files = ["dovecot-uidlist", "dovecot.index", "dovecot.index.log"];
    let files = files.map(|file| sample.at(".Sent").join(file));
    let files: Vec<_> = files.into_iter().filter(|file| file.exists()).collect();
    let damaged = sample.without(&files);
    let ran = damaged.repair().exits(1);
    let after = read(&damaged.store());
    let (before, after) = (before.mailbox("Sent"), after.mailbox("Sent"));
    assert_eq!(before.uidvalidity, after.uidvalidity, "{ran}");
    assert_eq!(before.guid, after.guid, "{ran}");
    // The list may be older than the last UIDs.
    assert!({ after.messages.keys() }.all(|uid| *uid >= before.uidnext));
    assert!(lost(&ran)[0].starts_with("the UIDs of 4 messages"), "{ran}");
}

/// A Maildir that a conversion made of five messages, with or without an index of its INBOX. The names of the
/// files are the GUIDs, as in all that Dovecot makes.
fn converted(index: Option<&Indexed<'_>>) -> Maildir {
    let sized = |nth| format!("{},S=42,W=46", name(nth));
    let rows: Vec<_> = (1..=5).map(|nth| (nth, sized(nth as usize))).collect();
    let mut from = Maildir::new().uidlist("INBOX", 6, &rows);
    for nth in 1..=5 {
        let body = mail(&format!("number {nth}"));
        from = from.message("INBOX", &format!("{}:2,S", sized(nth)), body);
    }
    let to = Maildir::new();
    fs::remove_dir_all(to.source()).unwrap();
    from.convert_to(&to.location()).done().exits(0);
    match index {
        Some(index) => to.index("INBOX", index),
        None => to,
    }
}

#[test]
fn what_a_conversion_remembers_gives_uids_back() {
    let index = index_of_five();
    for (index, test) in [(Some(&index), "with_an_index"), (None, "without_an_index")] {
        let account = converted(index).without("dovecot-uidlist");
        let (ran, store) = repaired(&account, test);
        assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5], "{ran}");
        assert_eq!(store.mailbox("INBOX").uidvalidity, VALIDITY);
        assert_eq!(lost(&ran), [""; 0]);
        // What came since is new, and above all UIDs that a server may have given.
        let account = converted(index).without("dovecot-uidlist").new_message(
            "INBOX",
            &name(8),
            mail("number 8"),
        );
        let (ran, store) = repaired_with(1, &account, test);
        let new = if index.is_some() { 31 } else { 1006 };
        assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5, new], "{ran}");
        let said = "the UIDs of 1 message, which have new ones: clients load them again";
        assert_eq!(lost(&ran), [said]);
    }
}

#[test]
fn undo_gives_the_old_names_back() {
    let wrong = format!("{},S=999", name(6));
    let account = Maildir::five_and_one().message("Sent", &format!("{wrong}:2,S"), mail("sized"));
    let before = read(&account.source());
    repair(&account).exits(0);
    let location = account.location();
    let args = ["repair", "--json", "--offline", "--undo", &location];
    Run::new(account.temp()).args(args).done().exits(0);
    assert_eq!(read(&account.source()).findings, before.findings);
    assert!(
        account
            .in_folder("Sent", format!("cur/{wrong}:2,S"))
            .exists()
    );
    assert!(!account.at("mailtally-replaced").exists());
}
