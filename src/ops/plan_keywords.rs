//! Which keywords of a mailbox its destination has room for.

use bstr::BString;

use crate::model::{MailboxName, Message};
use crate::report::catalogue::MAILBOX_KEYWORDS;
use crate::report::{Finding, counted, escape};
use crate::store::{Found, MailboxSource};

/// So many of what is lost are named.
const NAMED: usize = 20;

/// The keywords that are carried: the most used ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeywordPlan {
    /// Their names, in the order of the source.
    pub names: Vec<BString>,
    /// The place of each of the source's; `None` where all keep theirs.
    places: Option<Vec<Option<u32>>>,
}

impl KeywordPlan {
    /// All of them.
    pub fn all(names: Vec<BString>) -> Self {
        let places = None;
        Self { names, places }
    }

    /// The `most` keywords of `source` that have the most messages; what is lost is said.
    pub fn of(
        source: &dyn MailboxSource,
        most: usize,
        name: &MailboxName,
        found: Found<'_>,
    ) -> Self {
        let names = &source.mailbox().keywords;
        if names.len() <= most {
            return Self::all(names.clone());
        }
        let uses = uses(source);
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by_key(|place| (std::cmp::Reverse(uses[*place]), *place));
        let (kept, rest) = order.split_at(most);
        let lost: Vec<_> = rest.iter().filter(|place| uses[**place] > 0).collect();
        if !lost.is_empty() {
            let shown = lost.iter().take(NAMED);
            let shown =
                shown.map(|place| format!("{} ({})", escape(&names[**place]), uses[**place]));
            let more = if lost.len() > NAMED { ", ..." } else { "" };
            let detail = format!(
                "room for {most}; {} with their numbers of messages: {}{more}",
                counted(lost.len() as u64, "keyword"),
                shown.collect::<Vec<_>>().join(", ")
            );
            found(Finding::new(&MAILBOX_KEYWORDS, detail).mailbox(name));
        }
        let mut places = vec![None; names.len()];
        let mut kept = kept.to_vec();
        kept.sort_unstable();
        for (new, old) in (0..).zip(&kept) {
            places[*old] = Some(new);
        }
        Self {
            names: kept.iter().map(|place| names[*place].clone()).collect(),
            places: Some(places),
        }
    }

    /// Gives the keywords of a message their new places.
    pub fn carry(&self, message: &mut Message) {
        if let Some(places) = &self.places {
            let new = |old: &u32| places.get(*old as usize).copied().flatten();
            message.keywords = message.keywords.iter().filter_map(new).collect();
        }
    }
}

/// How many messages have each keyword.
fn uses(source: &dyn MailboxSource) -> Vec<u64> {
    let mut uses = vec![0; source.mailbox().keywords.len()];
    for nth in 0..source.len() {
        for place in source.marks(nth).1 {
            if let Some(count) = uses.get_mut(place as usize) {
                *count += 1;
            }
        }
    }
    uses
}
