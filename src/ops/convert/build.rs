//! Builds an account beside its place, reads it back and proves it.

use super::{Run, selectable, sum};
use crate::digest::merkle;
use crate::disk::Owner;
use crate::error::{Error, Result};
use crate::format::OpenOptions;
use crate::model::{Account, Mailbox};
use crate::ops::carry::{self, CarriedMailbox};
use crate::ops::prove::{self, Pair};
use crate::ops::staging::{Staging, Target};
use crate::report::catalogue as rules;
use crate::report::{Event, Finding, UserLine};
use crate::store::{CreateOptions, Destination};

impl Run<'_> {
    /// Builds the account beside its place. What comes with its line is to be published.
    pub(super) fn convert<'t>(
        &self,
        target: Target<'t>,
    ) -> Result<(UserLine, Option<Staging<'t>>)> {
        let (owner, mode) = self.ownership()?;
        let staging = target.begin()?;
        let done = self.build(&staging, owner, mode);
        match done {
            Ok(line) if line.digest.destination.is_none() => {
                staging.abandon();
                Ok((self.kept(line), None))
            }
            Ok(line) if self.teller.counts().all_differences() > 0 => {
                // What does not read back as it was written is nobody's store.
                staging.abandon();
                Ok((line, None))
            }
            Ok(line) => Ok((line, Some(staging))),
            Err(error) => {
                staging.abandon();
                Err(error)
            }
        }
    }

    /// Who the destination belongs to, where that is not this process anyway; and its mode.
    fn ownership(&self) -> Result<(Option<Owner>, u32)> {
        let stat = self.source.root().own_stat()?;
        let this = Owner::of_this_process();
        let theirs = Owner {
            uid: stat.uid,
            gid: stat.gid,
        };
        let wanted = self.options.owner.unwrap_or(theirs);
        let mode = (stat.mode & 0o2777) | 0o700;
        if wanted == this {
            return Ok((None, mode));
        }
        if this.uid == 0 || self.options.owner.is_some() {
            return Ok((Some(wanted), mode));
        }
        if wanted.uid != this.uid {
            let detail = format!(
                "source is of {}:{}, this run of {}",
                wanted.uid, wanted.gid, this.uid
            );
            self.teller
                .found(Finding::new(&rules::ACCOUNT_OWNER, detail));
        }
        Ok((None, mode))
    }

    /// Without a digest of the destination where it is not to take its place.
    fn build(&self, staging: &Staging<'_>, owner: Option<Owner>, mode: u32) -> Result<UserLine> {
        let create = self.to.create.ok_or_else(|| Error::Usage {
            what: format!("{} cannot be written", self.to.name),
            help: "choose another destination format".into(),
        })?;
        let options = CreateOptions {
            now: self.options.now,
            owner,
            mode,
            form: self.options.form,
        };
        let destination = create(staging.dir.again()?, &options)?;
        let carried = self.carry(destination.as_ref())?;
        self.tell_change();
        if self.loses(&carried)? {
            let sums: Vec<_> = selectable(&carried).map(sum).collect();
            return Ok(self.line(&sums, None));
        }
        let last = carried
            .iter()
            .map(|(_, carried)| carried.line.uidvalidity)
            .max();
        let account = self.account(last.unwrap_or(0));
        destination.finish(&account)?;
        drop(destination);
        let bytes = carried.iter().map(|(_, carried)| carried.line.bytes).sum();
        let prove = || self.prove(staging, &account, &carried, &options);
        let line = staging.while_it_is_written(bytes, prove)?;
        if let Some(owner) = owner {
            staging.dir.give_self(owner)?;
        }
        if mode != 0o700 {
            staging.dir.set_own_mode(mode)?;
        }
        Ok(line)
    }

    fn carry(&self, destination: &dyn Destination) -> Result<Vec<(usize, CarriedMailbox)>> {
        let mut all = Vec::new();
        self.each_mailbox(|nth, name, source| {
            let load = self.load(source, name);
            let renamed = Mailbox {
                name: name.clone(),
                keywords: load.keywords.names.clone(),
                ..source.mailbox().clone()
            };
            let writer = Some(destination.mailbox(&renamed)?);
            let carried = carry::mailbox(source, name, writer, load, self.teller, self.workers)?;
            self.altered.tell(&carried, self.teller);
            all.push((nth, carried));
            Ok(())
        })?;
        Ok(all)
    }

    /// Reads the destination back as any store is read, and leaves the state of this pass in it.
    fn prove(
        &self,
        staging: &Staging<'_>,
        account: &Account,
        carried: &[(usize, CarriedMailbox)],
        options: &CreateOptions,
    ) -> Result<UserLine> {
        let open = OpenOptions {
            now: i64::from(self.options.now),
            ..OpenOptions::of(&self.options.form)
        };
        let dir = staging.dir.again()?;
        let read = (self.to.open)(dir, &open, &mut |finding| self.teller.found(finding))?;
        prove::account(account, read.account(), &self.holds, self.teller);
        let names: Vec<_> = carried
            .iter()
            .map(|(nth, _)| self.names[*nth].clone())
            .collect();
        let places = prove::mailboxes(&names, read.as_ref(), &self.holds, self.teller);
        let mut state = self.begin_state(staging, read.as_ref(), carried, options)?;
        let mut digests = Vec::new();
        for (((nth, carried), name), place) in carried.iter().zip(&names).zip(places) {
            let Some(place) = place else { continue };
            let back = read.mailbox(place, &mut |finding| self.teller.found(finding))?;
            let pair = Pair::new(self.source, *nth, name, carried);
            let digest =
                prove::mailbox(&pair, back.as_ref(), &mut state, self.teller, self.workers)?;
            if carried.mailbox.selectable {
                digests.push(digest);
                self.teller.watch().on(Event::MailboxDone(&carried.line));
            }
        }
        state.finish()?;
        let sums: Vec<_> = selectable(carried).map(sum).collect();
        Ok(self.line(&sums, Some(&merkle::account(&digests))))
    }
}
