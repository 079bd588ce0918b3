use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Context, Found, Place, Selection, User, find, place_for};
use crate::disk::{Disk, Real};
use crate::error::{Error, Result};
use crate::format::location;

fn disk() -> Arc<dyn Disk> {
    Arc::new(Real)
}

/// A directory with accounts in it; `{}` in a location stands for it.
struct Spool {
    temp: tempfile::TempDir,
    context: Context,
}

impl Spool {
    fn with(dirs: &[&str]) -> Self {
        let spool = Self {
            temp: tempfile::tempdir().unwrap(),
            context: Context::default(),
        };
        for dir in dirs {
            fs::create_dir_all(spool.root().join(dir)).unwrap();
        }
        spool
    }

    fn root(&self) -> &Path {
        self.temp.path()
    }

    fn link(self, name: &str, target: impl AsRef<Path>) -> Self {
        symlink(target, self.root().join(name)).unwrap();
        self
    }

    /// `{}` in `passwd` stands for the root, too.
    fn people(mut self, passwd: &str) -> Self {
        let root = self.root().to_str().unwrap();
        let passwd = passwd.replace("{}", root);
        self.context = Context::new(Some(self.root().join("me")), passwd.as_bytes());
        self
    }

    fn find(&self, location: &str, selection: &Selection) -> Result<Found> {
        let location = location.replace("{}", self.root().to_str().unwrap());
        find(
            &location::parse(location)?,
            selection,
            &self.context,
            &disk(),
        )
    }

    fn all(&self, location: &str) -> Found {
        self.find(location, &Selection::default()).unwrap()
    }
}

fn names(found: &Found) -> Vec<&str> {
    let accounts = found.accounts.iter();
    accounts.map(|account| &account.user[..]).collect()
}

/// Who is refused, and why, without where a link leads and what to write instead.
fn refused(found: &Found) -> Vec<(&str, &str)> {
    let refused = found.refused.iter();
    let first = |why: &'_ str| why.find(" to ").unwrap_or(why.len());
    refused
        .map(|(who, why)| (&who[..], &why[..first(why)]))
        .collect()
}

fn masks(masks: &[&str]) -> Selection {
    Selection {
        masks: masks.iter().map(|&mask| mask.into()).collect(),
        ..Selection::default()
    }
}

fn listed(names: &[&str]) -> Selection {
    Selection {
        listed: Some(names.iter().map(|&name| name.into()).collect()),
        ..Selection::default()
    }
}

fn is_usage<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Usage { .. }))
}

#[test]
fn every_directory_that_fits_the_path_is_an_account() {
    let spool = Spool::with(&["b.org/u2", "b.org/u1", "a.org/u1/x", "empty.org"]);
    let found = spool.all("maildir:{}/%d/%n");
    assert_eq!(names(&found), ["u1@a.org", "u1@b.org", "u2@b.org"]);
    assert!(found.missing.is_empty() && found.refused.is_empty());
    let account = &found.accounts[0];
    assert_eq!(account.place.path(), spool.root().join("a.org/u1"));
    assert!(account.place.open().unwrap().dir("x").is_ok());
}

#[test]
fn text_around_variables_and_components_behind_them_must_fit() {
    let spool = Spool::with(&[
        "mail-a@b.org/Maildir",
        "mail-c@d/other",
        "post-e@f/Maildir",
        "mail-/Maildir",
    ]);
    assert_eq!(names(&spool.all("{}/mail-%n@%d/Maildir")), ["a@b.org"]);
    assert_eq!(names(&spool.all("{}/mail-%u/Maildir")), ["a@b.org"]);
    assert_eq!(names(&spool.all("{}/mail-%u")), ["a@b.org", "c@d"]);
}

#[test]
fn a_variable_that_stands_twice_must_say_the_same_twice() {
    let spool = Spool::with(&[
        "b.org/a@b.org/a",
        "b.org/a@c.org/a",
        "b.org/x@b.org/y",
        "c.org/nobody/n",
    ]);
    assert_eq!(names(&spool.all("{}/%d/%u/%n")), ["a@b.org"]);
    assert_eq!(names(&spool.all("{}/%d/%u")), ["a@b.org", "x@b.org"]);
}

