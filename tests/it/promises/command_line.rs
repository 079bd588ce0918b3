//! A wrong command line ends with 64, a source that is not there with 66, and both say what to do.

use crate::harness::maildir::Maildir;
use crate::harness::run::{Ran, Run};
use crate::harness::tree::{differences, tree};

fn run(account: &Maildir, args: &[&str]) -> Ran {
    let (source, target) = (account.location(), account.target());
    let args = args
        .iter()
        .map(|arg| arg.replace("SRC", &source).replace("DST", &target));
    Run::new(account.temp()).args(args).done()
}

#[test]
fn help_on_help_is_help() {
    let account = Maildir::new();
    for (args, same) in [
        (&["help", "--help"][..], &["--help"][..]),
        (&["help", "-h"], &["help"]),
        (&["help", "repair", "--help"], &["help", "repair"]),
    ] {
        let ran = run(&account, args).exits(0);
        assert!(ran.stdout.contains("Usage: mailtally"), "{ran}");
        assert_eq!(ran.stdout, run(&account, same).exits(0).stdout, "{args:?}");
    }
}

#[test]
fn a_wrong_command_line_says_what_to_write() {
    let account = Maildir::five_and_one();
    let before = tree(account.temp());
    for (args, says) in [
        (&[][..], "Usage: mailtally"),
        (&["frobnicate"], "unrecognized subcommand"),
        (&["convert"], "Usage: mailtally convert"),
        (&["convert", "SRC"], "<DESTINATION>"),
        (&["convert", "SRC", "DST", "more"], "unexpected argument"),
        (
            &["convert", "SRC", "DST", "--nope"],
            "unexpected argument '--nope'",
        ),
        (&["convert", "mbox:/x", "DST"], "help: "),
        (&["convert", "SRC:NOPE=1", "DST"], "help: "),
        (&["convert", "SRC:LAYOUT=spiral", "DST"], "help: "),
        (&["convert", "SRC:DIRNAME=x", "DST"], "help: "),
        (&["convert", "SRC:MAILBOXDIR=x", "DST"], "help: "),
        (&["convert", "SRC:ALT=/x", "DST"], "ALT of a maildir"),
        (
            &["convert", "SRC:ATTACHMENTS=/x", "DST"],
            "ATTACHMENTS of a maildir",
        ),
        (
            &["inspect", "sdbox:/x:INDEX=MEMORY"],
            "the index of an sdbox store is data",
        ),
        (&["inspect", "sdbox:/x:INBOX=/y"], "INBOX of a dbox store"),
        (
            &["convert", "SRC", "/somewhere"],
            "help: write it before the path, such as sdbox:PATH",
        ),
        (
            &["convert", "SRC", "maildir:/somewhere:DIRNAME=x"],
            "a key at the destination is not supported",
        ),
        (&["convert", "SRC", "cyrus:/somewhere"], "help: "),
        (&["convert", "SRC", "DST:LAYOUT=fs"], "help: "),
        (
            &["convert", "maildir:/var/%u", "DST"],
            "help: write both with variables",
        ),
        (
            &["convert", "SRC", "sdbox:/srv/%u"],
            "help: write both with variables",
        ),
        (
            &["convert", "SRC", "DST", "-u", "anna"],
            "help: write the location with a variable",
        ),
        (&["convert", "SRC", "DST", "--jobs", "0"], "--jobs"),
        (
            &["convert", "SRC", "DST", "--shard", "3/2"],
            "3 is not between 1 and 2",
        ),
        (
            &["convert", "SRC", "DST", "--owner", "no-such-user"],
            "there is no user no-such-user",
        ),
        (
            &["convert", "SRC", "DST", "--owner", "4000000000"],
            "write 4000000000:GROUP",
        ),
        (&["inspect"], "<LOCATION>"),
        (&["inspect", ""], "help: "),
    ] {
        let ran = run(&account, args).exits(64);
        assert!(ran.stderr.contains(says), "{args:?}: {ran}");
        assert_eq!(ran.stdout, "", "{args:?}");
    }
    assert_eq!(differences(&before, &tree(account.temp())), [""; 0]);
}

