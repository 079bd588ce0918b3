//! A tally that is not what it should be is refused with its place and the reason; what could not be read when it
//! was made is said.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use mailtally::error::Error;
use mailtally::format::tally::Reader;
use serde_json::json;

use super::planted::{Planted, manifest};
use super::tallies::{packed, run, text};
use crate::harness::maildir::{Maildir, scratch};
use crate::harness::run::{NOBODY, Run};
use crate::harness::tree::copy;

/// What is done to the lines of a tally.
type Change = fn(&mut Vec<String>);

/// What reading a tally to its end says.
fn refusal(bytes: &[u8]) -> Option<String> {
    let stream = std::io::Cursor::new(bytes.to_vec());
    let mut reader = match Reader::new(stream, "x.tally".into()) {
        Ok(reader) => reader,
        Err(error) => return Some(error.chain()),
    };
    loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => {
                assert!(matches!(error, Error::Format { .. }));
                return Some(error.chain());
            }
        }
    }
}

#[test]
fn a_tally_that_is_damaged_cut_or_foreign_is_refused_with_place_and_reason() {
    let temp = scratch();
    Planted::sound(6).write("sdbox", &temp.path().join("sdbox"));
    let whole = manifest("sdbox", &temp.path().join("sdbox"));
    assert_eq!(refusal(&whole), None);
    for len in (0..whole.len()).step_by(97) {
        assert!(
            refusal(&whole[..len]).is_some(),
            "{len} of {} bytes",
            whole.len()
        );
    }
    for at in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        assert!(refusal(&bytes).is_some(), "byte {at}");
    }
    let lines = text(&whole);
    let changes: [(Change, &str); 8] = [
        (
            |lines| drop(lines.pop()),
            "line 44: the file ends before its last line",
        ),
        (
            |lines| lines.swap(4, 5),
            "line 6: messages are not in UID order",
        ),
        (
            |lines| drop(lines.remove(2)),
            "line 3: a message of another mailbox",
        ),
        (
            |lines| lines[1] = "{}".into(),
            "line 2: no record of a tally",
        ),
        (
            |lines| lines[4] = lines[4].replace("\"crc32\":\"", "\"crc32\":\"x"),
            "crc32 cannot be read",
        ),
        (|lines| lines[3].truncate(30), "line 4: EOF"),
        (
            |lines| lines.push("{\"type\":\"end\"}".into()),
            "a line behind the last",
        ),
        (
            |lines| lines[0] = lines[0].replace("\"version\":1", "\"version\":2"),
            "this program reads 1",
        ),
    ];
    for (change, wanted) in changes {
        let mut changed = lines.clone();
        change(&mut changed);
        let why = refusal(&packed(&changed)).expect(wanted);
        assert!(why.contains(wanted), "{why}, not {wanted}");
        assert!(why.contains("x.tally"), "{why}");
    }
    assert!(
        refusal(b"From a@b\n\nnot zstd")
            .unwrap()
            .contains("not a readable tally")
    );
}

#[test]
fn a_damaged_tally_ends_the_run_with_66() {
    let account = Maildir::five_and_one();
    run(
        &account,
        &["manifest", &account.location(), "-o", "a.tally"],
    )
    .exits(0);
    let bytes = fs::read(account.temp().join("a.tally")).unwrap();
    let mut lines = text(&bytes);
    lines.swap(3, 4);
    fs::write(account.temp().join("bad.tally"), packed(&lines)).unwrap();
    let ran = run(&account, &["verify", "bad.tally", &account.location()]).exits(66);
    assert!(
        ran.stderr.contains("line 5: messages are not in UID order"),
        "{ran}"
    );
    assert!(
        ran.stderr.contains("help: copy the file once more"),
        "{ran}"
    );
    assert!(!ran.stdout.contains("GO:"), "{ran}");
}

/// Changes the first line that has this in it.
fn change(lines: &mut [String], has: &str, from: &str, to: &str) {
    let line = lines.iter_mut().find(|line| line.contains(has)).unwrap();
    assert!(line.contains(from), "{line}");
    *line = line.replacen(from, to, 1);
}

