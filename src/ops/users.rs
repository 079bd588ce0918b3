//! Which accounts a location stands for.
//!
//! ```text
//! maildir:/var/vmail/%d/%n          chosen by                    Found
//!         '---+----' '-+-'          -u MASK, -F FILE, --shard    accounts  there, in name order
//!   the administrator's '-- every                                missing   named, and not there
//!   path: links are         directory there                      refused   there, and not to be entered
//!   followed                that fits
//! ```
//!
//! From the first variable on, names are in the hands of users: they are opened one in the other and no
//! link is followed, also when root runs it. A link there makes the account refused, not read.
//!
//! What is found under a name is always where the location puts that name: a directory `a@b` does not
//! fit `%n`, and each user has one place. Hidden directories are no users where a component begins with
//! a variable, and neither is `lost+found`.

mod context;
mod listing;
mod place;
mod selection;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use context::Context;
pub use place::Place;
pub use selection::Selection;

pub use crate::format::location::User;

use crate::disk::{Dir, Disk};
use crate::error::{Error, Result};
use crate::format::location::{Location, Part, Template, Variable};
use crate::report::escape;
use listing::Listing;
use place::Sight;

/// One account that is there.
#[derive(Debug, Clone)]
pub struct FoundAccount {
    /// The name; empty where the location has no variable.
    pub user: String,
    /// Its root. Not held open: there may be more accounts than a process may have open files.
    pub place: Place,
}

/// The accounts that a location stands for.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// In name order.
    pub accounts: Vec<FoundAccount>,
    /// Users that were named and are not there, in name order.
    pub missing: Vec<String>,
    /// Users that are not entered, and why. `*@domain` stands for all users of a domain.
    pub refused: Vec<(String, String)>,
}

/// Finds the accounts of a location that `selection` chooses.
pub fn find(
    location: &Location,
    selection: &Selection,
    context: &Context,
    disk: &Arc<dyn Disk>,
) -> Result<Found> {
    selection.check()?;
    let path = &location.path;
    if path.names_users() || (path.has_home() && selection.chooses()) {
        many(path, selection, context, disk)
    } else if selection.chooses() {
        usage(
            "users are chosen, but the location stands for one account".into(),
            "write the location with a variable, for example /var/vmail/%u",
        )
    } else {
        one(path, selection, context, disk)
    }
}

/// Where a user's account belongs in a location, for a destination: it may not be there.
pub fn place_for(
    location: &Location,
    user: &str,
    context: &Context,
    disk: &Arc<dyn Disk>,
) -> Result<Place> {
    let path = &location.path;
    match (user, path.names_users()) {
        ("", false) => Place::own(path, context, disk),
        ("", true) => usage(
            "one location has a variable and stands for many accounts, the other for one".into(),
            "write both with variables, or both without",
        ),
        (_, false) if !path.has_home() => usage(
            format!(
                "user `{}` and all others would share one path",
                escape(user.as_bytes())
            ),
            "write both locations with variables, or both without",
        ),
        _ => Place::of(path, &context.user(user), disk),
    }
}

/// A location without users.
fn one(
    path: &Template,
    selection: &Selection,
    context: &Context,
    disk: &Arc<dyn Disk>,
) -> Result<Found> {
    let place = Place::own(path, context, disk)?;
    match place.open() {
        Err(error) if error.is_not_found() => return missing(&place),
        // A tally file is no directory, and who opens it will say if it should be one.
        Err(error) if error.io_kind() != Some(std::io::ErrorKind::NotADirectory) => {
            return Err(error);
        }
        _ => {}
    }
    let mut found = Found::default();
    if selection.shard_takes("") {
        let user = String::new();
        found.accounts.push(FoundAccount { user, place });
    }
    Ok(found)
}

fn missing<T>(place: &Place) -> Result<T> {
    let what = format!("{} is not there", place.path().display());
    let help = "look at the spelling of the path, and whether its file system is mounted".into();
    Err(Error::Missing { what, help })
}

/// A location with users.
fn many(
    path: &Template,
    selection: &Selection,
    context: &Context,
    disk: &Arc<dyn Disk>,
) -> Result<Found> {
    if !path.has_home() && !path.has(Variable::User) && !path.has(Variable::Username) {
        return usage(
            "the location has %d, but nothing that tells the users of a domain apart".into(),
            "add %n or %u to its path",
        );
    }
    let by_name = selection.named();
    let mut refused = BTreeSet::new();
    let mut names: BTreeSet<String> = by_name.iter().map(|name| (*name).to_owned()).collect();
    if selection.needs_listing() {
        let listed = all(path, context, disk, &mut refused)?;
        names.extend(listed.into_iter().filter(|name| selection.mask_takes(name)));
        refused.retain(|(label, _)| selection.may_take(label));
    } else if let Some(base) = Place::base_of(path, disk) {
        base.open_as_source()?;
    }
    let mut found = Found::default();
    for user in names.into_iter().filter(|name| selection.shard_takes(name)) {
        let must_be_there = by_name.contains(&user[..]);
        match look(path, &user, context, disk) {
            (Some(place), Sight::There) => found.accounts.push(FoundAccount { user, place }),
            (_, Sight::Refused(why)) => {
                refused.insert((user, why));
            }
            (_, Sight::Missing | Sight::There) if must_be_there => found.missing.push(user),
            _ => {}
        }
    }
    found.refused = refused.into_iter().collect();
    Ok(found)
}

/// Every name that the path or the password table tells.
fn all(
    path: &Template,
    context: &Context,
    disk: &Arc<dyn Disk>,
    refused: &mut BTreeSet<(String, String)>,
) -> Result<BTreeSet<String>> {
    match Place::base_of(path, disk) {
        None => Ok(context.people().map(str::to_owned).collect()),
        Some(base) => {
            let mut listing = Listing::default();
            listing.walk(&base.open_as_source()?, path.steps())?;
            *refused = listing.refused;
            Ok(listing.names)
        }
    }
}

/// Where a user's account is, and whether.
fn look(
    path: &Template,
    user: &str,
    context: &Context,
    disk: &Arc<dyn Disk>,
) -> (Option<Place>, Sight) {
    match Place::of(path, &context.user(user), disk) {
        Ok(place) if !is_hidden(path, &place) => {
            let sight = place.look();
            (Some(place), sight)
        }
        // A name that has no place in this location is not there.
        _ => (None, Sight::Missing),
    }
}

/// True if a component that begins with a variable is no user's.
fn is_hidden(path: &Template, place: &Place) -> bool {
    let mut steps = path.steps().iter().zip(place.steps());
    steps
        .any(|(step, name)| matches!(step[..], [Part::Variable(_), ..]) && listing::is_nobody(name))
}

fn usage<T>(what: String, help: &str) -> Result<T> {
    let help = help.into();
    Err(Error::Usage { what, help })
}

impl Place {
    /// Opens what a source must have: its base.
    fn open_as_source(&self) -> Result<Dir> {
        match self.open() {
            Err(error) if error.is_not_found() => missing(self),
            opened => opened,
        }
    }
}

#[cfg(test)]
mod tests;