#[test]
fn errors_and_help_are_broken_at_eighty_columns_where_no_terminal_is() {
    let account = Maildir::five_and_one();
    let location = account.location();
    let deep = format!(
        "maildir:{}/{}",
        account.temp().display(),
        "deep/".repeat(30)
    );
    let owner = "nobody-of-that-name".repeat(3);
    for args in [
        &["inspect", "/dev/null"][..],
        &["inspect", "sdbox:Maildir"],
        &["inspect", &deep],
        &["convert", &location, "sdbox:Maildir/inside"],
        &["convert", &location, "somewhere"],
        &["convert", &location, "sdbox:%u"],
        &["repair", "--offline", "--dates", "sdbox:Maildir"],
        &["verify", "tally:/dev/null", &location],
        &["manifest", &location, "-o", "/dev/null"],
        &["convert", "--owner", &owner, "a", "b"],
        &[
            "inspect",
            "--no-option-of-this-program-has-such-a-name",
            "a",
        ],
        &["inspect", "--jobs", "0", "a"],
    ] {
        let run = Run::new(account.temp()).args(args).start();
        let said = run.wait_with_output().unwrap().stderr;
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("error:"), "{args:?}");
        for line in said.lines() {
            let is_one_word = !line.trim().contains(' ');
            assert!(
                line.chars().count() <= 80 || is_one_word,
                "{args:?}: {said}"
            );
        }
    }
}

#[test]
fn a_source_or_user_that_is_not_there_ends_with_66() {
    let account = Maildir::five_and_one();
    for args in [
        &["convert", "maildir:/not/there", "DST"][..],
        &["inspect", "maildir:/not/there"],
        &["inspect", "/not/there"],
        &["inspect", "maildir:/not/there/%u"],
        &["inspect", "maildir:/etc/passwd/x"],
        &["inspect", "maildir:/etc/passwd/%u"],
    ] {
        let ran = run(&account, args).exits(66);
        assert!(ran.stderr.contains("is not there"), "{args:?}: {ran}");
    }
    let index = format!("{}:INDEX=elsewhere", account.location());
    for args in [["inspect", "nowhere"], ["inspect", &index]] {
        let ran = run(&account, &args).exits(66);
        assert!(ran.stderr.contains("where is not there"), "{ran}");
        assert!(ran.stderr.contains("\nhelp: "), "{ran}");
    }
    let index = format!("{}:INDEX=/dev/null", account.location());
    for args in [
        &["inspect", "/dev/null"],
        &["inspect", "sdbox:/dev/null"],
        &["inspect", &index],
    ] {
        let ran = run(&account, args).exits(66);
        let says = "error: /dev/null is no directory and no mail store\nhelp: name the directory";
        assert!(ran.stderr.starts_with(says), "{args:?}: {ran}");
    }
    let users = format!("maildir:{}/%u", account.temp().display());
    let ran = run(&account, &["inspect", "--json", &users, "-F", "listed"]).exits(66);
    assert!(ran.stderr.contains("listed"), "{ran}");
    std::fs::write(account.temp().join("listed"), "Maildir\nnobody-here\n").unwrap();
    let ran = run(&account, &["inspect", "--json", &users, "-F", "listed"]).exits(66);
    ran.says(
        "account.missing",
        &serde_json::json!({"user": "nobody-here", "severity": "error"}),
    );
    assert_eq!(ran.summary()["messages"], 6);
}

#[test]
fn help_and_version_are_results() {
    let account = Maildir::new();
    for args in [
        &["--help"][..],
        &["convert", "--help"],
        &["inspect", "-h"],
        &["--version"],
    ] {
        let ran = run(&account, args).exits(0);
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran}");
    }
}

#[test]
fn a_store_is_told_by_what_lies_there() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    for path in [account.source(), account.destination()] {
        let ran = run(&account, &["inspect", "--json", path.to_str().unwrap()]).exits(0);
        assert_eq!(ran.user()["messages"], 6);
        assert_eq!(ran.codes(), [""; 0], "{ran}");
    }
    let ran = run(&account, &["inspect", "home"]).exits(64);
    let help = "help: name the format before the path, such as maildir:PATH";
    assert!(ran.stderr.contains(help), "{ran}");
}

#[test]
fn inspect_says_the_same_of_both_sides() {
    let account = Maildir::five_and_one().folder("A.B");
    account.convert().exits(0);
    let source = account.inspect().exits(0);
    let target = run(&account, &["inspect", "--json", "DST"]).exits(0);
    assert_eq!(source.user()["digest"], target.user()["digest"]);
    for name in ["INBOX", "Sent", "A/B"] {
        assert_eq!(source.mailbox(name), target.mailbox(name));
    }
}

#[test]
fn a_place_without_mail_is_no_empty_account() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    for (args, says) in [
        // The way round that is easily mistaken: an sdbox is no Maildir.
        (&["inspect", "maildir:made"][..], "write sdbox: in place"),
        (&["inspect", "sdbox:Maildir"], "holds no sdbox"),
        (
            &["convert", "maildir:home/%u", "sdbox:o/%u"],
            "no account is there",
        ),
    ] {
        let made = account.destination().display().to_string();
        let source = account.source().display().to_string();
        let args = args.iter().map(|arg| {
            let arg = arg.replace("maildir:made", &format!("maildir:{made}"));
            arg.replace("sdbox:Maildir", &format!("sdbox:{source}"))
        });
        std::fs::create_dir_all(account.temp().join("home")).unwrap();
        let ran = Run::new(account.temp()).args(args).done().exits(66);
        assert!(ran.stderr.contains(says), "{ran}");
    }
}

