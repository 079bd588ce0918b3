//! What is used, counted from the messages, against what the store believes; the server is asked too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bstr::ByteSlice;
use serde_json::{Value, json};

use mailtally::disk::{Dir, Real};
use mailtally::format::dovecot_index::correct_usage;
use mailtally::store::BelievedUsage;

use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::{Ran, Run};
use crate::harness::tree::tree;
use crate::harness::unpacked;
use crate::harness::{FORMATS, gz};
use crate::repair::Damaged;

fn quota(temp: &Path, location: &str, more: &[&str]) -> Ran {
    let args = ["quota", "--json", location];
    Run::new(temp).args(args).args(more).done()
}

fn of(account: &Maildir, more: &[&str]) -> Ran {
    quota(account.temp(), &account.location(), more)
}

/// The record of a root.
fn root<'r>(ran: &'r Ran, name: &str) -> &'r Value {
    let lines = ran.records_of("quota");
    let mut lines = lines.into_iter().filter(|line| line["root"] == name);
    let line = lines.next().unwrap_or_else(|| panic!("no {name}: {ran}"));
    assert!(lines.next().is_none(), "{ran}");
    line
}

/// Five messages of 42 bytes, one of 42.
fn account(maildirsize: &str) -> Maildir {
    Maildir::five_and_one().put("maildirsize", maildirsize)
}

const REAL: &str = "252 6";

#[test]
fn usage_is_counted_from_the_messages_whatever_is_kept() {
    let ran = of(&Maildir::five_and_one(), &[]).exits(0);
    let line = json!({"type": "quota", "user": "", "root": "count", "status": "none",
        "counted": {"bytes": 276, "messages": 6}, "stored": null});
    assert_eq!(ran.records_of("quota"), [&line]);
    let user = ran.user();
    assert_eq!(user["status"], "ok");
    assert_eq!(
        (&user["bytes"], &user["messages"]),
        (&json!(252), &json!(6))
    );
}

#[test]
fn what_is_kept_is_right_stale_wrapped_or_broken() {
    let wrapped = 252_i64 - (1 << 32);
    for (kept, status, code) in [
        ("\n252 6\n".to_owned(), "ok", None),
        ("\n352 7\n-100 -1\n".into(), "ok", None),
        ("\n252 5\n".into(), "stale", Some("quota.stale")),
        ("\n-1 -1\n".into(), "broken", Some("quota.broken")),
        ("\nx y\n".into(), "broken", Some("quota.broken")),
        (format!("\n{wrapped} 6\n"), "wrapped", Some("quota.wrapped")),
    ] {
        let account = account(&kept);
        let before = tree(account.temp());
        let ran = of(&account, &[]).exits(i32::from(code.is_some()));
        assert_eq!(tree(account.temp()), before, "nothing is written");
        assert_eq!(root(&ran, "maildirsize")["status"], status, "{kept:?}");
        assert_eq!(
            ran.codes(),
            code.into_iter().collect::<Vec<_>>(),
            "{kept:?}"
        );
        let attention = if code.is_some() { "attention" } else { "ok" };
        assert_eq!(ran.user()["status"], attention, "{kept:?}");
    }
}

#[test]
fn write_corrects_the_sum_and_keeps_limits_owner_and_mode() {
    let account = account("1000000S,20C\n-1 -1\n").mode("maildirsize", 0o640);
    let ran = of(&account, &["--write"]).exits(0);
    let line = root(&ran, "maildirsize");
    assert_eq!(line["status"], "corrected");
    assert_eq!(line["limits"], json!({"bytes": 1_000_000, "messages": 20}));
    let path = account.at("maildirsize");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("1000000S,20C\n{REAL}\n"));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let before = tree(account.temp());
    let again = of(&account, &["--write"]).exits(0);
    assert_eq!(root(&again, "maildirsize")["status"], "ok");
    assert_eq!(tree(account.temp()), before, "what is right is not written");
}

