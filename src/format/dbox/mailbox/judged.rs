//! What is wrong with a message, told by what its metadata says and by what its bytes add up to.

use std::fmt;
use std::io;

use super::super::{Key, StoredMessage, Wound};
use super::DboxMailbox;
use crate::digest::Facts;
use crate::model::Message;
use crate::report::catalogue::{
    DBOX_DAMAGED, DBOX_ENCRYPTED, DBOX_HEADER, DBOX_METADATA, DBOX_SIZE, DBOX_UNREADABLE,
};
use crate::report::{Finding, counted};
use crate::store::{Claims, Found};

impl DboxMailbox {
    /// What the metadata says of sizes against the bytes of the message.
    pub fn judge(
        &self,
        nth: usize,
        file: &dyn fmt::Display,
        message: &Message,
        claims: Claims,
        facts: &Facts,
        found: Found<'_>,
    ) {
        if message.sealed.is_some() {
            found(*self.finding(&DBOX_ENCRYPTED, nth, file, "ciphertext"));
            return;
        }
        let traits = &facts.traits;
        let told = [claims.size, claims.virtual_size].into_iter();
        let is_as_told = { told }
            .zip([facts.size, facts.virtual_size])
            .all(|(told, real)| told.is_none_or(|told| told == real));
        // Of a few NULs only the sizes tell whether they came with the message.
        let few = || (traits.nuls > 0 && !is_as_told).then_some(traits.nul_row);
        if let Some(row) = traits.zeroed(facts.size).or_else(few) {
            found(*self.zeroed(nth, file, row));
        }
        for (key, told, real) in [
            ("size", claims.size, facts.size),
            ("virtual size", claims.virtual_size, facts.virtual_size),
        ] {
            if let Some(told) = told.filter(|told| *told != real) {
                let detail = format!("the metadata says {key} {told}, it is {real}");
                found(*self.finding(&DBOX_SIZE, nth, file, detail));
            }
        }
    }

    /// The finding for a body that broke off.
    pub fn broken(
        &self,
        nth: usize,
        file: &dyn fmt::Display,
        error: &io::Error,
        recovered: u64,
    ) -> Finding {
        let rule = match Wound::of(error) {
            Some(wound) => wound.rule,
            None if error.kind() == io::ErrorKind::InvalidData => &DBOX_DAMAGED,
            None => &DBOX_UNREADABLE,
        };
        let detail = format!("{error}; {recovered} bytes could be read");
        *self.finding(rule, nth, file, detail)
    }

    /// Where what stands around a message is damaged, NULs in it are most likely of the same damage; and where
    /// its header is, only the metadata tells whether it begins where it was found.
    pub fn judge_broken(
        &self,
        nth: usize,
        file: &dyn fmt::Display,
        (message, claims): (&Message, Claims),
        error: &io::Error,
        facts: &Facts,
        found: Found<'_>,
    ) {
        let rule = Wound::of(error).map(|wound| wound.rule);
        let is_around = rule == Some(&DBOX_METADATA) || rule == Some(&DBOX_HEADER);
        let told = claims.virtual_size.filter(|_| message.sealed.is_none());
        if is_around && facts.traits.nuls > 0 {
            found(*self.zeroed(nth, file, facts.traits.nul_row));
        } else if rule == Some(&DBOX_HEADER)
            && let Some(told) = told.filter(|told| *told != facts.virtual_size)
        {
            let real = facts.virtual_size;
            let detail =
                format!("at its beginning: the metadata says virtual size {told}, it is {real}");
            found(*self.finding(&DBOX_DAMAGED, nth, file, detail));
        }
    }

    fn zeroed(
        &self,
        nth: usize,
        file: &dyn fmt::Display,
        (from, nuls): (u64, u64),
    ) -> Box<Finding> {
        let detail = format!("{} from byte {from} on", counted(nuls, "NUL"));
        self.finding(&DBOX_DAMAGED, nth, file, detail)
    }

    /// What metadata says of sizes.
    pub fn claims(stored: &StoredMessage<'_>) -> Claims {
        Claims {
            size: stored.metadata.hex(Key::PlainSize),
            virtual_size: stored.metadata.hex(Key::VirtualSize),
            ..Claims::default()
        }
    }
}