#[test]
fn a_location_that_is_no_store_of_its_format_says_what_to_write_instead() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let root = account.temp();
    for (format, path) in [
        ("mdbox", "mdbox"),
        ("maildir", "many/a"),
        ("maildir", "many/b"),
    ] {
        let target = format!("{format}:{}/{path}", root.display());
        account.convert_to(&target).done().exits(0);
    }
    std::fs::create_dir(root.join("empty")).unwrap();
    std::fs::write(root.join("file"), "x").unwrap();
    let inspect = |location: &str, code: i32, says: &str| {
        let ran = Run::new(root)
            .args(["inspect", location])
            .done()
            .exits(code);
        assert!(ran.stderr.contains("help: "), "{location}: {ran}");
        assert!(ran.stderr.contains(says), "{location}: {ran}");
    };
    for (format, path) in [
        ("maildir", "Maildir"),
        ("sdbox", "sdbox"),
        ("mdbox", "mdbox"),
    ] {
        for other in ["maildir", "sdbox", "mdbox"]
            .iter()
            .filter(|it| **it != format)
        {
            let says = format!("write {format}: in place of {other}:");
            inspect(&format!("{other}:{path}"), 66, &says);
        }
    }
    for format in ["maildir:", "sdbox:", "mdbox:"] {
        inspect(
            &format!("{format}many"),
            66,
            "write maildir:many/%u for all",
        );
        inspect(
            &format!("{format}mdbox/storage"),
            66,
            "it lies in a store: write mdbox:",
        );
        inspect(
            &format!("{format}Maildir/cur"),
            66,
            "it lies in a store: write maildir:",
        );
        inspect(
            &format!("{format}empty"),
            66,
            "the directory of the account",
        );
        inspect(&format!("{format}file"), 66, "the directory of the account");
    }
    inspect("many", 66, "write maildir:many/%u for all");
    inspect("maildir:.", 66, "write ");
    let users = Run::new(root).args(["inspect", "sdbox:many/%u"]).done();
    let told = users.exits(66).stdout.replace("\n        ", " ");
    assert_eq!(told.matches("what looks like maildir").count(), 2, "{told}");
    let says = "what looks like maildir; write maildir: in place of sdbox:";
    assert_eq!(told.matches(says).count(), 1, "{told}");
    inspect("empty", 64, "name the format before the path");
}

#[test]
fn the_help_of_accept_loss_says_what_it_does() {
    let account = Maildir::new();
    let ran = run(&account, &["repair", "--help"]).exits(0);
    let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for says in [
        "the messages of an mdbox whose storage is missing or empty",
        "those of a Maildir folder of which no file is left, or no cur/ (maildir.emptied)",
        "Maildir folders that only the server's list of mailboxes has (mailbox.gone)",
    ] {
        assert!(words.contains(says), "{ran}");
    }
}

#[test]
fn help_names_only_what_this_version_reads() {
    let account = Maildir::five_and_one();
    for (location, says) in [
        (
            "mbox:/x",
            "write one of maildir, sdbox, mdbox, dbox, tally;",
        ),
        ("maildir:/x:NOPE=1", "SUBSCRIPTIONS, UTF-8;"),
        (
            "cyrus:/x",
            "the format cyrus is not supported by this version",
        ),
        (
            "maildir:/x:SEPARATOR=/",
            "SEPARATOR is not supported by this version",
        ),
    ] {
        let ran = run(&account, &["inspect", location]).exits(64);
        assert!(ran.stderr.contains(says), "{location}: {ran}");
    }
}

#[test]
fn a_folder_of_an_account_is_refused_with_the_account_to_write_instead() {
    let account = Maildir::five_and_one();
    let (source, folder) = (account.source(), account.at(".Sent"));
    let (source, location) = (source.display(), format!("maildir:{}", folder.display()));
    run(&account, &["inspect", &location]).exits(0); // It may be an account: nothing says what it is.
    let refused = |account: &Maildir| {
        let bare = folder.to_str().unwrap();
        for args in [
            &["inspect", &*location][..],
            &["inspect", bare],
            &["convert", &*location, "sdbox:copy"],
            &["repair", "--offline", &*location],
        ] {
            let ran = run(account, args).exits(66);
            let told = ran.stderr.replace("\n  ", " ");
            let says = format!("write maildir:{source} for all of the account");
            assert!(told.contains(&says), "{args:?}: {ran}");
        }
    };
    let account = account.side("Sent", "maildirfolder", "");
    refused(&account);
    refused(&account.without(".Sent/maildirfolder").folder("Drafts"));
}

