//! From locations on the command line to open accounts.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::BString;
use mailtally::disk::{Dir, Disk, Owner, Real};
use mailtally::error::At;
use mailtally::format::location::{Driver, Keys, Layout, Location, Template};
use mailtally::format::{self, Elsewhere, OpenOptions, Room};
use mailtally::ops::users::{self, Found, FoundAccount, Place, Selection};
use mailtally::report::escape;
use mailtally::{Error, Result};

use super::global::Global;
use super::lies;

/// What of this machine a location can mean.
pub struct Context {
    /// Seconds since 1970.
    pub now: i64,
    /// Homes, for locations that name them.
    pub homes: users::Context,
}

impl Context {
    /// This machine, now.
    pub fn here() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            now: now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX)),
            homes: users::Context::new(
                std::env::var_os("HOME").map(PathBuf::from),
                &fs::read("/etc/passwd").unwrap_or_default(),
            ),
        }
    }

    /// The time as stores write it.
    pub fn now_u32(&self) -> u32 {
        u32::try_from(self.now).unwrap_or(u32::MAX).max(1)
    }
}

/// Finds the accounts that a location and the options choose.
pub fn find(location: &Location, global: &Global, context: &Context) -> Result<Found> {
    if let Some(driver) = location.driver {
        supported(room_of(driver)?, &location.keys)?;
    }
    let selection = selection(global)?;
    let found = users::find(location, &selection, &context.homes, &real());
    let found =
        found.map_err(|error| no_directory(error, "name a directory before the variable"))?;
    let nobody = found.accounts.is_empty() && found.missing.is_empty() && found.refused.is_empty();
    if nobody && global.shard.is_none() {
        return Err(Error::Missing {
            what: "no account is there that the location and the options choose".into(),
            help: "look at the spelling of the path, and at -u, -F and --shard".into(),
        });
    }
    Ok(found)
}

/// Which users the options choose.
pub fn selection(global: &Global) -> Result<Selection> {
    let listed = match &global.user_file {
        Some(file) => Some(listed(file)?),
        None => None,
    };
    Ok(Selection {
        masks: global.users.clone(),
        listed,
        shard: global.shard,
    })
}

fn real() -> Arc<dyn Disk> {
    Arc::new(Real)
}

fn listed(file: &Path) -> Result<Vec<String>> {
    let text = fs::read(file).at("read the list of users", file)?;
    Ok(Selection::names_in(&text))
}

fn not_yet(what: &str) -> Error {
    Error::Usage {
        what: format!("{what} is not supported by this version"),
        help: format!(
            "this version reads and writes {}; the README lists the keys",
            names()
        ),
    }
}

fn names() -> String {
    let names: Vec<_> = format::ROOMS.iter().map(|room| room.name).collect();
    match names.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => names.concat(),
    }
}

fn room_of(driver: Driver) -> Result<&'static Room> {
    if driver == Driver::Tally {
        return Err(Error::Usage {
            what: "a tally holds the fingerprints of mail, and no mail".into(),
            help:
                "name the store itself here; a tally is for `mailtally verify tally:FILE LOCATION`"
                    .into(),
        });
    }
    format::room(driver.name()).ok_or_else(|| not_yet(&format!("the format {}", driver.name())))
}

/// The format to write.
pub fn destination_room(location: &Location) -> Result<&'static Room> {
    let driver = location.driver.ok_or_else(|| Error::Usage {
        what: "the destination names no format".into(),
        help: "write it before the path, such as sdbox:PATH".into(),
    })?;
    let keys = &location.keys;
    let plain = Keys {
        layout: keys.layout.filter(|_| driver != Driver::Maildir),
        ..keys.clone()
    } == Keys::default();
    let room = room_of(driver)?;
    if room.create.is_none() {
        return Err(not_yet(&format!("writing {}", room.name)));
    }
    if !plain {
        return Err(not_yet("a key at the destination"));
    }
    Ok(room)
}

