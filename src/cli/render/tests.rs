use std::cmp::Reverse;
use std::collections::BTreeMap;

use mailtally::model::MailboxName;
use mailtally::report::catalogue::{DBOX_TRUNCATED, MAILDIR_MISSING_DIR, UIDLIST_MISSING};
use mailtally::report::{Difference, Digests, Finding, MailboxLine, Place, StepLine, Users};

use super::*;

const SHOWN: Shown = Shown {
    quiet: false,
    verbose: false,
    colours: false,
    dry_run: false,
    width: 80,
};

fn user(name: &str, status: Status) -> UserLine {
    UserLine {
        mailboxes: 1,
        messages: 1,
        bytes: 1,
        ..UserLine::new(name, status)
    }
}

fn mailbox(user: &str, name: &str) -> MailboxLine {
    MailboxLine {
        user: user.into(),
        mailbox: name.into(),
        messages: 1,
        unseen: 0,
        bytes: 1,
        virtual_bytes: 1,
        uidvalidity: 1,
        uidnext: 2,
        digest: String::new(),
    }
}

fn summary(command: &'static str, exit_code: u8) -> Summary {
    let digest = "0123456789abcdef".repeat(4);
    Summary {
        command,
        verdict: if exit_code == 0 {
            Verdict::Go
        } else {
            Verdict::NoGo
        },
        users: Users {
            total: 2,
            ok: 2,
            ..Users::default()
        },
        mailboxes: 1440,
        messages: 480_231,
        bytes: 10_900_000_000,
        findings: BTreeMap::new(),
        differences: BTreeMap::new(),
        digest: Digests {
            destination: Some(digest.clone()),
            source: digest,
        },
        not_compared: Vec::new(),
        seconds: 48.2,
        exit_code,
    }
}

fn found(findings: impl IntoIterator<Item = Finding>) -> Heard {
    let mut heard = Heard::default();
    for finding in findings {
        let key = (Reverse(finding.severity()), finding.rule.code);
        let (count, kept) = heard.findings.entry(key).or_default();
        *count += 1;
        kept.push(finding);
    }
    heard
}

fn text(command: &'static str, exit_code: u8, heard: &Heard) -> String {
    show(command, &summary(command, exit_code), heard, SHOWN, None)
}

#[test]
fn no_sentence_is_wider_than_the_terminal() {
    let long = "it says one thing here, and quite another thing there, ".repeat(4);
    let heard = Heard {
        users: vec![UserLine {
            error: Some(long.clone()),
            ..user("anna", Status::Failed)
        }],
        ..found([Finding::new(&UIDLIST_MISSING, long.clone()).path("dovecot-uidlist")])
    };
    for width in [60, 80, 100] {
        let shown = Shown { width, ..SHOWN };
        let mut summary = summary("convert", 1);
        summary.not_compared.push(long.clone());
        let text = show("convert", &summary, &heard, shown, None);
        for line in text.lines().filter(|line| !line.starts_with("digest")) {
            assert!(line.chars().count() <= width, "{line}\n{text}");
        }
    }
}

/// A message file's name, as long as they come, with a space in it.
const LONG_NAME: &str = "Sent Items/cur/1680581044.M857149P505V0000000000000FD00I0000000000A1B2C3.mail.example.org,S=13618,W=13929:2,FRSTabc";

fn step(action: &str, path: &str, to: Option<&str>, lost: &[&str]) -> StepLine {
    StepLine {
        user: String::new(),
        mailbox: None,
        path: path.into(),
        action: action.into(),
        to: to.map(Into::into),
        codes: vec![
            "maildir.size-mismatch".into(),
            "maildir.vsize-mismatch".into(),
        ],
        detail: "a new index".into(),
        lost: lost.iter().map(|lost| (*lost).into()).collect(),
        told_by: None,
        done: true,
        kept: None,
    }
}