#[test]
fn with_layout_fs_a_folder_of_an_account_is_refused_with_the_account_to_write_instead() {
    let account = Maildir::five_and_one().put("Archive/2024/cur/1.M1P1.host:2,S", "a");
    let source = account.source().display().to_string();
    for folder in ["Archive", "Archive/2024"] {
        let location = format!("maildir:{source}/{folder}:LAYOUT=fs");
        run(&account, &["inspect", &location]).exits(0); // No server says that the account is one.
    }
    let account = account.put("dovecot.mailbox.log", "");
    for folder in ["Archive", "Archive/2024"] {
        let location = format!("maildir:{source}/{folder}:LAYOUT=fs");
        for command in [&["inspect"][..], &["repair", "--offline"]] {
            let ran = run(&account, &[command, &[&*location]].concat()).exits(66);
            let told = ran.stderr.replace("\n  ", " ");
            let says = format!("write maildir:{source}:LAYOUT=fs for all of the account");
            assert!(told.contains(&says), "{folder}: {ran}");
        }
        assert!(!account.at(folder).join("tmp").exists(), "{folder}");
    }
    let inner = format!("maildir:{source}/Archive:LAYOUT=fs");
    let account = account.put("Archive/subscriptions", "");
    run(&account, &["inspect", &inner]).exits(0);
    let whole = format!("maildir:{source}:LAYOUT=fs");
    run(&account, &["inspect", &whole]).exits(0);
}

#[test]
fn an_account_whose_name_begins_with_a_dot_is_an_account() {
    let account = Maildir::five_and_one();
    let hidden = account.temp().join(".hidden");
    std::fs::rename(account.source(), &hidden).unwrap();
    std::fs::create_dir_all(account.temp().join(".other/cur")).unwrap();
    let location = format!("maildir:{}", hidden.display());
    run(&account, &["inspect", &location]).exits(0);
}

#[test]
fn an_account_behind_a_link_is_refused_with_what_to_write_instead() {
    let account = Maildir::five_and_one();
    std::os::unix::fs::symlink("../Maildir", account.temp().join("home/anna")).unwrap();
    let users = format!("maildir:{}/home/%u", account.temp().display());
    let ran = run(&account, &["inspect", "--json", &users]).exits(1);
    let error = ran.user()["error"].as_str().unwrap();
    assert!(
        error.contains("to ../Maildir, which the user may have made"),
        "{ran}"
    );
    assert!(
        error.contains("write a location that leads to the place"),
        "{ran}"
    );
    // Named as one account, the path is the administrator's own, links and all.
    let ran = run(&account, &["inspect", "--json", "maildir:~/anna"]).exits(0);
    assert_eq!(ran.user()["messages"], 6);
}

#[test]
fn complaints_that_do_not_arrive_change_no_exit_code() {
    let account = Maildir::five_and_one();
    let location = account.location();
    for (args, code) in [
        (&["inspect", "/not/there"][..], 66),
        (&["inspect", "--no-option"], 64),
        (&["inspect", "-v", &location], 0),
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_mailtally"));
        run.args(args)
            .env_clear()
            .stdout(std::process::Stdio::null());
        let status = run.stderr(full.unwrap()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn results_that_do_not_arrive_are_an_error() {
    let account = Maildir::five_and_one();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_mailtally"));
    run.args(["inspect", &account.location()]).env_clear();
    let status = run.stdout(full.unwrap()).status().unwrap();
    assert_eq!(status.code(), Some(74));
}

#[test]
fn a_file_in_place_of_a_directory_of_a_dbox_is_no_matter_of_a_destination() {
    for (format, part) in [
        ("sdbox", "mailboxes"),
        ("mdbox", "mailboxes"),
        ("mdbox", "storage"),
    ] {
        let account = Maildir::five_and_one();
        let target = format!("{format}:dbox");
        account.convert_to(&target).done().exits(0);
        let path = account.temp().join("dbox").join(part);
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        let ran = run(&account, &["inspect", &target]).exits(66);
        let says = format!("error: dbox/{part} is no directory: ");
        assert!(ran.stderr.starts_with(&says), "{ran}");
    }
}

#[test]
fn a_line_of_the_log_is_no_wider_than_other_text() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let state = account.destination().join("mailtally.state");
    let text = zstd::decode_all(&std::fs::read(&state).unwrap()[..]).unwrap();
    let text = String::from_utf8(text).unwrap();
    let cut = text.rfind(r#"{"type":"message""#).unwrap() + 60;
    let cut = format!("{}\n", &text[..cut]);
    std::fs::write(&state, zstd::encode_all(cut.as_bytes(), 3).unwrap()).unwrap();
    let run = Run::new(account.temp()).args(["inspect", &account.target()]);
    let said = run.start().wait_with_output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(said.lines().all(|line| line.len() <= 80), "{said}");
}
