//! What is compared: the accounts of a location, or a tally of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::vec;

use mailtally::format::location::{self, Driver, Keys, Location};
use mailtally::format::tally::Reader;
use mailtally::ops::users::{Found, FoundAccount, Selection};
use mailtally::ops::verify::{Party, StoreAt, Tally};
use mailtally::{Error, Result};

use super::global::Global;
use super::stores::{self, Context};

/// One of two things that are compared.
pub enum Named {
    /// Stores, found.
    Stores(Box<Location>, Found),
    /// A tally, open.
    Tally(Box<Tally>),
}

impl Named {
    /// What an argument names.
    pub fn open(text: &str, global: &Global, context: &Context) -> Result<Self> {
        let location = location::parse(text)?;
        if is_tally(&location, context)? {
            return open_tally(&location, context).map(|tally| Self::Tally(Box::new(tally)));
        }
        let found = stores::find(&location, global, context)?;
        Ok(Self::Stores(Box::new(location), found))
    }
}

/// By its driver, or because a file lies there.
fn is_tally(location: &Location, context: &Context) -> Result<bool> {
    let tally = location.driver == Some(Driver::Tally);
    if location.path.names_users() && tally {
        return Err(Error::Usage {
            what: "a tally holds many accounts in one file".into(),
            help: "name the file without a variable, such as tally:all.tally".into(),
        });
    }
    if location.path.names_users() {
        return Ok(false);
    }
    match location.driver {
        Some(driver) => Ok(driver == Driver::Tally),
        None => Ok(place(location, context)?.is_file()),
    }
}

fn place(location: &Location, context: &Context) -> Result<PathBuf> {
    let place = stores::destination_for(location, "", context)?;
    Ok(place.path().to_owned())
}

fn open_tally(location: &Location, context: &Context) -> Result<Tally> {
    if location.keys != Keys::default() {
        return Err(Error::Usage {
            what: "a tally has no keys".into(),
            help: "write the path alone, such as tally:all.tally".into(),
        });
    }
    let place = stores::destination_for(location, "", context)?;
    let missing = || Error::Missing {
        what: format!("{} is not there", place.path().display()),
        help: "look at the spelling of the path".into(),
    };
    let (dir, name) = place.parent_if_there()?.ok_or_else(missing)?;
    let reader = match Reader::open(&dir, &name) {
        Err(error) if error.is_not_found() => return Err(missing()),
        opened => opened?,
    };
    Tally::new(reader)
}

/// The accounts of one party, one after the other, in name order.
pub enum Lane<'a> {
    /// Of stores.
    Stores(
        &'a Location,
        std::iter::Peekable<vec::IntoIter<FoundAccount>>,
    ),
    /// Of a tally, as far as they are chosen.
    Tally(&'a mut Tally, &'a Selection),
}

impl<'a> Lane<'a> {
    /// Before the first account.
    pub fn new(party: &'a mut Named, selection: &'a Selection) -> Self {
        match party {
            Named::Stores(location, found) => {
                let accounts = std::mem::take(&mut found.accounts);
                Self::Stores(location, accounts.into_iter().peekable())
            }
            Named::Tally(tally) => Self::Tally(tally, selection),
        }
    }

    /// Who is next.
    pub fn ahead(&mut self) -> Result<Option<String>> {
        match self {
            Self::Stores(_, accounts) => Ok(accounts.peek().map(|account| account.user.clone())),
            Self::Tally(tally, selection) => loop {
                match tally.next_user()? {
                    Some(user) if !user.is_empty() && !selection.takes(&user) => tally.pass()?,
                    user => return Ok(user),
                }
            },
        }
    }

    /// Leaves that account out. Where its store cannot even be opened, why.
    pub fn pass(&mut self, context: &Context) -> Result<Option<Error>> {
        match self {
            Self::Stores(location, accounts) => {
                let account = accounts.next();
                Ok(account.and_then(|account| broken(location, &account, context)))
            }
            Self::Tally(tally, _) => tally.pass().map(|()| None),
        }
    }

    /// Goes on behind this account, also where it could not be opened.
    pub fn leave(&mut self, user: &str) -> Result<()> {
        match self {
            Self::Stores(..) => Ok(()),
            Self::Tally(tally, _) => match tally.next_user()? {
                Some(next) if next == user => tally.pass(),
                _ => Ok(()),
            },
        }
    }

    /// Opens that account.
    pub fn open(&mut self, context: &Context) -> Result<Party<'_>> {
        match self {
            Self::Stores(location, accounts) => {
                let account = accounts.next();
                let account = account.ok_or_else(|| Error::Bug("no account is ahead".into()))?;
                store(location, &account, context)
            }
            Self::Tally(tally, _) => Ok(Party::Tally(tally)),
        }
    }
}

/// The store of an account.
pub fn store(
    location: &Location,
    account: &FoundAccount,
    context: &Context,
) -> Result<Party<'static>> {
    at(location, account, context).map(|store| Party::Store(Box::new(store)))
}

/// The same, as it is.
pub fn at(location: &Location, account: &FoundAccount, context: &Context) -> Result<StoreAt> {
    let root = stores::open(&account.place)?;
    let (room, open) = stores::open_options(location, account, &root, context)?;
    Ok(StoreAt { room, root, open })
}

/// Why a store cannot be opened, where it cannot.
pub fn broken(location: &Location, account: &FoundAccount, context: &Context) -> Option<Error> {
    let opened = at(location, account, context);
    let opened = opened.and_then(|at| (at.room.open)(at.root, &at.open, &mut |_| ()));
    opened.err()
}

/// Accounts of both sides, and the users that are on one side only: the source's, the destination's.
pub struct Paired {
    /// Those to be compared: accounts of the source, and of the destination in the same order.
    pub found: Found,
    /// The destination's, in the same order.
    pub there: Vec<FoundAccount>,
    /// Only at the source, only at the destination.
    pub alone: [Vec<FoundAccount>; 2],
}

/// Pairs the accounts of two locations by user.
pub fn pair(one: Found, other: Found) -> Paired {
    let users = |found: &Found| -> BTreeSet<String> {
        found
            .accounts
            .iter()
            .map(|account| account.user.clone())
            .collect()
    };
    let (here, there) = (users(&one), users(&other));
    let refused: Vec<_> = { one.refused.iter().chain(&other.refused).cloned() }.collect();
    let is_refused = |user: &&String| refused.iter().any(|(name, _)| name == *user);
    let only = |one: &Found, other: &BTreeSet<String>| -> Vec<FoundAccount> {
        let is_alone = |user: &String| !other.contains(user) && !is_refused(&user);
        let only = { one.accounts.iter() }.filter(|account| is_alone(&account.user));
        only.cloned().collect()
    };
    let alone = [only(&one, &there), only(&other, &here)];
    let missing = one.missing.into_iter();
    let missing = missing
        .filter(|user| other.missing.contains(user))
        .collect();
    let both = |accounts: Vec<FoundAccount>, others: &BTreeSet<String>| -> Vec<FoundAccount> {
        let accounts = accounts.into_iter();
        accounts
            .filter(|account| others.contains(&account.user))
            .collect()
    };
    Paired {
        there: both(other.accounts, &here),
        found: Found {
            accounts: both(one.accounts, &there),
            missing,
            refused,
        },
        alone,
    }
}
