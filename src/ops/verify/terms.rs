//! On which terms two sides are compared: what one of them has no place for is no difference, and is said.

use std::collections::{BTreeMap, BTreeSet};

use super::side::About;
use crate::format::tally::{AccountPrint, MailboxPrint, MessagePrint};
use crate::report::counted;
use crate::store::Holds;

/// A link that leads to more links than this leads nowhere.
const MOST_LINKS: usize = 8;

/// What is compared.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing of its own that is compared, or not"
)]
pub struct Terms {
    /// The bytes as they are, not only the content: between two stores of one format.
    pub raw: bool,
    /// Owners and modes.
    pub access: bool,
    /// When a message came into its mailbox.
    pub saved: bool,
    /// Quota limits.
    pub quota: bool,
    /// UIDs, and what is kept with them. Not where a mailbox has none.
    pub uids: bool,
    /// GUIDs and POP3 UIDLs that are no words.
    any_ids: bool,
    /// Links among the sieve scripts are links on both sides.
    links: bool,
    /// How many keywords each side has room for.
    rooms: [usize; 2],
    /// Keywords of the mailbox at hand that one side has no room for.
    left_out: BTreeSet<String>,
}

impl Terms {
    /// Those that both sides can keep; what they cannot goes to `not`.
    pub fn between(one: &About, other: &About, not: &mut BTreeSet<String>) -> Self {
        let (a, b) = (&one.holds, &other.holds);
        let both_stores = !one.is_file && !other.is_file;
        let raw = one.format == other.format;
        let mut missing = |there: bool, what: &str, lacking: &About| {
            if !there {
                not.insert(format!("{what}: {} has no place for them", lacking.format));
            }
        };
        let lacking = |held: bool| if held { other } else { one };
        missing(
            a.saved_dates && b.saved_dates,
            "saved dates",
            lacking(a.saved_dates),
        );
        missing(
            a.quota_limits && b.quota_limits,
            "quota limits",
            lacking(a.quota_limits),
        );
        if !raw {
            not.insert("raw bytes: CRLF is read as LF between two formats".into());
        }
        if !both_stores {
            not.insert("owners and modes: a tally has none".into());
        } else if !raw {
            not.insert("owners and modes: the formats have other files".into());
        }
        Self {
            raw,
            access: raw && both_stores,
            saved: a.saved_dates && b.saved_dates,
            quota: a.quota_limits && b.quota_limits,
            uids: true,
            any_ids: a.ids_of_any_text && b.ids_of_any_text,
            links: a.links_in_root && b.links_in_root,
            rooms: [a.keywords, b.keywords],
            left_out: BTreeSet::new(),
        }
    }

    /// All that a store has a place for: what was carried there was made to fit.
    pub fn exact(holds: &Holds) -> Self {
        Self {
            raw: true,
            access: false,
            saved: holds.saved_dates,
            quota: true,
            uids: true,
            any_ids: true,
            links: true,
            rooms: [usize::MAX; 2],
            left_out: BTreeSet::new(),
        }
    }

    /// Those for one pair of mailboxes.
    pub fn within(&mut self, one: &MailboxPrint, other: &MailboxPrint, not: &mut BTreeSet<String>) {
        self.uids = !one.made_up.uids && !other.made_up.uids;
        if !self.uids {
            not.insert(
                "UIDs, GUIDs and POP3 UIDLs of mailboxes without a list of UIDs: their messages are \
                 matched by name, then by content"
                    .into(),
            );
        }
        self.left_out.clear();
        for (more, fewer, room) in [(one, other, self.rooms[1]), (other, one, self.rooms[0])] {
            if more.keywords.len() > room {
                let known = |name: &&String| fewer.keywords.binary_search(name).is_err();
                self.left_out
                    .extend(more.keywords.iter().filter(known).cloned());
            }
        }
        if !self.left_out.is_empty() {
            let keywords = counted(self.left_out.len() as u64, "keyword");
            let room = self.rooms[0].min(self.rooms[1]);
            let name = crate::format::tally::shown(&one.name);
            not.insert(format!("{keywords} of {name}: there is room for {room}"));
        }
    }

    /// The keywords of a message that are compared.
    pub fn keywords_of(&self, print: &MessagePrint) -> Vec<String> {
        let kept = print.keywords.iter();
        let kept = kept.filter(|name| !self.left_out.contains(*name));
        kept.cloned().collect()
    }

    /// True for an identity that both sides can keep.
    pub fn id_is_kept(&self, id: &str) -> bool {
        // What is shown as `\xNN` is no word either.
        self.any_ids || !(id.is_empty() || id.contains([' ', '\\']))
    }

    /// The sieve scripts, links in the root as what they name where one side has no links there.
    pub fn scripts(&self, account: &AccountPrint) -> BTreeMap<String, String> {
        let all = &account.sieve;
        if self.links {
            return all.clone();
        }
        let fitted = all.iter().filter_map(|(path, what)| {
            let in_root = !path.contains('/');
            let what = match what.strip_prefix(LINK) {
                Some(target) if in_root => named(all, target)?,
                _ => what,
            };
            Some((path.clone(), what.to_owned()))
        });
        fitted.collect()
    }
}

const LINK: &str = "-> ";

/// The script that a link names, maybe over more links.
fn named<'a>(all: &'a BTreeMap<String, String>, mut target: &'a str) -> Option<&'a str> {
    for _ in 0..MOST_LINKS {
        let levels = target.split('/').filter(|level| *level != "..");
        let path = levels.collect::<Vec<_>>().join("/");
        let what = all.get(&path)?;
        match what.strip_prefix(LINK) {
            Some(next) => target = next,
            None => return Some(what),
        }
    }
    None
}
