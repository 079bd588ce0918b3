//! Message files that no index knows: they get a mailbox of their own, where that is asked for.

use std::rc::Rc;

use super::super::layout::file_name;
use super::{INDEX, MailboxIndex, Repair, own};
use crate::disk::Dir;
use crate::disk::plan::{About, Act, Path};
use crate::error::Result;
use crate::format::dbox::{Extent, FoundMessage, MESSAGE_HEADER, found_message};
use crate::format::dovecot_index::Generation;
use crate::format::names::made_guid;
use crate::model::{Mailbox, MailboxName, Message, Uid};
use crate::report::catalogue::DBOX_ORPHAN;
use crate::report::counted;

/// What the mailbox is called; with a number where there is one.
const NAME: &str = "Recovered";

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
        let name = self.free_name();
        let tree = Rc::clone(&self.tree);
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
                mailbox: Some(name.clone()),
                codes: vec![DBOX_ORPHAN.code],
                does: format!("it becomes uid {uid} of {name}"),
                ..About::default()
            };
            let to = at(&[&file_name(uid)]);
            self.plan.push(path, Act::Rename(to), about);
            messages.extend(Uid::new(uid).map(|uid| found.message(uid)));
        }
        self.index_of_orphans(&name, &messages, &at);
        Ok(())
    }

    fn index_of_orphans(&mut self, name: &str, messages: &[Message], at: &dyn Fn(&[&str]) -> Path) {
        let mailbox = self.recovered(name, messages.len());
        let now = self.options.now;
        let (mut index, _) = MailboxIndex::of(&mailbox, now, Generation::first(now), &own());
        for message in messages {
            index.push(message);
        }
        for (file, content) in index.files(0) {
            let mut about = About {
                mailbox: Some(name.to_owned()),
                ..About::default()
            };
            if file == INDEX {
                let count = counted(messages.len() as u64, "message");
                about.does = format!("the index of {count}, without flags");
            }
            self.plan.push(at(&[file]), Act::put(content), about);
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
        let mut path: Path = mails
            .path
            .split(|byte| *byte == b'/')
            .map(Into::into)
            .collect();
        path.push(name.into());
        Ok(Some((path, found)))
    }

    fn free_name(&self) -> String {
        let taken = |name: &String| {
            let name = MailboxName::new([name.as_str()]);
            self.tree.names.contains(&name)
        };
        let numbered = (2..).map(|nth| format!("{NAME}-{nth}"));
        let mut names = std::iter::once(NAME.to_owned()).chain(numbered);
        names
            .find(|name| !taken(name))
            .unwrap_or_else(|| NAME.into())
    }

    fn recovered(&mut self, name: &str, messages: usize) -> Mailbox {
        let name = MailboxName::new([name]);
        Mailbox {
            selectable: true,
            guid: made_guid(self.root, &name),
            uidvalidity: self.new_uidvalidity(),
            uidnext: u32::try_from(messages).unwrap_or(u32::MAX - 1) + 1,
            first_recent: 1,
            highest_modseq: 1,
            keywords: Vec::new(),
            acl: None,
            name,
        }
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
