use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Driver, Layout, Location, Template, User, parse};
use crate::Error;

fn read(text: &str) -> Location {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What is wrong, and what may be written instead.
fn refused(text: &str) -> (String, String) {
    match parse(text) {
        Err(Error::Usage { what, help }) => (what, help),
        other => panic!("{text}: {other:?}"),
    }
}

fn path_of(text: &str, user: &str) -> PathBuf {
    expand(&read(text).path, user).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn expand(template: &Template, user: &str) -> crate::Result<PathBuf> {
    template.expand(&User {
        name: user.into(),
        home: Some("/home/me".into()),
    })
}

#[test]
fn what_an_administrator_pastes_from_doveconf_is_understood() {
    let location = read(
        "maildir:/var/vmail/%d/%n:INDEX=/fast/%u:CONTROL=/c/%u:LAYOUT=fs:DIRNAME=.mail:\
         INBOX=/var/vmail/%d/%n/inbox:ALT=/slow/%u:ATTACHMENTS=/att/%u:MAILBOXDIR=boxes:SUBSCRIPTIONS=subs:\
         UTF-8:SEPARATOR=/",
    );
    assert_eq!(location.driver, Some(Driver::Maildir));
    let keys = location.keys;
    assert_eq!(keys.layout, Some(Layout::Fs));
    assert_eq!(keys.dirname.as_deref(), Some(".mail"));
    assert_eq!(keys.mailboxdir.as_deref(), Some("boxes"));
    assert_eq!(keys.subscriptions.as_deref(), Some("subs"));
    assert_eq!((keys.utf8, keys.separator), (true, Some('/')));
    assert!(!keys.index_in_memory);
    let paths = [
        keys.inbox,
        keys.index,
        keys.control,
        keys.alt,
        keys.attachments,
    ];
    let paths = paths.map(|path| expand(&path.unwrap(), "u@d.org").unwrap());
    let expected = [
        "/var/vmail/d.org/u/inbox",
        "/fast/u@d.org",
        "/c/u@d.org",
        "/slow/u@d.org",
        "/att/u@d.org",
    ];
    assert_eq!(paths, expected.map(PathBuf::from));
}

#[test]
fn drivers_are_known_by_dovecots_names_and_a_bare_path_has_none() {
    for (text, driver) in [
        ("maildir:/m", Some(Driver::Maildir)),
        ("Maildir:/m", Some(Driver::Maildir)),
        ("sdbox:/m", Some(Driver::Sdbox)),
        ("dbox:/m", Some(Driver::Sdbox)),
        ("mdbox:m", Some(Driver::Mdbox)),
        ("cyrus:/m", Some(Driver::Cyrus)),
        ("tally:m.tally", Some(Driver::Tally)),
        ("/m", None),
        ("m/n", None),
        ("./m", None),
        ("~/m", None),
        ("%d/m", None),
        ("maildir", None),
        ("a::b", None),
    ] {
        assert_eq!(read(text).driver, driver, "{text}");
    }
}

#[test]
fn what_is_not_known_is_an_error_that_names_what_may_be_written() {
    for (text, what, help) in [
        (
            "mbox:/m",
            "`mbox` is not a format",
            "maildir, sdbox, mdbox, dbox, tally",
        ),
        ("maildir:/m:COLOUR=red", "`COLOUR`", "LAYOUT, DIRNAME"),
        ("maildir:/m:index=/i", "`index`", "INDEX"),
        (
            "maildir:/m:VOLATILEDIR=/v",
            "`VOLATILEDIR`",
            "leave VOLATILEDIR out",
        ),
        ("maildir:/m:LAYOUT=index", "LAYOUT=index", "LAYOUT=fs"),
        ("maildir:/m:LAYOUT", "needs a value", "LAYOUT=VALUE"),
        ("maildir:/m:INDEX=", "`INDEX` needs a value", "INDEX=VALUE"),
        ("maildir:/m:UTF-8=yes", "UTF-8", ":UTF-8"),
        ("maildir:/m:SEPARATOR=ab", "one character", "SEPARATOR=/"),
        ("maildir:/m:DIRNAME=a/b", "DIRNAME=a/b", "without a path"),
        (
            "maildir:/m:MAILBOXDIR=..",
            "MAILBOXDIR=..",
            "without a path",
        ),
        ("maildir:/m:INDEX=/a:INDEX=/b", "twice", "one of them"),
        ("maildir:", "names no path", "DRIVER:PATH"),
        ("maildir::/m", "names no path", "DRIVER:PATH"),
        ("", "names no path", "DRIVER:PATH"),
        ("/m/%x", "`%x`", "%u, %n, %d"),
        ("/m/%", "`%`", "%u, %n, %d"),
        ("/m/%Lu", "`%L`", "%u, %n, %d"),
        ("/m/%{user", "`%{user`", "%{user}"),
        (
            "/m/%{user | lower}",
            "`%{user | lower}`",
            "%{user | domain}",
        ),
        ("~bob/m", "`~bob/m`", "~/"),
        ("/m/%h", "the home", "%h/"),
        ("%hx", "the home", "%h/"),
        ("/m/%u/../x", "`..`", "without it"),
        ("/m:b", "`b` is not a key", "`::`"),
    ] {
        let (said, helped) = refused(text);
        assert!(said.contains(what), "{text}: {said}");
        assert!(helped.contains(help), "{text}: {helped}");
    }
}

#[test]
fn a_double_colon_is_a_colon_and_one_at_the_end_is_nothing() {
    let location = read("maildir:/m/a::b:INDEX=/i::j:");
    assert_eq!(
        location.path.expand(&User::default()).unwrap(),
        Path::new("/m/a:b")
    );
    let index = location.keys.index.unwrap();
    assert_eq!(index.expand(&User::default()).unwrap(), Path::new("/i:j"));
    assert_eq!(path_of("a::b", ""), Path::new("a:b"));
}

#[test]
fn an_index_in_memory_and_mailboxes_in_the_root_can_be_said() {
    let keys = read("sdbox:/m:INDEX=MEMORY:MAILBOXDIR=").keys;
    assert!(keys.index_in_memory && keys.index.is_none());
    assert_eq!(keys.mailboxdir.as_deref(), Some(""));
}

#[test]
fn variables_of_both_dovecots_are_filled_in() {
    for (text, path) in [
        ("/m/%u", "/m/a@b.org"),
        ("/m/%{user}", "/m/a@b.org"),
        ("/m/%d/%n", "/m/b.org/a"),
        ("/m/%{user | domain}/%{user|username}", "/m/b.org/a"),
        ("/m/%{ user|domain }/x", "/m/b.org/x"),
        ("/m/x-%n.%d-y", "/m/x-a.b.org-y"),
        ("/m/100%%/%u", "/m/100%/a@b.org"),
        ("/m/100%%", "/m/100%"),
        ("%h/Maildir", "/home/me/Maildir"),
        ("~/Maildir/", "/home/me/Maildir"),
        ("~", "/home/me"),
        ("%{home}/m/%u", "/home/me/m/a@b.org"),
        ("%u/m", "./a@b.org/m"),
        ("m/%n//./x", "m/a/x"),
        ("/%n", "/a"),
        ("/m/./x/../y", "/m/./x/../y"),
    ] {
        assert_eq!(path_of(text, "a@b.org"), Path::new(path), "{text}");
    }
    assert!(read("/m").path.is_plain());
    assert!(!read("~/m").path.is_plain());
    assert!(!read("/m/%n").path.is_plain());
}

#[test]
fn a_path_is_cut_where_the_users_part_begins() {
    for (text, base, steps) in [
        ("/m/%d/%n/Maildir", "/m/", &["d", "u", "Maildir"][..]),
        ("/m/pre-%n/x", "/m/", &["pre-u", "x"]),
        ("~/a/b", "/home/me", &["a", "b"]),
        ("/m/a", "/m/a", &[]),
        ("x%n", ".", &["xu"]),
    ] {
        let user = User {
            name: "u@d".into(),
            home: Some("/home/me".into()),
        };
        let split = read(text).path.split(&user).unwrap();
        assert_eq!(split.base, Path::new(base), "{text}");
        assert_eq!(split.steps, steps, "{text}");
    }
}

#[test]
fn no_name_of_a_user_leads_out_of_the_path() {
    let hostile = [
        "", ".", "..", "../x", "a/b", "/", "a\0b", "..@..", "@", "x@", "x@..", "x@a/b",
    ];
    for name in hostile {
        assert!(expand(&read("/m/%d/%n/x").path, name).is_err(), "{name:?}");
    }
    for name in ["", ".", "..", "../x", "a/b", "/", "a\0b"] {
        assert!(expand(&read("/m/%u/x").path, name).is_err(), "{name:?}");
    }
    assert!(expand(&read("/m/%d").path, "nodomain").is_err());
    let lost = User {
        name: "u".into(),
        home: Some("/home/../etc".into()),
    };
    assert!(read("~/m").path.expand(&lost).is_err());
    assert!(read("~/m").path.expand(&User::named("u")).is_err());
}

#[test]
fn a_path_that_is_not_utf_8_stays_what_it_is() {
    let location = parse(OsStr::from_bytes(b"sdbox:/m/\xff/%u")).unwrap();
    let path = expand(&location.path, "u").unwrap();
    assert_eq!(path.as_os_str().as_bytes(), b"/m/\xff/u");
}

/// Texts made of what means something in a location, and of anything else.
fn any_location() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "maildir", "mbox", ":", "::", "/", "%", "%u", "%n", "%d", "%h", "%{", "user", "|", "}",
        "~", ".", "..", "INDEX", "=", "LAYOUT", "fs", "UTF-8", "MEMORY", " ", "x",
    ];
    let word = prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec());
    let noise = prop::collection::vec(any::<u8>(), 0..4);
    let piece = prop_oneof![8 => word, 1 => noise];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_and_no_user_make_it_panic_or_leave_the_base(
        text in any_location(),
        name in "[a-z./@\\x00%]{0,8}",
    ) {
        let Ok(location) = parse(OsStr::from_bytes(&text)) else { return Ok(()) };
        let user = User { name, home: Some("/home/me".into()) };
        let Ok(split) = location.path.split(&user) else { return Ok(()) };
        for step in &split.steps {
            prop_assert!(!matches!(&step[..], b"" | b"." | b".."), "{:?}", split);
            prop_assert!(!step.contains(&b'/') && !step.contains(&0), "{:?}", split);
        }
        prop_assert!(location.path.expand(&user).is_ok());
    }
}