#[test]
fn a_path_that_is_wider_than_the_terminal_stands_on_a_line_of_its_own() {
    let to = format!("{LONG_NAME}d");
    let heard = Heard {
        steps: vec![step("rename", LONG_NAME, Some(&to), &[])],
        ..found([Finding::new(&UIDLIST_MISSING, "what was found").path(LONG_NAME)])
    };
    let told = text("repair", 1, &heard);
    let wide: Vec<_> = { told.lines() }
        .filter(|line| line.chars().count() > 80)
        .map(str::trim)
        .collect();
    let to = format!("-> {to}");
    assert_eq!(wide, [LONG_NAME, &to, &format!("{LONG_NAME}:")], "{told}");
}

#[test]
fn a_long_user_and_a_long_path_stand_on_lines_of_their_own() {
    let user = "somebody.with-a-long-name@mail.example.org";
    let path = &LONG_NAME[..60];
    let (mut of_user, mut dated) = (
        step("remove", path, None, &[]),
        step("set-time", path, None, &[]),
    );
    dated.told_by = Some("its name".into());
    dated.mailbox = Some("Projects/".repeat(6));
    for step in [&mut of_user, &mut dated] {
        step.user = user.into();
    }
    let heard = Heard {
        steps: vec![of_user, dated],
        ..Heard::default()
    };
    let told = text("repair", 1, &heard);
    assert!(
        told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );
    assert!(told.contains(&format!("\n    {path}\n")), "{told}");
}

#[test]
fn the_table_of_what_differs_is_as_wide_as_the_terminal() {
    let mut heard = Heard::default();
    let place = Place {
        mailbox: Some("Projects/".repeat(8)),
        uid: Some(7),
        path: None,
    };
    let difference = Difference {
        user: "anna".into(),
        place,
        code: "message.flags",
        source: serde_json::json!(["\\Seen", "\\Answered", "$Forwarded"]),
        destination: serde_json::json!([]),
    };
    let codes = BTreeMap::from([("message.flags", (9, vec![difference; 5]))]);
    heard
        .places
        .insert(("anna".into(), "Projects/".repeat(8)), codes);
    for width in [60, 80, 100] {
        let shown = Shown { width, ..SHOWN };
        let told = show("verify", &summary("verify", 1), &heard, shown, None);
        let table = told
            .lines()
            .skip_while(|line| !line.contains("what differs"));
        let table: Vec<_> = table.collect();
        assert!(table.len() > 3, "{told}");
        assert!(
            table.iter().all(|line| line.chars().count() <= width),
            "{told}"
        );
        assert!(
            table.iter().any(|line| line.contains(" message.flags ")),
            "{told}"
        );
    }
}