#[test]
fn a_name_that_the_location_would_put_elsewhere_is_not_found() {
    let spool = Spool::with(&["a@b.org", "c"]);
    assert_eq!(names(&spool.all("{}/%n")), ["c"]);
}

#[test]
fn files_hidden_directories_lost_files_and_names_that_are_no_text_are_no_users() {
    let spool = Spool::with(&["a", ".hidden", "lost+found", "mail-.b"]);
    fs::write(spool.root().join("file"), "").unwrap();
    fs::create_dir(spool.root().join(OsStr::from_bytes(b"\xff"))).unwrap();
    assert_eq!(names(&spool.all("{}/%u")), ["a", "mail-.b"]);
    assert_eq!(names(&spool.all("{}/mail-%u")), [".b"]);
    let named = listed(&["a", ".hidden", "file"]);
    let found = spool.find("{}/%u", &named).unwrap();
    assert_eq!(names(&found), ["a"]);
    assert_eq!(found.missing, [".hidden", "file"]);
}

#[test]
fn a_link_where_users_have_their_hands_is_refused_and_one_before_is_followed() {
    let spool = Spool::with(&["real/a/Maildir", "real/b", "secret/Maildir"])
        .link("spool", "real")
        .link("real/evil", "../secret")
        .link("real/b/Maildir", "../../secret/Maildir");
    let found = spool.all("{}/spool/%u/Maildir");
    assert_eq!(names(&found), ["a"]);
    let link = "`Maildir` is a symbolic link";
    let evil = ("evil", "`evil` is a symbolic link");
    assert_eq!(refused(&found), [("b", link), evil]);
    let (_, why) = &found.refused[0];
    assert!(
        why.starts_with(&format!("{link} to ../../secret/Maildir, ")),
        "{why}"
    );
    assert!(
        why.contains("write a location that leads to the place itself"),
        "{why}"
    );
    let named = spool
        .find("{}/spool/%u/Maildir", &masks(&["evil", "b"]))
        .unwrap();
    assert_eq!(refused(&named), [("b", link), evil]);
    assert!(named.accounts.is_empty() && named.missing.is_empty());
}

#[test]
fn a_domain_that_is_a_link_is_refused_as_a_whole() {
    let spool = Spool::with(&["v/a.org/u", "secret/u"]).link("v/x.org", "../secret");
    let link = "`x.org` is a symbolic link";
    let found = spool.all("{}/v/%d/%n");
    assert_eq!(names(&found), ["u@a.org"]);
    assert_eq!(refused(&found), [("*@x.org", link)]);
    let others = spool.find("{}/v/%d/%n", &masks(&["*@a.org"])).unwrap();
    assert_eq!(refused(&others), []);
    let these = spool.find("{}/v/%d/%n", &masks(&["u*@x*"])).unwrap();
    assert_eq!(refused(&these), [("*@x.org", link)]);
}

#[test]
fn a_link_put_in_place_after_the_search_is_not_followed_either() {
    let spool = Spool::with(&["users/a", "secret"]);
    let found = spool.all("{}/users/%u");
    fs::remove_dir(spool.root().join("users/a")).unwrap();
    let spool = spool.link("users/a", "../secret");
    assert!(found.accounts[0].place.open().is_err());
    drop(spool);
}

#[test]
fn users_are_chosen_by_mask_and_by_list_and_who_is_named_must_be_there() {
    let spool = Spool::with(&["anna", "anton", "bea", "cleo"]);
    let found = spool
        .find("{}/%u", &masks(&["an*", "bea", "zoe", "y?"]))
        .unwrap();
    assert_eq!(names(&found), ["anna", "anton", "bea"]);
    assert_eq!(found.missing, ["zoe"]);
    let mut both = listed(&["cleo", "*", "cleo"]);
    both.masks = vec!["?ea".into()];
    let found = spool.find("{}/%u", &both).unwrap();
    assert_eq!(names(&found), ["bea", "cleo"]);
    assert_eq!(found.missing, ["*"], "a list holds names and no masks");
    assert!(names(&spool.find("{}/%u", &listed(&[])).unwrap()).is_empty());
}

#[test]
fn who_is_named_with_a_domain_is_found_where_the_path_has_none() {
    let spool = Spool::with(&["anna"]);
    let found = spool.find("{}/%n", &listed(&["anna@b.org"])).unwrap();
    assert_eq!(names(&found), ["anna@b.org"]);
    assert_eq!(found.accounts[0].place.path(), spool.root().join("anna"));
}

