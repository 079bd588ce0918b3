//! What the system knows about users: handed in, so that nothing here asks the environment.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use bstr::ByteSlice;

use super::User;

/// From here on user numbers belong to people, below to the system.
const FIRST_PERSON: u32 = 1000;

/// Homes: one's own, and everybody's.
#[derive(Debug, Clone, Default)]
pub struct Context {
    home: Option<PathBuf>,
    table: BTreeMap<String, Person>,
}

#[derive(Debug, Clone)]
struct Person {
    uid: u32,
    home: PathBuf,
}

impl Context {
    /// `home` is `$HOME`; `passwd` is a table as passwd(5) has it. Lines that do not fit are skipped,
    /// and of two with one name the first counts.
    pub fn new(home: Option<PathBuf>, passwd: &[u8]) -> Self {
        let mut table = BTreeMap::new();
        for (name, person) in passwd.lines().filter_map(person) {
            table.entry(name).or_insert(person);
        }
        Self { home, table }
    }

    /// A user by name, with the home that belongs to it; the empty name is whoever runs this.
    pub fn user(&self, name: &str) -> User {
        let home = match name {
            "" => self.home.clone(),
            _ => self.table.get(name).map(|person| person.home.clone()),
        };
        let name = name.into();
        User { name, home }
    }

    /// The users that are people.
    pub(super) fn people(&self) -> impl Iterator<Item = &str> {
        let people = self.table.iter();
        let people = people.filter(|(_, person)| person.uid >= FIRST_PERSON);
        people.map(|(name, _)| &name[..])
    }
}

/// `name:password:uid:gid:comment:home:shell`
fn person(line: &[u8]) -> Option<(String, Person)> {
    let fields: Vec<_> = line.split_str(":").collect();
    let [name, _, uid, _, _, home, ..] = fields[..] else {
        return None;
    };
    let uid = uid.to_str().ok()?.parse().ok()?;
    let home = OsStr::from_bytes(home).into();
    let name = name.to_str().ok().filter(|name| !name.is_empty())?;
    Some((name.into(), Person { uid, home }))
}
