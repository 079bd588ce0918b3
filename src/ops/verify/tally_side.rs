//! A tally as a side: one account of it, record by record.

use std::collections::VecDeque;

use super::side::{About, Side, Sums, Voice};
use crate::error::Result;
use crate::format::tally::{AccountPrint, Body, Head, MailboxPrint, MessagePrint, Reader, Record};
use crate::format::{Room, room};
use crate::model::MailboxName;
use crate::report::Finding;
use crate::report::catalogue::TALLY_UNREAD;
use crate::store::{Form, Holds};

/// So many messages are handed out at once.
const BATCH: usize = 512;

/// A tally that stands before an account, or behind the last.
#[derive(Debug)]
pub struct Tally {
    reader: Reader,
    ahead: Option<Record>,
}

impl Tally {
    /// Reads up to the first account.
    pub fn new(mut reader: Reader) -> Result<Self> {
        let ahead = reader.next_record()?;
        Ok(Self { reader, ahead })
    }

    /// Its head line.
    pub fn head(&self) -> &Head {
        &self.reader.head
    }

    /// The account that comes next; what is left of the one before is passed over.
    pub fn next_user(&mut self) -> Result<Option<String>> {
        loop {
            match &self.ahead {
                Some(Record::Account(user, _)) => return Ok(Some(user.clone())),
                None => return Ok(None),
                Some(_) => self.step()?,
            };
        }
    }

    /// Passes over the account that is ahead.
    pub fn pass(&mut self) -> Result<()> {
        self.next_user()?;
        self.step().map(|_| ())
    }

    fn step(&mut self) -> Result<Option<Record>> {
        let next = self.reader.next_record()?;
        Ok(std::mem::replace(&mut self.ahead, next))
    }
}

/// The room of the store that a tally was made of.
pub fn room_of(head: &Head) -> Option<&'static Room> {
    room(&head.format)
}

/// What the store of a tally has a place for. Of a format that is not known here all is compared.
fn about(head: &Head) -> About {
    let form = Form {
        fs_layout: head.form.starts_with("layout fs"),
        ..Form::default()
    };
    let all = Holds {
        keywords: usize::MAX,
        saved_dates: true,
        modseq: true,
        bare_names: true,
        quota_limits: true,
        always_inbox: false,
        ids_of_any_text: true,
        links_in_root: true,
    };
    About {
        format: head.format.clone(),
        holds: room_of(head).map_or(all, |room| room.holds_in(&form)),
        is_file: true,
    }
}

/// One account of a tally.
pub struct TallySide<'a> {
    tally: &'a mut Tally,
    about: About,
    account: AccountPrint,
    voice: Voice<'a>,
    open: Option<OpenMailbox>,
}

struct OpenMailbox {
    name: MailboxName,
    sums: Sums,
}

impl<'a> TallySide<'a> {
    /// The account that is ahead.
    pub fn new(tally: &'a mut Tally, voice: Voice<'a>) -> Result<Self> {
        tally.next_user()?;
        let about = about(tally.head());
        let account = match tally.step()? {
            Some(Record::Account(_, print)) => print,
            _ => AccountPrint::default(),
        };
        Ok(Self {
            tally,
            about,
            account,
            voice,
            open: None,
        })
    }
}

impl Side for TallySide<'_> {
    fn about(&self) -> &About {
        &self.about
    }

    fn account(&self) -> &AccountPrint {
        &self.account
    }

    fn ahead(&mut self) -> Result<Option<MailboxName>> {
        loop {
            match &self.tally.ahead {
                Some(Record::Mailbox(print)) => return Ok(Some(print.name.clone())),
                Some(Record::Sum(_) | Record::Message(_)) => self.tally.step()?,
                _ => return Ok(None),
            };
        }
    }

    fn enter(&mut self) -> Result<Option<MailboxPrint>> {
        let Some(Record::Mailbox(print)) = self.tally.step()? else {
            return Ok(None);
        };
        if let Some(code) = &print.unread {
            let detail = format!("{code} when the tally was made: the mailbox was not compared");
            let finding = Finding::new(&TALLY_UNREAD, detail);
            self.voice.found(finding.mailbox(&print.name));
            return Ok(None);
        }
        self.open = Some(OpenMailbox {
            name: print.name.clone(),
            sums: Sums::default(),
        });
        Ok(Some(print))
    }

    fn more(&mut self, out: &mut VecDeque<MessagePrint>) -> Result<bool> {
        let voice = self.voice;
        let open = self.open.as_mut().expect("BUG: no mailbox was entered");
        for nth in 0..BATCH {
            if !matches!(self.tally.ahead, Some(Record::Message(_))) {
                return Ok(nth > 0);
            }
            if let Some(Record::Message(print)) = self.tally.step()? {
                open.add(&print, voice);
                out.push_back(print);
            }
        }
        Ok(true)
    }

    fn leave(&mut self) -> Result<Sums> {
        while matches!(self.tally.ahead, Some(Record::Message(_))) {
            self.tally.step()?;
        }
        let Some(open) = self.open.take() else {
            return Ok(Sums::default());
        };
        Ok(Sums {
            digest: self.tally.reader.last_digest(),
            ..open.sums
        })
    }
}

impl OpenMailbox {
    fn add(&mut self, print: &MessagePrint, voice: Voice<'_>) {
        self.sums.add(print);
        if let Body::Unread { code, .. } = &print.body {
            let detail = format!("{code} when the tally was made");
            let finding = Finding::new(&TALLY_UNREAD, detail).uid(print.uid);
            voice.found(finding.mailbox(&self.name));
        }
    }
}