/// The format of an account, and what its location says beside the path.
pub fn open_options(
    location: &Location,
    account: &FoundAccount,
    root: &Dir,
    context: &Context,
) -> Result<(&'static Room, OpenOptions)> {
    let room = match location.driver {
        Some(driver) => room_of(driver)?,
        None => detected(root)?,
    };
    let keys = &location.keys;
    supported(room, keys)?;
    lies::refuse_other(root, room, keys)?;
    let at = |template: &Option<Template>| match template {
        Some(template) => {
            let user = context.homes.user(&account.user);
            let place = Place::of(template, &user, &real())?;
            let help = "name the directory that is meant";
            let opened = place.open().map(Some);
            opened.map_err(|error| {
                if error.is_not_found() {
                    not_there(place.path(), help)
                } else {
                    no_directory(error, help)
                }
            })
        }
        None => Ok(None),
    };
    let elsewhere = |template: &Option<Template>| {
        Ok::<_, Error>(match at(template) {
            Ok(None) => Elsewhere::NotNamed,
            Ok(Some(dir)) => Elsewhere::At(dir),
            Err(Error::Usage { what, help }) => return Err(Error::Usage { what, help }),
            Err(error) => Elsewhere::Gone(error.chain()),
        })
    };
    let fs_layout = keys.layout == Some(Layout::Fs);
    let options = OpenOptions {
        fs_layout,
        dirname: keys.dirname.clone(),
        inbox: at(&keys.inbox)?,
        control: at(&keys.control)?,
        index: at(&keys.index)?,
        alt: elsewhere(&keys.alt)?,
        attachments: elsewhere(&keys.attachments)?,
        no_index: keys.index_in_memory,
        mailboxdir: keys.mailboxdir.clone(),
        subscriptions: keys.subscriptions.clone(),
        utf8: keys.utf8,
        now: context.now,
        ..OpenOptions::default()
    };
    Ok((room, options))
}

/// The directory of a file that is named beside the location, and its name there.
pub fn named_file(
    path: &Template,
    account: &FoundAccount,
    context: &Context,
) -> Result<Option<(Dir, BString)>> {
    let user = context.homes.user(&account.user);
    Place::of(path, &user, &real())?.parent_if_there()
}

/// Keys that a format does not read yet are refused, not skipped.
fn supported(room: &Room, keys: &Keys) -> Result<()> {
    let dbox = matches!(room.name, "sdbox" | "mdbox");
    if dbox && keys.index_in_memory {
        return Err(Error::Usage {
            what: format!(
                "INDEX=MEMORY cannot be: the index of an {} store is data",
                room.name
            ),
            help: "leave it out, or name the directory that holds the indexes".into(),
        });
    }
    for (named, key) in [
        (keys.separator.is_some(), "SEPARATOR"),
        (dbox && keys.inbox.is_some(), "INBOX of a dbox store"),
        (!dbox && keys.alt.is_some(), "ALT of a maildir"),
        (
            !dbox && keys.attachments.is_some(),
            "ATTACHMENTS of a maildir",
        ),
        (
            !dbox && keys.mailboxdir.is_some(),
            "MAILBOXDIR of a maildir",
        ),
        (
            !dbox && keys.dirname.is_some() && keys.layout != Some(Layout::Fs),
            "DIRNAME without LAYOUT=fs",
        ),
    ] {
        if named {
            return Err(not_yet(key));
        }
    }
    Ok(())
}

fn detected(root: &Dir) -> Result<&'static Room> {
    match format::detect(root)[..] {
        [room] => Ok(room),
        [] => Err(Error::Usage {
            what: format!("no known mail store lies in {}", root.path().display()),
            help: lies::near(root)
                .unwrap_or_else(|| "name the format before the path, such as maildir:PATH".into()),
        }),
        ref several => {
            let names: Vec<_> = several.iter().map(|room| room.name).collect();
            Err(Error::Usage {
                what: format!("{} could be {}", root.path().display(), names.join(" or ")),
                help: format!("name the format before the path, such as {}:PATH", names[0]),
            })
        }
    }
}

