//! What the bodies of a mailbox show, added up: one line a mailbox instead of one a message.

use crate::digest::{Facts, LONGEST_LINE};
use crate::model::{MailboxName, Uid};
use crate::report::catalogue as rules;
use crate::report::{Finding, Rule, counted};
use crate::store::Found;

/// Counts per kind.
#[derive(Debug, Default)]
pub struct Notes([Count; 6]);

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    messages: u64,
    first: Option<Uid>,
}

const RULES: [&Rule; 6] = [
    &rules::MESSAGE_NUL,
    &rules::MESSAGE_BARE_CR,
    &rules::MESSAGE_EIGHT_BIT_HEADER,
    &rules::MESSAGE_LONG_LINE,
    &rules::MESSAGE_NO_HEADER,
    &rules::MESSAGE_MIXED_LINE_ENDS,
];

impl Notes {
    /// One message.
    pub fn add(&mut self, uid: Uid, facts: &Facts) {
        let traits = &facts.traits;
        let seen = [
            traits.nuls > 0 && traits.zeroed(facts.size).is_none(),
            traits.bare_crs > 0,
            traits.eight_bit_header,
            traits.longest_line > LONGEST_LINE,
            traits.no_header,
            traits.crlfs > 0 && traits.bare_lfs > 0,
        ];
        for (count, seen) in self.0.iter_mut().zip(seen) {
            if seen {
                count.messages += 1;
                count.first.get_or_insert(uid);
            }
        }
    }

    /// Says what was counted.
    pub fn tell(&self, name: &MailboxName, found: Found<'_>) {
        for (count, rule) in self.0.iter().zip(RULES) {
            if let Some(first) = count.first {
                let detail = format!("{}, first uid {first}", counted(count.messages, "message"));
                found(Finding::new(rule, detail).mailbox(name));
            }
        }
    }
}