#[test]
fn what_is_no_limit_goes_from_the_first_line_and_is_said() {
    let kept = |account: &Maildir| fs::read_to_string(account.at("maildirsize")).unwrap();
    let made = || account(&format!("garbage,1000S\n{REAL}\n"));
    for command in ["quota", "repair"] {
        let account = made();
        let run = |more: &[&str]| {
            let run = Run::new(account.temp()).args([command, "--json", &account.location()]);
            run.args(more).done()
        };
        let look: &[&str] = if command == "quota" { &[] } else { &["-n"] };
        let said = run(look).exits(1);
        assert!(
            said.to_string().contains("no limit, such as 1000S"),
            "{said}"
        );
        assert_eq!(said.findings("quota.broken").len(), 1, "{said}");
        let act = if command == "quota" {
            "--write"
        } else {
            "--offline"
        };
        run(&[act]).exits(0);
        assert_eq!(kept(&account), format!("1000S\n{REAL}\n"));
    }
}

fn packed() -> Vec<u8> {
    gz(&mail(&"long ".repeat(400)))
}

#[test]
fn a_sum_that_leaves_something_out_is_not_written() {
    let packed = packed();
    let cut = &packed[..packed.len() - 6];
    let account = account("1000S\n-1 -1\n").message("INBOX", &format!("{}:2,S", name(9)), cut);
    let before = tree(account.temp());
    let ran = of(&account, &["--write"]).exits(1);
    assert_eq!(ran.findings("maildir.damaged").len(), 1, "{ran}");
    let line = root(&ran, "maildirsize");
    assert_ne!(line["status"], "corrected");
    assert_eq!(line["counted"]["messages"], 7, "what is left of it counts");
    let why = line["not_written"].as_str().unwrap();
    assert!(why.contains("do first what is said of it below"), "{why}");
    assert_eq!(tree(account.temp()), before);
}

#[test]
fn behind_a_repair_what_is_left_of_a_torn_message_counts_in_every_format() {
    let whole = mail(&"long ".repeat(4000));
    let packed = gz(&whole);
    let name = format!("{},S={}:2,S", name(9), whole.len());
    for format in FORMATS {
        let from = Maildir::five_and_one().message("INBOX", &name, &packed);
        let place = from.temp().join("store");
        let location = format!("{format}:{}", place.display());
        let to = from.convert_to(&location).args(["--compress", "keep"]);
        to.done().exits(0);
        let dict = from.temp().join("dict");
        fs::write(&dict, "priv/quota/storage\n1\npriv/quota/messages\n1\n").unwrap();
        assert_eq!(tear(&place), 1, "{format}");
        let quota = || {
            let dict = dict.to_str().unwrap();
            let more = ["--write", "--offline", "--dict", dict];
            quota(from.temp(), &location, &more)
        };
        let ran = quota().exits(1);
        let remedy = ran.records_of("finding");
        let remedy = remedy[0]["remedy"].as_str().unwrap();
        assert!(remedy.contains("repair"), "{format}: {remedy}");
        let args = ["repair", "--json", "--offline", &location];
        Run::new(from.temp()).args(args).done().exits(1);
        let ran = quota().exits(0);
        let line = root(&ran, "dict");
        assert_eq!(line["status"], "corrected", "{format}: {ran}");
        assert_eq!(line["counted"]["messages"], 7, "{format}: {ran}");
    }
}

/// Overwrites a few bytes near the end of whatever is compressed below this folder. Returns how often.
fn tear(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap();
    let torn = entries.map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return tear(&path);
        }
        let mut bytes = fs::read(&path).unwrap();
        let Some(at) = bytes.find(b"\x1f\x8b\x08") else {
            return 0;
        };
        bytes[at + 80..at + 100].fill(0xff);
        fs::write(path, bytes).unwrap();
        1
    });
    torn.sum()
}

#[test]
fn compressed_messages_count_with_their_plain_bytes() {
    let account = Maildir::new().message("INBOX", &format!("{}:2,S", name(1)), packed());
    let ran = of(&account, &[]).exits(0);
    assert_eq!(root(&ran, "count")["counted"]["messages"], 1);
    assert_eq!(ran.user()["bytes"], 2034);
}

