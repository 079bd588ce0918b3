//! What a pass would lose of what an earlier one made: that is kept, or said.

use super::{Run, selectable};
use crate::error::Result;
use crate::format::OpenOptions;
use crate::ops::carry::CarriedMailbox;
use crate::ops::loss::Pass;
use crate::ops::teller::Teller;
use crate::report::catalogue as rules;
use crate::report::{Finding, UserLine, counted};

/// Of an account that an earlier pass made, and that the source has less than.
const AS_KEPT: &str =
    "the destination: it is kept as an earlier pass left it, and was not read again";

/// Says that much is gone since the last pass: it may be the wrong source, or a part of it.
pub(super) fn tell_fewer(before: Option<(u64, u64)>, line: &UserLine, teller: &Teller<'_>) {
    let Some((mailboxes, messages)) = before else {
        return;
    };
    if line.mailboxes < mailboxes || line.messages < messages - messages / 10 {
        let detail = format!(
            "{} and {}, at the last pass {} and {}",
            counted(line.mailboxes, "mailbox"),
            counted(line.messages, "message"),
            counted(mailboxes, "mailbox"),
            counted(messages, "message")
        );
        teller.found(Finding::new(&rules::ACCOUNT_FEWER, detail));
    }
}

impl Run<'_> {
    /// True where less would take the place of what an earlier pass made, though nobody deleted the rest.
    pub(super) fn loses(&self, carried: &[(usize, CarriedMailbox)]) -> Result<bool> {
        let Some(earlier) = self.earlier.as_ref().filter(|_| !self.options.accept_loss) else {
            return Ok(false);
        };
        let form = OpenOptions::of(&self.options.form);
        let copy = (self.to.open)(earlier.dir.again()?, &form, &mut |_| ()).ok();
        let pass = Pass {
            earlier: &earlier.dir,
            copy: copy.as_deref(),
            source: self.source,
            names: &self.names,
            carried: { selectable(carried) }
                .map(|it| (it.line.mailbox.as_str(), it))
                .collect(),
            counts: &self.teller.counts(),
            is_moved: earlier.is_moved,
        };
        let Some(loss) = pass.loss()? else {
            return Ok(false);
        };
        if earlier.is_moved {
            return Err(earlier.of_another(&loss));
        }
        self.teller.found(Finding::new(&rules::ACCOUNT_KEPT, loss));
        Ok(true)
    }

    /// The account that an earlier pass made stays in its place.
    pub(super) fn kept(&self, mut line: UserLine) -> UserLine {
        line.digest.destination = self.earlier.as_ref().map(|it| it.digest.clone());
        line.not_compared.push(AS_KEPT.into());
        line
    }
}
