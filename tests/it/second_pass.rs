//! A pass after something was mended, or lost: what the first one left is looked at with care.

use std::fs;
use std::io::Write;

use serde_json::json;

use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::Run;

fn gz(plain: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

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