#[test]
fn no_name_in_a_list_leads_out_of_the_spool() {
    let spool = Spool::with(&["users/a", "secret"]);
    let hostile = [
        "../secret",
        "..",
        ".",
        "",
        "/etc",
        "a/../../secret",
        "a\0",
        "a@../..",
        &"x".repeat(5000),
    ];
    for location in [
        "{}/users/%u",
        "{}/users/%n",
        "{}/users/%d/%n",
        "{}/users/%n@%d",
    ] {
        let found = spool.find(location, &listed(&hostile)).unwrap();
        assert!(
            found.accounts.is_empty(),
            "{location}: {:?}",
            found.accounts
        );
        assert_eq!(found.missing.len() + found.refused.len(), hostile.len());
    }
}

#[test]
fn each_user_is_in_exactly_one_shard() {
    let users: Vec<_> = (0..50).map(|nth| format!("user{nth}")).collect();
    let spool = Spool::with(&users.iter().map(|user| &user[..]).collect::<Vec<_>>());
    let mut seen = BTreeSet::new();
    for part in 1..=4 {
        let mut selection = listed(&["user1", "nobody"]);
        selection.masks = vec!["*".into()];
        selection.shard = Some((part, 4));
        let found = spool.find("{}/%u", &selection).unwrap();
        assert!(found.accounts.len() > 3, "shard {part} is nearly empty");
        for who in found
            .accounts
            .into_iter()
            .map(|a| a.user)
            .chain(found.missing)
        {
            assert!(seen.insert(who));
        }
    }
    assert_eq!(seen.len(), 51);
    for shard in [(0, 4), (5, 4), (1, 0)] {
        let shard = Some(shard);
        assert!(is_usage(&spool.find(
            "{}/%u",
            &Selection {
                shard,
                ..Selection::default()
            }
        )));
    }
}

#[test]
fn a_location_without_a_variable_is_one_account_without_a_name() {
    let spool = Spool::with(&["store"]).link("link", "store");
    for location in ["{}/store", "sdbox:{}/link"] {
        let found = spool.all(location);
        assert_eq!(names(&found), [""]);
        assert!(found.accounts[0].place.open().is_ok());
    }
    assert!(is_usage(&spool.find("{}/store", &masks(&["a"]))));
    assert!(is_usage(&spool.find("{}/store", &listed(&[]))));
}

#[test]
fn a_tally_file_is_a_place_too() {
    let spool = Spool::with(&[]);
    fs::write(spool.root().join("x.tally"), "").unwrap();
    assert_eq!(names(&spool.all("tally:{}/x.tally")), [""]);
}

#[test]
fn a_path_that_is_not_there_is_missing_and_not_an_empty_store() {
    let spool = Spool::with(&[]);
    for (location, selection) in [
        ("{}/none", Selection::default()),
        ("{}/none/%u", Selection::default()),
        ("{}/none/%u", masks(&["a"])),
    ] {
        let found = spool.find(location, &selection);
        assert!(matches!(found, Err(Error::Missing { .. })), "{location}");
    }
    assert!(is_usage(&spool.find("{}/%d/mail", &Selection::default())));
}

#[test]
fn homes_are_ones_own_until_users_are_chosen() {
    let spool = Spool::with(&[
        "me/Maildir",
        "anna/Maildir",
        "bea",
        "sys/Maildir",
        "dan/Maildir",
    ])
    .link("eve", "anna")
    .link("bea/Maildir", "../anna/Maildir")
    .people(
        "anna:x:1000:1000:Anna:{}/anna:/bin/sh\nbea:x:1001:1001::{}/bea:\nsys:x:8:8::{}/sys:\n\
             dan:x:1002:1002::{}/x/../dan:\nanna:x:1:1::{}/bea:\nbroken\n\
             gone:x:1003:1003::{}/gone:\neve:x:1004:1004::{}/eve:\nbad:x:ten:1::{}/dan:\n",
    );
    for location in ["maildir:~/Maildir", "%h/Maildir", "maildir:%{home}/Maildir"] {
        let own = spool.all(location);
        assert_eq!(names(&own), [""]);
        assert_eq!(
            own.accounts[0].place.path(),
            spool.root().join("me/Maildir")
        );

        let everybody = spool.find(location, &masks(&["*"])).unwrap();
        assert_eq!(names(&everybody), ["anna", "eve"]);
        assert_eq!(
            refused(&everybody),
            [("bea", "`Maildir` is a symbolic link")]
        );

        let some = spool
            .find(location, &masks(&["sys", "gone", "who"]))
            .unwrap();
        assert_eq!(
            names(&some),
            ["sys"],
            "a system user is found if it is named"
        );
        assert_eq!(some.missing, ["gone", "who"]);
    }
    fs::create_dir(spool.root().join("anna/mail-anna")).unwrap();
    assert_eq!(names(&spool.all("~/mail-%u")), ["anna"]);
    assert!(is_usage(
        &Spool::with(&[]).find("~/Maildir", &Selection::default())
    ));
}

