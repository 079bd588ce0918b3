//! Maildir: file times that are plainly those of a copy, and better ones; only when asked for.

use std::time::{Duration, SystemTime};

use super::mended;
use crate::harness::dovecot::Server;
use crate::harness::maildir::{Indexed, Maildir, mail};
use crate::harness::run::{Ran, Run};
use crate::harness::store::Store;
use crate::harness::tree::{Tree, differences, tree};

/// When the account was copied, and some parts of a second.
const COPY: u32 = 1_700_000_000;
const DAY: u32 = 86_400;
const OLD: u32 = 1_500_000_000;
/// What the server's cache tells of message 23: it had the date before the copy.
const CACHED: u32 = 1_400_000_000;
/// What the Received header of message 24 tells.
const RECEIVED: u32 = 1_300_432_000;

/// Messages whose names tell when they came, one a day.
fn named(nth: u32) -> String {
    format!("{}.M{nth}P1.host", OLD + nth * DAY)
}

/// The names of the messages, by UID.
fn names() -> Vec<(u32, String)> {
    let mut names: Vec<_> = (1..=22).map(|nth| (nth, named(nth))).collect();
    names.push((23, "of-the-cache".into()));
    names.push((24, "of-the-header".into()));
    names.push((25, "of-nobody".into()));
    names.push((26, format!("{COPY}.M26P1.host"))); // delivered while the copy was made
    names.push((27, format!("{OLD}.M27P1.host"))); // moved here later, with its own date
    names
}

const SOUND: u32 = 1_650_000_000;

/// An account that was copied without its times.
fn copied() -> Maildir {
    let mut account = Maildir::new().uidlist("INBOX", 28, &names());
    let received = format!(
        "Received: from a (a [::1])\n\tby b; Fri, 18 Mar 2011 07:06:40 +0000 (UTC)\n{}",
        String::from_utf8(mail("headed")).unwrap()
    );
    for (uid, name) in names() {
        let body = if uid == 24 {
            received.clone().into_bytes()
        } else {
            mail(&format!("number {uid}"))
        };
        let name = format!("{name}:2,S");
        let time = if uid == 27 { SOUND } else { COPY };
        let time = SystemTime::UNIX_EPOCH + Duration::new(time.into(), 123_456_789);
        account = account
            .message("INBOX", &name, body)
            .time(&format!("cur/{name}"), time);
    }
    // The server was asked for all of them after the copy, but for one, which it knew before.
    let cached: Vec<_> = (1..=22).map(|_| COPY).chain([CACHED]).collect();
    let messages: Vec<(u32, u8, &[usize])> = (1..=27).map(|uid| (uid, 8, &[][..])).collect();
    account.index(
        "INBOX",
        &Indexed {
            next: 28,
            messages: &messages,
            cached: &cached,
            field: "date.received",
            ..Indexed::default()
        },
    )
}

fn run(account: &Maildir, more: &[&str]) -> Ran {
    let location = account.location();
    let args = ["repair", "--json", "--offline", &location];
    Run::new(account.temp()).args(args).args(more).done()
}

/// The steps that set times: path and what is said.
fn times(ran: &Ran) -> Vec<(String, String)> {
    let steps = ran.records_of("step").into_iter();
    let times = steps.filter(|step| step["action"] == "set-time");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    times
        .map(|step| (text(&step["path"]), text(&step["detail"])))
        .collect()
}

fn expected(uid: u32) -> u32 {
    match uid {
        1..=22 => OLD + uid * DAY,
        23 => CACHED,
        24 => RECEIVED,
        27 => SOUND,
        _ => COPY,
    }
}

/// Names, and all of them that is to stay: not times, and not the server's cache.
fn without_times(tree: &Tree) -> Tree {
    let mut tree = tree.clone();
    tree.retain(|path, _| !path.starts_with("mailtally-replaced"));
    for (path, node) in &mut tree {
        node.ctime = (0, 0);
        node.mtime = (0, 0);
        if path.ends_with("dovecot.index.cache") {
            (node.id, node.content) = (0, "".into());
        }
    }
    tree
}

#[test]
fn dates_of_a_copy_become_those_that_name_cache_and_header_tell() {
    let account = copied();
    let before = tree(&account.source());
    let ran = run(&account, &["--dates"]).exits(0);
    assert_eq!(mended(&ran), ["maildir.copy-dates"]);
    let times = times(&ran);
    assert_eq!(times.len(), 24, "{ran}");
    let by = |part: &str| times.iter().filter(|(_, says)| says.contains(part)).count();
    assert_eq!(by("as its name says"), 22, "{ran}");
    assert_eq!(by("as the server's cache says"), 1, "{ran}");
    assert_eq!(by("as its topmost Received header says"), 1, "{ran}");
    let after = tree(&account.source());
    assert_eq!(
        differences(&without_times(&before), &without_times(&after)),
        [""; 0]
    );
    for (uid, name) in names() {
        let node = &after[std::path::Path::new(&format!("cur/{name}:2,S"))];
        assert_eq!(node.mtime.0, i64::from(expected(uid)), "{uid}");
    }
    let again = run(&account, &["--dates"]).exits(0);
    assert!(again.records_of("step").is_empty(), "{again}");
}

