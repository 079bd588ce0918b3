//! A pass after something was mended, or lost: what the first one left is looked at with care.

use std::fs;

use serde_json::json;

use crate::harness::gz;
use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::{Ran, Run};
use crate::harness::store::Store;

#[test]
fn what_was_mended_in_place_is_carried_by_the_next_pass() {
    let whole = gz(&mail("mended"));
    let mut broken = whole.clone();
    broken[20..].fill(0);
    let account = Maildir::five_and_one();
    let path = format!("{}:2,S", name(7));
    let account = account.message("INBOX", &path, &broken);
    let file = account.in_folder("INBOX", format!("cur/{path}"));
    let mtime = fs::metadata(&file).unwrap().modified().unwrap();
    let first = account.convert().exits(1);
    assert_eq!(first.findings("maildir.damaged").len(), 1);
    let again = account.convert().exits(1);
    assert_eq!(
        again.findings("maildir.damaged").len(),
        1,
        "it still needs a person"
    );
    let not_compared = again.user()["not_compared"][0].as_str().unwrap();
    assert!(
        not_compared.contains("the destination was not read again"),
        "{again}"
    );
    // As `cp -p` from a backup: no name, size or date tells.
    fs::write(&file, &whole).unwrap();
    let times = fs::FileTimes::new().set_modified(mtime);
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_times(times)
        .unwrap();
    let mended = account.convert().exits(0);
    let digest = &mended.summary()["digest"];
    assert_eq!(digest["source"], digest["destination"], "{mended}");
    let subjects = account.store().subjects("INBOX");
    assert!(
        subjects.iter().any(|(_, subject)| subject == "mended"),
        "{subjects:?}"
    );
    let last = account.convert().exits(0);
    assert_eq!(last.user()["status"], json!("unchanged"));
}

#[test]
fn a_storage_file_that_was_written_over_in_place_is_read_again() {
    let made = Maildir::five_and_one();
    let location = format!("mdbox:{}", made.temp().join("from").display());
    made.convert_to(&location).done().exits(0);
    let target = format!("sdbox:{}", made.temp().join("to").display());
    let convert = || Run::new(made.temp()).args(["convert", "--json", &location, &target]);
    convert().done().exits(0);
    assert_eq!(convert().done().user()["status"], json!("unchanged"));
    let mails = made.temp().join("from/storage/m.1");
    let mut bytes = fs::read(&mails).unwrap();
    let end = bytes.len();
    bytes[end / 2..].fill(0);
    fs::write(&mails, bytes).unwrap();
    let again = convert().done().exits(1);
    assert_eq!(again.user()["status"], json!("attention"), "{again}");
}

#[test]
fn a_source_that_has_lost_much_since_the_last_pass_is_said() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    fs::remove_dir_all(account.at(".Sent")).unwrap();
    let ran = account.convert().exits(0);
    let detail = "1 mailbox and 5 messages, at the last pass 2 mailboxes and 6 messages";
    ran.says(
        "account.fewer",
        &json!({"severity": "warning", "detail": detail}),
    );
}

/// Verifies the account against what was made of it.
fn verify(account: &Maildir, target: &str) -> Ran {
    let args = ["verify", "--json", &account.location(), target];
    Run::new(account.temp()).args(args).done()
}

/// Which messages came, which one went, and which UIDs they have then.
type Step = (&'static [usize], Option<usize>, &'static [(u32, usize)]);

#[test]
fn a_message_that_no_uidlist_names_has_the_same_uid_in_every_pass() {
    for format in ["sdbox", "mdbox", "maildir"] {
        let mut account = Maildir::five_and_one();
        let place = account.temp().join("copy");
        let target = format!("{format}:{}", place.display());
        // The later ones have the older names: each would come before those that have UIDs.
        let steps: [Step; 4] = [
            (&[8, 9], None, &[(6, 8), (7, 9)]),
            (&[7], None, &[(6, 8), (7, 9), (8, 7)]),
            (&[], Some(8), &[(7, 9), (8, 7)]),
            (&[6], Some(7), &[(7, 9), (9, 6)]),
        ];
        for (came, went, wanted) in steps {
            for nth in came {
                account = account.new_message("INBOX", &name(*nth), mail(&nth.to_string()));
            }
            if let Some(nth) = went {
                account = account.without(&format!("new/{}", name(nth)));
            }
            account.convert_to(&target).done().exits(0);
            let subjects = Store::of(format, &place, "").subjects("INBOX");
            let wanted = wanted.iter().map(|(uid, nth)| (*uid, nth.to_string()));
            assert_eq!(subjects[5..], wanted.collect::<Vec<_>>(), "{format}");
            let ran = verify(&account, &target);
            let mut differences = ran.records_of("difference").into_iter();
            assert!(differences.all(|it| it["code"] == "mode"), "{ran}");
        }
    }
}

#[test]
fn a_mailbox_that_has_no_uidlist_is_the_same_one_in_every_pass() {
    let account = Maildir::five_and_one().without("dovecot-uidlist");
    let (_, first) = account.converted();
    let account = account.new_message("INBOX", &name(0), mail("number 0"));
    let (_, second) = account.converted();
    let (first, second) = (first.mailbox("INBOX"), second.mailbox("INBOX"));
    assert_eq!(first.uidvalidity, second.uidvalidity);
    for (uid, message) in &first.messages {
        assert_eq!(message.subject(), second.messages[uid].subject());
    }
    assert_eq!(second.messages[&6].subject(), "number 0");
}

#[test]
fn a_uid_that_a_server_has_given_since_goes_before_that_of_an_earlier_pass() {
    let account = Maildir::five_and_one()
        .new_message("INBOX", &name(6), mail("sixth"))
        .new_message("INBOX", &name(7), mail("seventh"));
    account.convert().exits(0);
    let rows: Vec<_> = (1..=5).map(|nth| (nth, name(nth as usize))).collect();
    let rows = [&rows[..], &[(6, name(7)), (7, name(6))]].concat();
    let account = account.uidlist("INBOX", 8, &rows);
    let (_, store) = account.converted();
    assert_eq!(store.message("INBOX", 6).subject(), "seventh");
    verify(&account, &account.target()).exits(0);
}

#[test]
fn a_uidlist_that_cannot_be_read_is_an_error() {
    let account = Maildir::five_and_one().without("dovecot-uidlist");
    let account = account.dir("dovecot-uidlist");
    let ran = account.convert().exits(1);
    let path = json!({"mailbox": "INBOX", "path": "dovecot-uidlist", "severity": "error"});
    ran.says("uidlist.unreadable", &path);
}

#[test]
fn a_format_that_is_another_is_named() {
    let account = Maildir::five_and_one();
    let mdbox = account.temp().join("mdbox");
    account
        .convert_to(&format!("mdbox:{}", mdbox.display()))
        .done()
        .exits(0);
    let run = |location: String| {
        let run = Run::new(account.temp()).args(["inspect", &location]);
        run.done().exits(66).stderr
    };
    assert!(run(format!("sdbox:{}", mdbox.display())).contains("write mdbox:"));
    let file = account.temp().join("a.tally");
    fs::write(&file, "x").unwrap();
    assert!(run(format!("maildir:{}", file.display())).contains("a file and no mail store"));
}
