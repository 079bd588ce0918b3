//! Room on the destination's file system, before anything is written.

use super::{Job, Run, selectable};
use crate::ops::carry::CarriedMailbox;
use crate::ops::needed::Needed;
use crate::report::Finding;
use crate::report::catalogue as rules;

impl Run<'_> {
    /// Of what takes the place of an earlier copy, no more than that copy stays.
    pub(super) fn tell_space(
        &self,
        job: &Job<'_>,
        is_new: bool,
        carried: &[(usize, CarriedMailbox)],
    ) {
        let there = job.destination.nearest();
        let there = there.and_then(|dir| Ok((dir.own_stat()?.id.0, dir.space()?)));
        let Ok((device, space)) = there else {
            return;
        };
        let mailboxes = selectable(carried);
        let needed = Needed::nothing(space.block).by_account(
            self.source.account(),
            mailboxes.map(|mailbox| mailbox.messages.iter().map(|message| message.size)),
            &self.to.takes,
            &self.options.form,
        );
        if !needed.fits(&space) {
            let detail = format!("needs {}", needed.against(&space));
            self.teller
                .found(Finding::new(&rules::ACCOUNT_SPACE, detail));
        }
        if is_new {
            job.together.add(device, needed, space);
        }
    }
}