/// Opens the root of an account that is a mail store.
pub fn open(place: &Place) -> Result<Dir> {
    let help = "name the directory of the account; a tally file is for verify: tally:FILE";
    place.open().map_err(|error| no_directory(error, help))
}

fn not_there(path: &Path, help: &str) -> Error {
    Error::Missing {
        what: format!(
            "{} is not there",
            escape(path.as_os_str().as_encoded_bytes())
        ),
        help: help.into(),
    }
}

/// What is to be read and is no directory is not there.
fn no_directory(error: Error, help: &str) -> Error {
    let Error::Io { path, source, .. } = &error else {
        return error;
    };
    if source.kind() != ErrorKind::NotADirectory {
        return error;
    }
    let shown = escape(path.as_os_str().as_encoded_bytes());
    let (what, help) = if path.is_file() {
        (format!("{shown} is a file and no mail store"), help)
    } else if path.exists() {
        (format!("{shown} is no directory and no mail store"), help)
    } else {
        let what = format!("{shown} is not there: a part of this path is no directory");
        (what, "name another path")
    };
    Error::Missing {
        what,
        help: help.into(),
    }
}

/// Many accounts go to many places, and one to one.
pub fn pair(source: &Location, destination: &Location) -> Result<()> {
    let (one, other) = (&source.path, &destination.path);
    let mismatched = |many: &Template, single: &Template| {
        many.names_users() && !single.names_users() && !single.has_home()
    };
    if mismatched(one, other) || mismatched(other, one) {
        return Err(Error::Usage {
            what: "one location has a variable and stands for many accounts, the other for one"
                .into(),
            help: "write both with variables, or both without".into(),
        });
    }
    Ok(())
}

/// Where the destination of a user is to be.
pub fn destination_for(location: &Location, user: &str, context: &Context) -> Result<Place> {
    users::place_for(location, user, &context.homes, &real())
}

/// A destination inside its source, or the other way round, is refused.
pub fn apart(source: &Path, destination: &Path) -> Result<()> {
    let real = |path: &Path| path.canonicalize();
    let Ok(source) = real(source) else {
        return Ok(());
    };
    let parent = destination.parent().unwrap_or(Path::new("."));
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let nearest = parent.ancestors().find_map(|above| {
        let rest = parent.strip_prefix(above).ok()?;
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        Some(real(above).ok()?.join(rest))
    });
    let Some(destination) = nearest
        .zip(destination.file_name())
        .map(|(dir, name)| dir.join(name))
    else {
        return Ok(());
    };
    if destination.starts_with(&source) || source.starts_with(&destination) {
        return Err(Error::Usage {
            what: format!(
                "{} and {} lie in one another",
                source.display(),
                destination.display()
            ),
            help: "name a destination beside the source".into(),
        });
    }
    Ok(())
}

/// `USER`, `USER:GROUP`, by name or number.
pub fn owner(text: &str) -> Result<Owner, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let uid = number_of(user, &passwd).ok_or_else(|| format!("there is no user {user}"))?;
    let gid = match group {
        Some(group) => {
            number_of(group, &groups).ok_or_else(|| format!("there is no group {group}"))?
        }
        None => field_of(&passwd, 2, &uid.to_string(), 3)
            .ok_or_else(|| format!("{user} is no user of this machine: write {user}:GROUP"))?,
    };
    Ok(Owner { uid, gid })
}

fn number_of(name: &str, table: &str) -> Option<u32> {
    name.parse().ok().or_else(|| field_of(table, 0, name, 2))
}

/// The number in one column of the line that has `value` in another.
fn field_of(table: &str, key: usize, value: &str, column: usize) -> Option<u32> {
    let rows = table
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let mut rows = rows.filter(|row| row.get(key) == Some(&value));
    rows.next()?.get(column)?.parse().ok()
}