#[test]
fn what_was_cut_out_of_a_tally_with_its_sum_is_missing_in_the_next_one() {
    let temp = scratch();
    Planted::sound(6).write("sdbox", &temp.path().join("sdbox"));
    let lines = text(&manifest("sdbox", &temp.path().join("sdbox")));
    // Head, account, and ten lines a mailbox: its own, eight messages, the sum.
    let changes: [(Change, &str); 12] = [
        (
            |lines| drop(lines.drain(12..22)),
            "line 33: the sum of the account says 4 mailboxes, and 3 were read",
        ),
        (
            |lines| drop(lines.drain(1..43)),
            "line 2: the last line says 1 account, and 0 were read",
        ),
        (
            |lines| drop(lines.remove(5)),
            "line 11: the sum of Archive says 8 messages, and 7 were read",
        ),
        (
            |lines| change(lines, "\"uid\":5", "\\\\Flagged", "\\\\Deleted"),
            "line 12: the sum of Archive has another digest",
        ),
        (
            |lines| change(lines, "\"sum\"", "\"messages\":8", "\"messages\":9"),
            "line 12: the sum of Archive says 9 messages, and 8 were read",
        ),
        (
            |lines| change(lines, "\"sum\"", "\"bytes\":", "\"bytes\":1"),
            "line 12: the sum of Archive says 1",
        ),
        (
            |lines| change(lines, "\"mailbox\",", "\"messages\":8", "\"messages\":7"),
            "line 12: the line of Archive says 7 messages, and 8 were read",
        ),
        (
            |lines| drop(lines.remove(11)),
            "line 12: the mailbox Archive has no sum",
        ),
        (
            |lines| drop(lines.remove(42)),
            "line 43: the account has no sum",
        ),
        (
            |lines| change(lines, "\"mailboxes\":4", "\"digest\":\"", "\"digest\":\"0"),
            "line 43: the sum of the account has another digest",
        ),
        (
            |lines| change(lines, "\"end\"", "\"digest\":\"", "\"digest\":\"0"),
            "line 44: the last line has another digest",
        ),
        (
            |lines| change(lines, "\"end\"", "\"messages\":32", "\"messages\":31"),
            "line 44: the last line says 31 messages, and 32 were read",
        ),
    ];
    for (change, wanted) in changes {
        let mut changed = lines.clone();
        change(&mut changed);
        let why = refusal(&packed(&changed)).expect(wanted);
        assert!(why.contains(wanted), "{why}, not {wanted}");
    }
}

#[test]
fn an_account_that_was_cut_out_of_a_tally_ends_the_run_with_66() {
    let account = Maildir::five_and_one();
    for user in ["a", "b", "c"] {
        copy(&account.source(), &account.temp().join("mail").join(user));
    }
    let location = "maildir:mail/%u";
    run(&account, &["manifest", location, "-o", "all.tally"]).exits(0);
    let mut lines = text(&fs::read(account.temp().join("all.tally")).unwrap());
    lines.retain(|line| !line.contains("\"user\":\"b\""));
    fs::write(account.temp().join("bad.tally"), packed(&lines)).unwrap();
    let ran = run(&account, &["verify", "bad.tally", location]).exits(66);
    let why = "the last line says 3 accounts, and 2 were read";
    assert!(ran.stdout.contains(why), "{ran}");
    assert!(!ran.stdout.starts_with("GO"), "{ran}");
}

#[test]
fn what_convert_leaves_is_a_tally_whose_sums_are_checked_too() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let state = account.destination().join("mailtally.state");
    let tally = format!("tally:{}", state.display());
    run(&account, &["verify", &tally, &account.target()]).exits(0);
    let lines = text(&fs::read(&state).unwrap());
    let changes: [(Change, &str); 3] = [
        (|lines| drop(lines.pop()), "says 1 message, and 0 were read"),
        (
            |lines| lines.truncate(lines.len() - 2),
            "the first line has another digest",
        ),
        (
            |lines| change(lines, "\"message\"", "\\\\Seen", "\\\\Draft"),
            "the line of INBOX has another digest",
        ),
    ];
    for (change, wanted) in changes {
        let mut changed = lines.clone();
        change(&mut changed);
        let why = refusal(&packed(&changed)).expect(wanted);
        assert!(why.contains(wanted), "{why}, not {wanted}");
    }
}

#[test]
fn a_mailbox_that_could_not_be_opened_is_marked_in_the_tally_and_not_compared() {
    let account = Maildir::five_and_one().owned_by(NOBODY);
    let location = account.location();
    let manifest = |file: &str| {
        let args = ["manifest", "--json", &location, "-o", file];
        Run::new(account.temp()).unprivileged().args(args).done()
    };
    let sent = fs::metadata(account.at(".Sent/cur")).unwrap().permissions();
    fs::set_permissions(account.at(".Sent/cur"), Permissions::from_mode(0o000)).unwrap();
    let ran = manifest("a.tally").exits(1);
    assert_eq!(ran.codes(), ["mailbox.unreadable"], "{ran}");
    fs::set_permissions(account.at(".Sent/cur"), sent).unwrap();
    for [source, destination] in [["a.tally", &location[..]], [&location, "a.tally"]] {
        let ran = run(&account, &["verify", "--json", source, destination]).exits(1);
        assert!(ran.records_of("difference").is_empty(), "{ran}");
        let said = "mailbox.unreadable when the tally was made: the mailbox was not compared";
        ran.says("tally.unread", &json!({"mailbox": "Sent", "detail": said}));
        assert_eq!(ran.summary()["verdict"], "no-go");
    }
}