#[test]
fn a_person_sees_a_table() {
    let account = account("1000000S\n252 5\n");
    let ran = Run::new(account.temp())
        .args(["quota", &account.location()])
        .done()
        .exits(1);
    assert!(ran.stdout.starts_with("ATTENTION: 1 account"), "{ran}");
    let row = ran.stdout.lines().find(|line| line.contains("maildirsize"));
    let words: Vec<_> = row.unwrap().split_whitespace().collect();
    let wanted = "maildirsize 252 B in 6 252 B in 5 1.0 MB WRONG (stale)";
    assert_eq!(words.join(" "), wanted, "{ran}");
    assert!(ran.stdout.contains("quota.stale"), "{ran}");
}

fn with_quota(driver: &str) -> String {
    format!(
        "mail_plugins = quota\nplugin {{\n  quota = {driver}:User\n  quota_vsizes = yes\n  \
         quota_rule = *:storage=1M:messages=20\n}}\n"
    )
}

/// The sample of this format, and a server that has counted it.
fn counted(server: &Server, format: &'static str) -> (Damaged, Dovecot) {
    let sample = Damaged::sample(format);
    let dovecot = server.serve_with(format, sample.store(), &with_quota("count"));
    dovecot.ask(&["quota", "recalc"]);
    (sample, dovecot)
}

/// Kibibytes rounded up, and messages, as `doveadm quota get` shows them.
fn got(dovecot: &Dovecot) -> (u64, u64) {
    let text = dovecot.ask(&["-f", "tab", "quota", "get"]);
    let value = |what: &str| {
        let line = text.lines().find(|line| line.contains_str(what)).unwrap();
        let value = line.split(|byte| *byte == b'\t').nth(2).unwrap();
        value.to_str().unwrap().parse().unwrap()
    };
    (value("STORAGE"), value("MESSAGE"))
}

#[test]
fn a_server_counts_the_same_and_believes_what_was_written() {
    let Some(server) = Server::here("a_server_counts_the_same_and_believes_what_was_written")
    else {
        return;
    };
    let account =
        Maildir::five_and_one().message("Sent", &format!("{}:2,S", name(8)), vec![b'x'; 5000]);
    let dovecot = server.serve_with("maildir", account.source(), &with_quota("maildir"));
    dovecot.ask(&["quota", "recalc"]);
    let file = dovecot.mail().join("maildirsize");
    let theirs = fs::read_to_string(&file).unwrap();
    assert_eq!(theirs, "1048576S,20C\n5252 7\n");
    let location = format!("maildir:{}", dovecot.mail().display());
    let ran = quota(account.temp(), &location, &[]).exits(0);
    assert_eq!(root(&ran, "maildirsize")["status"], "ok");

    fs::write(&file, "1048576S,20C\n900000 19\n").unwrap();
    assert_eq!(got(&dovecot), (879, 19), "it believes the file");
    let ran = quota(account.temp(), &location, &["--write", "--offline"]).exits(0);
    assert_eq!(root(&ran, "maildirsize")["status"], "corrected");
    assert_eq!(got(&dovecot), (6, 7));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        theirs,
        "nothing to recalculate"
    );
    dovecot.assert_silent();
}

#[test]
fn a_control_directory_has_the_file() {
    let Some(server) = Server::here("a_control_directory_has_the_file") else {
        return;
    };
    let account = Maildir::five_and_one();
    let location = "maildir:CONTROL=%h/control";
    let dovecot = server.serve_with(location, account.source(), &with_quota("maildir"));
    dovecot.ask(&["quota", "recalc"]);
    let (mail, control) = (dovecot.mail(), dovecot.mail().with_file_name("run/control"));
    let location = format!("maildir:{}:CONTROL={}", mail.display(), control.display());
    let ran = quota(account.temp(), &location, &[]).exits(0);
    assert_eq!(root(&ran, "maildirsize")["status"], "ok");
    fs::write(control.join("maildirsize"), "1048576S,20C\n1 1\n").unwrap();
    quota(account.temp(), &location, &["--write", "--offline"]).exits(0);
    assert_eq!(got(&dovecot), (1, 6));
    dovecot.assert_silent();
}

