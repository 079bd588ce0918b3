//! Message files that no index knows: they get a mailbox of their own, where that is asked for.

use std::rc::Rc;

use super::super::layout::file_name;
use super::{INDEX, MailboxIndex, Repair, own};
use crate::disk::Dir;
use crate::disk::plan::{About, Act, Path};
use crate::error::Result;
use crate::format::dbox::{Extent, FoundMessage, MESSAGE_HEADER, found_message};
use crate::format::dovecot_index::Generation;
use crate::model::{Mailbox, Message, Uid};
use crate::report::catalogue::DBOX_ORPHAN;
use crate::report::counted;

impl Repair<'_> {
    /// Moves all orphans into a new mailbox.
    pub(super) fn take_in_orphans(&mut self) -> Result<()> {
        if !self.options.recover_orphans {
            return Ok(());
        }
        let mut found = Vec::new();
        for (nth, uid) in std::mem::take(&mut self.orphans) {
            found.extend(self.orphan(nth, uid)?);
        }
        if found.is_empty() {
            return Ok(());
        }
        let tree = Rc::clone(&self.tree);
        let mailbox = self.identities.recovered(self.root, &tree, found.len());
        let name = mailbox.name.to_string();
        let (mailboxes, mails) = tree.places.names();
        let at = |more: &[&str]| -> Path {
            let names = [mailboxes, &name, mails]
                .into_iter()
                .chain(more.iter().copied());
            names.map(Into::into).collect()
        };
        let above = at(&[])[..2].to_vec();
        self.plan.push(above, Act::MakeDir, About::default());
        self.plan.push(at(&[]), Act::MakeDir, About::default());
        let mut messages = Vec::new();
        for ((path, found), uid) in found.into_iter().zip(1..) {
            let about = About {
                codes: vec![DBOX_ORPHAN.code],
                ..About::in_mailbox(&mailbox.name, format!("it becomes uid {uid} of {name}"))
            };
            let to = at(&[&file_name(uid)]);
            self.plan.push(path, Act::Rename(to), about);
            messages.extend(Uid::new(uid).map(|uid| found.message(uid)));
        }
        self.index_of_orphans(&mailbox, &messages);
        Ok(())
    }

    fn index_of_orphans(&mut self, mailbox: &Mailbox, messages: &[Message]) {
        let places = Rc::clone(&self.tree);
        let places = &places.places;
        let at = places.index_at(&[mailbox.name.to_string().into()]);
        let now = self.options.now;
        let (mut index, _) = MailboxIndex::of(mailbox, now, Generation::first(now), &own());
        for message in messages {
            index.push(message);
        }
        for (file, content) in index.files(0) {
            let mut about = About::in_mailbox(&mailbox.name, "");
            if file == INDEX {
                let count = counted(messages.len() as u64, "message");
                about.does = format!("the index of {count}, without flags");
            }
            places.push_indexed(&mut self.plan, &at, file, Act::put(content), about);
        }
    }

    fn orphan(&self, nth: usize, uid: u32) -> Result<Option<(Path, FoundMessage)>> {
        let tree = Rc::clone(&self.tree);
        let Some(mails) = tree.mails(nth, &mut |_| ())? else {
            return Ok(None);
        };
        let name = file_name(uid);
        let Some(found) = read(&mails.dir, &name) else {
            return Ok(None);
        };
        Ok(Some((mails.path_of(&name), found)))
    }
}

/// A message file that holds up; one that does not stays where it is.
fn read(dir: &Dir, name: &str) -> Option<FoundMessage> {
    let file = dir.file(name).ok()?;
    let stat = file.stat().ok()?;
    let extent = Extent {
        at: None,
        header: MESSAGE_HEADER,
        end: stat.size,
    };
    found_message(file.into(), extent, stat.ctime)
}