#[test]
fn clients_are_shown_the_new_dates_also_where_the_cache_had_those_of_the_copy() {
    let account = copied();
    run(&account, &["--dates"]).exits(0);
    let ours = Store::of("maildir", &account.source(), "");
    for (uid, message) in &ours.mailbox("INBOX").messages {
        assert_eq!(message.received, i64::from(expected(*uid)), "{uid}");
    }
    let test = "clients_are_shown_the_new_dates";
    let Some(server) = Server::here(test) else {
        return;
    };
    let dovecot = server.serve("maildir", account.source());
    for message in &dovecot.account().mailbox("INBOX").messages {
        let uid = u32::try_from(message.uid).unwrap();
        assert_eq!(message.received, i64::from(expected(uid)), "{uid}");
    }
    dovecot.assert_silent();
}

#[test]
fn dates_are_shown_first_and_not_touched_without_being_asked() {
    let account = copied();
    let before = tree(&account.source());
    assert!(times(&run(&account, &[]).exits(0)).is_empty());
    assert_eq!(differences(&before, &tree(&account.source())), [""; 0]);
    let planned = run(&account, &["--dates", "--dry-run"]).exits(1);
    assert_eq!(times(&planned).len(), 24, "{planned}");
    assert_eq!(differences(&before, &tree(&account.source())), [""; 0]);
}

#[test]
fn undo_gives_files_their_old_times_back_to_the_nanosecond() {
    let account = copied();
    let before = tree(&account.source());
    run(&account, &["--dates"]).exits(0);
    run(&account, &["--undo"]).exits(0);
    let after = tree(&account.source());
    assert_eq!(
        differences(&without_times(&before), &without_times(&after)),
        [""; 0]
    );
    for (path, node) in before.iter().filter(|(path, _)| path.starts_with("cur")) {
        if path.components().count() > 1 {
            assert_eq!(after[path].mtime, node.mtime, "{}", path.display());
        }
    }
    let cache = |tree: &Tree| tree[std::path::Path::new("dovecot.index.cache")].clone();
    assert_eq!(cache(&after).content, cache(&before).content);
}

#[test]
fn a_date_that_was_changed_since_is_not_taken_back() {
    let account = copied();
    run(&account, &["--dates"]).exits(0);
    let name = format!("cur/{}:2,S", named(3));
    let account = account.time(&name, SystemTime::UNIX_EPOCH);
    let ran = run(&account, &["--undo"]).exits(73);
    assert!(ran.stderr.contains("changed since the repair"), "{ran}");
}

#[test]
fn sound_dates_are_not_touched() {
    let account = Maildir::five_and_one();
    let before = tree(&account.source());
    let ran = run(&account, &["--dates"]).exits(0);
    assert!(ran.records_of("step").is_empty(), "{ran}");
    assert_eq!(differences(&before, &tree(&account.source())), [""; 0]);
}

#[test]
fn a_date_at_1970_or_in_the_future_is_mended_alone() {
    let times = [0, 4_000_000_000];
    let mut account = Maildir::five_and_one();
    for (nth, time) in times.into_iter().enumerate() {
        let name = format!("cur/170000000{}.M1P1.host:2,S", nth + 1);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
        account = account.time(&name, time);
    }
    let ran = run(&account, &["--dates"]).exits(0);
    assert_eq!(mended(&ran), ["maildir.date"]);
    assert_eq!(ran.records_of("step").len(), 2, "{ran}");
    let store = Store::of("maildir", &account.source(), "");
    assert_eq!(store.findings, [""; 0]);
    assert_eq!(store.message("INBOX", 1).received, 1_700_000_001);
}

/// A message whose name tells wrong sizes too gets its name first, and then its date.
#[test]
fn a_renamed_message_gets_its_date_too() {
    let mut account = Maildir::new();
    for nth in 1..=4 {
        let name = format!("{},S=9:2,S", named(nth));
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(COPY.into());
        account = account
            .message("INBOX", &name, mail("number"))
            .time(&format!("cur/{name}"), time);
    }
    run(&account, &["--dates"]).exits(1);
    let store = Store::of("maildir", &account.source(), "");
    for (uid, message) in &store.mailbox("INBOX").messages {
        assert_eq!(message.received, i64::from(OLD + uid * DAY), "{uid}");
    }
    run(&account, &["--undo"]).exits(0);
    let name = format!("cur/{},S=9:2,S", named(1));
    let mtime = std::fs::metadata(account.at(name)).unwrap().modified();
    let copy = SystemTime::UNIX_EPOCH + Duration::from_secs(COPY.into());
    assert_eq!(mtime.unwrap(), copy);
}

#[test]
fn a_dbox_has_no_file_times_to_mend() {
    let damaged = super::Damaged::sample("sdbox");
    let ran = damaged.run("repair", &["--offline", "--dates"]).exits(64);
    assert!(ran.stderr.contains("--dates is for a Maildir"), "{ran}");
}

#[test]
fn dates_are_summed_up_by_mailbox_and_by_who_tells_them() {
    let account = copied();
    let text = |more: &[&str]| {
        let args = ["repair", "--dates", "--offline", "-n", &account.location()];
        let ran = Run::new(account.temp()).args(args).args(more).done();
        ran.exits(1).stdout
    };
    let told = text(&[]);
    let sum = "INBOX: 24 dates: 22 from its name, 1 from its topmost Received header,";
    assert!(told.contains(sum), "{told}");
    assert!(!told.contains("set-time"), "{told}");
    assert_eq!(text(&["-v"]).matches("set-time").count(), 24);
    let json = run(&account, &["--dates", "-n"]);
    assert_eq!(times(&json).len(), 24, "{json}");
}
