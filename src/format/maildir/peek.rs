//! What shows of a message without its body: its name and what the file system says.

use super::mailbox::MaildirMailbox;
use crate::disk::Stat;
use crate::format::compress::Codec;
use crate::report::Finding;
use crate::store::{Access, Claims, MailboxSource, Peek};

/// No mark of a coat is longer.
const MARK: usize = 16;

impl MaildirMailbox<'_> {
    /// The `nth` message by its name and file times. Where the name does not say the size that the file has,
    /// the first bytes tell whether it is compressed.
    pub(super) fn look_at(&self, nth: usize, scratch: &mut Vec<u8>) -> Result<Peek, Box<Finding>> {
        let Some(stat) = self.stat(nth) else {
            let opened = self.open(nth, scratch)?;
            return Ok(Peek::from(opened));
        };
        let told = self.claims(nth);
        let claims = if told.size == Some(stat.size) {
            told
        } else {
            self.claims_by_coat(nth, told, &stat)?
        };
        Ok(Peek {
            message: self.message(nth, self.listing.name(nth), &stat),
            claims,
            access: Some(Access::from(stat)),
        })
    }

    /// A plain file has the size that it has, whatever its name says.
    fn claims_by_coat(
        &self,
        nth: usize,
        told: Claims,
        stat: &Stat,
    ) -> Result<Claims, Box<Finding>> {
        let (file, _) = self.open_file(nth)?;
        let mut mark = [0; MARK];
        let read = file.read_at(0, &mut mark).unwrap_or(0);
        if Codec::of(&mark[..read]).is_some() {
            return Ok(told);
        }
        Ok(Claims {
            size: Some(stat.size),
            virtual_size: told.virtual_size.filter(|_| told.size.is_none()),
            ..Claims::default()
        })
    }

    /// What the file system says of a message that is a plain file under the name that was listed.
    pub(super) fn stat(&self, nth: usize) -> Option<Stat> {
        let slot = self.listing.slot(nth);
        if slot.link != 0 {
            return None;
        }
        self.place(slot.place)?.stat(self.listing.name(nth)).ok()
    }
}