#[test]
fn the_sums_in_indexes_are_those_of_a_server() {
    let Some(server) = Server::here("the_sums_in_indexes_are_those_of_a_server") else {
        return;
    };
    for format in FORMATS {
        let (sample, dovecot) = counted(&server, format);
        let location = format!("{format}:{}", dovecot.mail().display());
        let ran = quota(sample.temp(), &location, &[]).exits(0);
        let line = root(&ran, "count");
        assert_eq!(line["status"], "ok", "{ran}");
        assert_eq!(line["stored"], line["counted"], "{ran}");
        let bytes = line["counted"]["bytes"].as_u64().unwrap();
        let messages = line["counted"]["messages"].as_u64().unwrap();
        assert!(messages > 5, "{ran}");
        assert_eq!(got(&dovecot), (bytes.div_ceil(1024), messages), "{format}");
    }
}

#[test]
fn a_sum_in_an_index_that_is_wrong_is_said() {
    let Some(server) = Server::here("a_sum_in_an_index_that_is_wrong_is_said") else {
        return;
    };
    let (sample, dovecot) = counted(&server, "sdbox");
    // A message that went away behind the server's back.
    let mails = dovecot.mail().join("mailboxes/INBOX/dbox-Mails");
    let all = fs::read_dir(&mails).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = all
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("u."))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    fs::remove_file(&files[0]).unwrap();
    let location = format!("sdbox:{}", dovecot.mail().display());
    let ran = quota(sample.temp(), &location, &[]).exits(1);
    assert_eq!(root(&ran, "count")["status"], "stale");
    assert_eq!(ran.findings("quota.vsize").len(), 1, "{ran}");
    assert_eq!(ran.findings("dbox.lost").len(), 1, "{ran}");
}

/// The directory of the INBOX's index, from the store's root.
fn index_of_inbox(format: &str) -> &'static str {
    match format {
        "maildir" => ".",
        _ => "mailboxes/INBOX/dbox-Mails",
    }
}

#[test]
fn a_sum_in_an_index_is_corrected_and_the_server_believes_it() {
    let Some(server) = Server::here("a_sum_in_an_index_is_corrected_and_the_server_believes_it")
    else {
        return;
    };
    for format in FORMATS {
        let (sample, dovecot) = counted(&server, format);
        let right = got(&dovecot);
        let location = format!("{format}:{}", dovecot.mail().display());
        let inbox = dovecot.mail().join(index_of_inbox(format));
        let counted = quota(sample.temp(), &location, &[]).exits(0);
        let highest_uid = 1;
        let lie = BelievedUsage {
            virtual_bytes: 5_000_000_000,
            messages: 1,
            highest_uid,
        };
        let dir = Dir::open(&inbox, std::sync::Arc::new(Real)).unwrap();
        assert!(correct_usage(&dir, &lie).unwrap(), "{format}");
        assert!(
            got(&dovecot).0 > 4_882_812,
            "{format}: it believes the index"
        );
        let ran = quota(sample.temp(), &location, &[]).exits(1);
        assert_eq!(root(&ran, "count")["status"], "stale", "{ran}");
        assert_eq!(ran.findings("quota.vsize").len(), 1, "{ran}");

        let ran = quota(sample.temp(), &location, &["--write"]).exits(75);
        assert!(ran.stderr.contains("--offline"), "{ran}");
        let ran = quota(sample.temp(), &location, &["--write", "--offline"]).exits(0);
        let line = root(&ran, "count");
        assert_eq!(line["status"], "corrected", "{ran}");
        assert_eq!(line["counted"], root(&counted, "count")["counted"], "{ran}");
        assert_eq!(got(&dovecot), right, "{format}");
        let again = quota(sample.temp(), &location, &[]).exits(0);
        assert_eq!(root(&again, "count")["status"], "ok", "{again}");
        dovecot.assert_silent();
    }
}

