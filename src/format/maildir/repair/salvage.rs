//! What is left of a message whose coat is torn takes its place: without the coat, under the same UID and GUID.

use std::rc::Rc;

use super::super::coat::stored;
use super::super::folders::Folder;
use super::super::mailbox::MaildirMailbox;
use super::Repair;
use crate::digest::Measured;
use crate::disk::plan::{About, Act};
use crate::disk::{Dir, NewFile};
use crate::error::Result;
use crate::format::compress::{self, Codec};
use crate::format::pour::pour;
use crate::report::catalogue::MAILDIR_DAMAGED;
use crate::report::counted;
use crate::store::{MailboxSource, Stored};

/// A message of which only the beginning can be decompressed.
#[derive(Debug, Clone)]
pub(super) struct Torn {
    codec: Codec,
    /// Where it breaks off, and why.
    why: String,
}

impl Torn {
    /// `None` for one that is whole.
    pub fn of(coat: Option<Codec>, stored: &Stored) -> Option<Self> {
        let (codec, error) = coat.zip(stored.damage.as_ref())?;
        let recovered = counted(stored.facts.size, "byte");
        let why = format!("{error}; {recovered} recovered");
        Some(Self { codec, why })
    }

    /// What becomes of it.
    pub fn does(&self) -> String {
        format!("what is left of it takes its place: {}", self.why)
    }
}

/// A file of a mailbox.
struct TornFile {
    folder: Rc<Dir>,
    place: &'static str,
    name: Vec<u8>,
    codec: Codec,
}

impl TornFile {
    /// Writes what can be decompressed; the received date stays.
    fn pour_into(&self, new: &mut NewFile) -> Result<()> {
        let dir = self.folder.dir(self.place)?;
        let file = dir.file(&self.name)?;
        let received = file.stat()?.mtime;
        let body = compress::decoder(self.codec, stored(&[], Some(file)));
        let (mut body, mut buffer) = (Measured::new(body), Vec::new());
        let poured = pour(&mut body, None, &mut buffer, &mut |full| {
            new.append(full)?;
            full.clear();
            Ok(())
        });
        poured.map_err(|error| error.into_error(&dir.path_of(&self.name)))?;
        new.append(&buffer)?;
        new.set_time(received)
    }
}

impl Repair<'_> {
    /// One handle for all torn messages of a mailbox.
    fn folder_now(&mut self, folder: &Folder) -> Result<Rc<Dir>> {
        let open = match self.torn_in.take() {
            Some(open) => open,
            None => Rc::new(self.store.folder(folder)?),
        };
        self.torn_in = Some(Rc::clone(&open));
        Ok(open)
    }

    /// Puts it under the name `to`, beside the one that it had, which goes.
    pub(super) fn keep_rest(
        &mut self,
        (mailbox, folder): (&MaildirMailbox<'_>, &Folder),
        at: usize,
        torn: &Torn,
        (to, mut about): (&[u8], About),
    ) -> Result<()> {
        let slot = mailbox.listing.slot(at);
        let (place, name) = (slot.place.name(), mailbox.listing.name(at));
        let (uid, why) = (mailbox.uid(at), &torn.why);
        about.codes.insert(0, MAILDIR_DAMAGED.code);
        about
            .lost
            .push(format!("uid {uid}: some of its bytes: {why}"));
        let gone = About {
            lost: Vec::new(),
            ..about.clone()
        };
        let file = TornFile {
            folder: self.folder_now(folder)?,
            place,
            name: name.to_vec(),
            codec: torn.codec,
        };
        let act = Act::Replace(Box::new(move |new| file.pour_into(new)));
        let (of, path) = self.at(folder, &[place.as_bytes(), to]);
        self.plan.push_in(of, path, act, about);
        if to != name {
            let (of, path) = self.at(folder, &[place.as_bytes(), name]);
            self.plan.push_in(of, path, Act::Remove, gone);
        }
        Ok(())
    }
}