#[test]
fn a_destination_has_a_place_for_each_user_or_one_for_all_but_not_both() {
    let spool = Spool::with(&["home/a"]).people("a:x:1000:1000::{}/home/a:\n");
    let place = |location: &str, user: &str| {
        let location = location.replace("{}", spool.root().to_str().unwrap());
        place_for(&location::parse(location)?, user, &spool.context, &disk())
    };
    let path = |location, user| place(location, user).unwrap().path().to_owned();
    assert_eq!(
        path("mdbox:{}/%d/%n", "a@b.org"),
        spool.root().join("b.org/a")
    );
    assert_eq!(path("mdbox:{}/one", ""), spool.root().join("one"));
    assert_eq!(
        path("mdbox:~/mdbox", "a"),
        spool.root().join("home/a/mdbox")
    );
    assert_eq!(path("mdbox:~/mdbox", ""), spool.root().join("me/mdbox"));
    assert!(is_usage(&place("mdbox:{}/one", "a")));
    assert!(is_usage(&place("mdbox:{}/%u", "")));
    assert!(is_usage(&place("mdbox:{}/%d/%n", "a")));
    assert!(is_usage(&place("mdbox:{}/%u", "../a")));
    assert!(is_usage(&place("mdbox:~/mdbox", "unknown")));
}

#[test]
fn the_way_to_a_new_account_is_made_but_not_through_a_link() {
    let spool = Spool::with(&["dst", "secret"]).link("dst/x.org", "../secret");
    let template = spool.root().join("dst/%d/%n/mdbox");
    let template = location::parse(&template).unwrap().path;
    let place = |user| Place::of(&template, &User::named(user), &disk()).unwrap();
    for user in ["a@b.org", "c@b.org", "a@b.org"] {
        let (parent, name) = place(user).make_parent().unwrap();
        assert_eq!(name, "mdbox");
        assert!(parent.stat_if_there(&name).unwrap().is_none());
    }
    for made in ["dst/b.org", "dst/b.org/a", "dst/b.org/c"] {
        assert!(spool.root().join(made).is_dir(), "{made}");
    }
    assert!(place("a@x.org").make_parent().is_err());
    assert!(
        fs::read_dir(spool.root().join("secret"))
            .unwrap()
            .next()
            .is_none()
    );
}

proptest! {
    #[test]
    fn every_user_that_has_a_place_is_found_under_its_own_name(
        users in prop::collection::btree_set("[a-z+.-]{1,4}@[a-z.-]{1,4}", 1..8),
        location in prop::sample::select(vec!["{}/%d/%n", "{}/%u", "{}/%n@%d/x", "{}/m/%d/m-%u"]),
    ) {
        let spool = Spool::with(&[]);
        let template = location.replace("{}", spool.root().to_str().unwrap());
        let template = location::parse(template).unwrap().path;
        let mut expected = BTreeSet::new();
        for user in &users {
            let Ok(path) = template.expand(&User::named(user)) else { continue };
            let below = path.strip_prefix(spool.root()).unwrap().to_str().unwrap();
            if !below.split('/').any(|name| name.starts_with('.')) {
                fs::create_dir_all(&path).unwrap();
                expected.insert(&user[..]);
            }
        }
        fs::create_dir_all(spool.root().join("m")).unwrap();
        let found = spool.all(location);
        let found: BTreeSet<_> = names(&found).into_iter().filter(|name| *name != "m").collect();
        prop_assert_eq!(found, expected);
    }
}