#[test]
fn mailboxes_stand_under_their_users_and_the_inbox_is_the_first() {
    let heard = Heard {
        users: vec![user("b", Status::Ok), user("a", Status::Ok)],
        mailboxes: vec![
            mailbox("b", "Archive"),
            mailbox("a", "Sent"),
            mailbox("b", "INBOX"),
            mailbox("a", "INBOX"),
            mailbox("a", "Archive"),
        ],
        ..Heard::default()
    };
    let text = text("inspect", 0, &heard);
    let table = text.lines().skip_while(|line| !line.contains("UIDNEXT"));
    let rows = table.skip(1).map(|line| {
        let words: Vec<_> = line.split_whitespace().take(2).collect();
        words.join(" ")
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(
        rows,
        ["a INBOX", "a Archive", "a Sent", "b INBOX", "b Archive"]
    );
}

#[test]
fn findings_of_a_kind_stand_in_the_order_of_the_mailboxes() {
    let at = |user: &str, mailbox: &str| {
        let name = MailboxName::new([mailbox]);
        let mut finding = Finding::new(&UIDLIST_MISSING, "x").mailbox(&name);
        finding.user = user.into();
        finding
    };
    let heard = found([at("b", "INBOX"), at("a", "Archive"), at("a", "INBOX")]);
    let text = text("inspect", 0, &heard);
    let rows: Vec<_> = text.lines().filter(|line| line.ends_with(": x")).collect();
    assert_eq!(
        rows,
        ["    a INBOX: x", "    a Archive: x", "    b INBOX: x"]
    );
}

#[test]
fn the_root_of_an_account_has_no_path_of_its_own() {
    let name = MailboxName::new(["INBOX"]);
    let finding = Finding::new(&MAILDIR_MISSING_DIR, "cur").mailbox(&name);
    let told = text("inspect", 0, &found([finding.path("")]));
    assert!(told.contains("    INBOX: cur\n"), "{told}");
}

#[test]
fn the_verdict_says_at_once_how_much_there_is_to_look_at() {
    let missing = || Finding::new(&UIDLIST_MISSING, "x");
    let told = text("inspect", 0, &found([missing(), missing()]));
    assert!(
        told.starts_with("SOUND, 2 warnings: 2 accounts, "),
        "{told}"
    );
    let told = text("convert", 0, &found([missing()]));
    assert!(told.starts_with("GO, 1 warning: 2 accounts, "), "{told}");
    let note = Finding::new(&MAILDIR_MISSING_DIR, "x");
    let told = text("inspect", 0, &found([note]));
    assert!(told.starts_with("SOUND: 2 accounts, "), "{told}");
}

#[test]
fn what_was_not_read_again_is_not_called_proven_again() {
    let pass = |one, other| {
        let users = vec![user("a", one), user("b", other)];
        text(
            "convert",
            0,
            &Heard {
                users,
                ..Heard::default()
            },
        )
    };
    let first = pass(Status::Verified, Status::Verified);
    assert!(
        first.contains("\n  carried and proven in 48.2 s\n"),
        "{first}"
    );
    assert!(first.contains("\n       on both sides\n"), "{first}");
    let second = pass(Status::Unchanged, Status::Unchanged);
    assert!(
        !second.contains("both sides") && !second.contains("carried"),
        "{second}"
    );
    assert!(
        second.contains("\n  unchanged since the last pass, and not read again, in"),
        "{second}"
    );
    assert!(
        second.contains("\n       as proven at the last pass\n"),
        "{second}"
    );
    let mixed = pass(Status::Unchanged, Status::Verified);
    assert!(mixed.contains("of them 1 account unchanged"), "{mixed}");
    assert!(
        mixed.contains("of unchanged accounts as proven at the last"),
        "{mixed}"
    );
    let left = UserLine {
        not_compared: vec!["the destination".into()],
        ..user("a", Status::Attention)
    };
    let kept = Heard {
        users: vec![left.clone()],
        ..found([Finding::new(&ACCOUNT_KEPT, "x")])
    };
    let kept = text("convert", 1, &kept);
    assert!(
        kept.contains("kept as an earlier pass made it, in"),
        "{kept}"
    );
    let heard = Heard {
        users: vec![left],
        ..Heard::default()
    };
    let left = text("convert", 1, &heard);
    assert!(left.contains("unchanged since the last pass, in"), "{left}");
    assert!(
        !left.contains("both sides") && !left.contains("proven in"),
        "{left}"
    );
}

#[test]
fn quiet_says_nothing_where_all_is_well_and_at_least_the_verdict_elsewhere() {
    let quiet = Shown {
        quiet: true,
        ..SHOWN
    };
    let warned = found([Finding::new(&UIDLIST_MISSING, "x")]);
    for command in [
        "inspect", "convert", "verify", "manifest", "quota", "repair",
    ] {
        let told = |exit_code| show(command, &summary(command, exit_code), &warned, quiet, None);
        assert_eq!(told(0), "");
        assert!(
            told(1).contains(": 2 accounts, 1440 mailboxes, "),
            "{command}"
        );
        assert!(!told(1).contains("warning"), "{command}: {}", told(1));
    }
}

#[test]
fn quiet_shows_steps_that_are_planned() {
    let planned = StepLine {
        done: false,
        ..step("replace", "dovecot-uidlist", None, &[])
    };
    let heard = Heard {
        steps: vec![planned, step("replace", "dovecot-keywords", None, &[])],
        ..Heard::default()
    };
    let quiet = Shown {
        quiet: true,
        dry_run: true,
        ..SHOWN
    };
    let told = show("repair", &summary("repair", 1), &heard, quiet, None);
    assert!(told.contains("replace  dovecot-uidlist"), "{told}");
    assert!(!told.contains("dovecot-keywords"), "{told}");
}

/// The verdict where these accounts came to their end, and one more failed or did not.
fn verdict_of(command: &'static str, done: &[UserLine], failed: u64) -> String {
    let lines = (0..failed).map(|nth| UserLine {
        error: Some("permission denied".into()),
        ..user(&format!("failed{nth}"), Status::Failed)
    });
    let heard = Heard {
        users: done.iter().cloned().chain(lines).collect(),
        ..Heard::default()
    };
    let mut summary = summary(command, 1);
    let total = done.len() as u64 + failed;
    summary.users = Users {
        total,
        failed,
        ..Users::default()
    };
    let text = show(command, &summary, &heard, SHOWN, None);
    text.replace("\n  ", " ").lines().next().unwrap().to_owned()
}

#[test]
fn of_accounts_that_all_failed_nothing_is_said_to_be_done() {
    for (command, nothing) in [
        (
            "convert",
            "NO-GO: 0 of 2 accounts, nothing carried in 48.2 s",
        ),
        (
            "verify",
            "NO-GO: 0 of 2 accounts, nothing compared in 48.2 s",
        ),
        (
            "inspect",
            "ATTENTION: 0 of 2 accounts, nothing read in 48.2 s",
        ),
        (
            "manifest",
            "ATTENTION: 0 of 2 accounts, nothing read in 48.2 s",
        ),
        (
            "quota",
            "ATTENTION: 0 of 2 accounts, nothing counted in 48.2 s",
        ),
        (
            "repair",
            "ATTENTION: 0 of 2 accounts, nothing repaired in 48.2 s",
        ),
    ] {
        assert_eq!(verdict_of(command, &[], 2), nothing);
        let some = verdict_of(command, &[user("a", Status::Ok)], 1);
        assert!(some.contains("1 of 2 accounts, 1440 mailboxes"), "{some}");
        assert!(!some.contains("nothing carried"), "{some}");
    }
    let some = verdict_of("convert", &[user("a", Status::Verified)], 1);
    assert!(some.ends_with("carried and proven in 48.2 s"), "{some}");
}

#[test]
fn beside_an_account_that_failed_unchanged_ones_are_not_said_to_be_carried() {
    let told = verdict_of("convert", &[user("a", Status::Unchanged)], 1);
    let as_it_was = "unchanged since the last pass, and not read again, in 48.2 s";
    assert!(told.ends_with(as_it_was), "{told}");
}

#[test]
fn what_is_lost_for_good_is_no_work_to_be_done() {
    let path = "mailboxes/INBOX/dbox-Mails/dovecot.index";
    let lost = step("replace", path, None, &["flags and keywords"]);
    let mut heard = Heard {
        steps: vec![lost],
        ..Heard::default()
    };
    let told = text("repair", 1, &heard);
    assert!(told.contains("next: nothing more is to be done"), "{told}");
    let quiet = Shown {
        quiet: true,
        ..SHOWN
    };
    let told = show("repair", &summary("repair", 1), &heard, quiet, None);
    assert!(told.ends_with("    lost: flags and keywords\n"), "{told}");
    let error = Finding::new(&DBOX_TRUNCATED, "x");
    heard.findings = found([error]).findings;
    let told = text("repair", 1, &heard);
    assert!(
        told.contains("next: look at what is listed above"),
        "{told}"
    );
}