#[test]
fn a_log_that_ends_in_damage_is_not_written_to() {
    let sample = unpacked("dovecot-2.3.19/sdbox.tar.gz");
    let inbox = sample.path().join("sdbox").join(index_of_inbox("sdbox"));
    let log = inbox.join("dovecot.index.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend([1; 6]);
    fs::write(&log, &bytes).unwrap();
    let dir = Dir::open(&inbox, std::sync::Arc::new(Real)).unwrap();
    let usage = BelievedUsage {
        virtual_bytes: 1,
        messages: 1,
        highest_uid: 1,
    };
    assert!(!correct_usage(&dir, &usage).unwrap());
    assert_eq!(fs::read(&log).unwrap(), bytes);
}

#[test]
fn the_file_of_a_dict_is_compared_and_corrected() {
    let Some(server) = Server::here("the_file_of_a_dict_is_compared_and_corrected") else {
        return;
    };
    let account =
        Maildir::five_and_one().message("Sent", &format!("{}:2,S", name(8)), vec![b'x'; 5000]);
    let with_dict = "mail_plugins = quota\nplugin {\n  quota = dict:User quota::file:%h/quota\n  \
                     quota_rule = *:storage=1M:messages=20\n}\n";
    let dovecot = server.serve_with("maildir", account.source(), with_dict);
    dovecot.ask(&["quota", "recalc"]);
    let (mail, file) = (dovecot.mail(), dovecot.mail().with_file_name("run/quota"));
    let theirs = fs::read_to_string(&file).unwrap();
    let location = format!("maildir:{}", mail.display());
    let path = file.to_str().unwrap();
    let ran = quota(account.temp(), &location, &["--dict", path]).exits(0);
    assert_eq!(root(&ran, "dict")["status"], "ok", "{ran}");

    fs::write(&file, "priv/quota/storage\n-7\npriv/quota/messages\n7\n").unwrap();
    let ran = quota(account.temp(), &location, &["--dict", path]).exits(1);
    assert_eq!(root(&ran, "dict")["status"], "broken", "{ran}");
    let found = ran.findings("quota.dict");
    assert_eq!(found.len(), 1, "{ran}");
    assert_eq!(ran.findings("quota.broken").len(), 0, "{ran}");
    let remedy = found[0]["remedy"].as_str().unwrap();
    assert!(remedy.contains("with the same --dict"), "{ran}");
    let write = ["--dict", path, "--write", "--offline"];
    let ran = quota(account.temp(), &location, &write).exits(0);
    assert_eq!(root(&ran, "dict")["status"], "corrected", "{ran}");
    let pairs = |text: &str| {
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let pairs = lines.chunks(2).map(<[String]>::to_vec);
        pairs.collect::<std::collections::BTreeSet<_>>()
    };
    let ours = fs::read_to_string(&file).unwrap();
    assert_eq!(pairs(&ours), pairs(&theirs), "in either order");
    assert_eq!(got(&dovecot), (6, 7));
    dovecot.assert_silent();
}

#[test]
fn files_may_count_with_crlf_line_ends() {
    let account = account("\n276 6\n");
    let ran = of(&account, &["--vsizes"]).exits(0);
    assert_eq!(root(&ran, "maildirsize")["status"], "ok", "{ran}");
    of(&account, &[]).exits(1);
}

#[test]
fn a_dict_file_that_is_not_there_is_said() {
    let account = account("1000000S\n252 6\n");
    for (dict, detail) in [
        ("no-such-file", "it is not there"),
        ("no/such/file", "its directory is not there"),
    ] {
        let dict = account.temp().join(dict);
        let ran = of(&account, &["--dict", dict.to_str().unwrap()]).exits(0);
        ran.says(
            "quota.dict-missing",
            &json!({"severity": "warning", "detail": detail}),
        );
    }
}

#[test]
fn a_quota_that_is_not_written_says_why() {
    let text = |account: &Maildir, code: i32| {
        let args = ["quota", "--write", &account.location()];
        let ran = Run::new(account.temp()).args(args).done();
        ran.exits(code).stdout.replace("\n  ", " ")
    };
    let account = account("1000000S\n252 5\n").link("cur/1700000013.M1P1.host:2,", "nowhere");
    let told = text(&account, 1);
    assert!(told.contains("counted, and NOT corrected, in "), "{told}");
    let why = "not written: maildirsize: what could not be read is missing in the count";
    assert!(told.contains(why), "{told}");
    let account = account.without("cur/1700000013.M1P1.host:2,");
    let told = text(&account, 0);
    assert!(
        told.contains("counted, and corrected what was wrong, in "),
        "{told}"
    );
    let told = text(&account, 0);
    assert!(
        told.contains("counted, nothing was to be corrected, in "),
        "{told}"
    );
}
