//! What was read of a tally, held against every sum that it carries: what was cut out, with its sum or
//! without, is missing in the next one.

use super::lines::{Claimed, SumLine};
use super::prints::{MailboxPrint, MessagePrint};
use crate::digest::merkle::{self, MailboxDigest, StoreDigest};
use crate::digest::{Digest, hex};
use crate::report::counted;

/// Why a line is out of place.
type Refused<T = ()> = Result<T, String>;

/// What the lines so far add up to.
#[derive(Debug, Default)]
pub struct Read {
    mailbox: Option<Mailbox>,
    account: Option<Account>,
    users: u64,
    total: Total,
    store: StoreDigest,
    /// The digest of the mailbox that was read last.
    last: Option<Digest>,
    /// The head has the digest in place of a last line, and mailbox lines have their sums.
    state: Option<String>,
}

#[derive(Debug)]
struct Mailbox {
    called: String,
    holds_mail: bool,
    claimed: Claimed,
    messages: u64,
    bytes: u64,
    digest: MailboxDigest,
}

#[derive(Debug)]
struct Account {
    user: String,
    total: Total,
    digests: Vec<Digest>,
}

impl Account {
    fn called(&self) -> String {
        format!("the account {}", self.user).trim_end().into()
    }
}

#[derive(Debug, Default)]
struct Total {
    mailboxes: u64,
    messages: u64,
    bytes: u64,
}

impl Read {
    /// Nothing yet; of a state there is the account's digest.
    pub fn new(state: Option<String>) -> Self {
        Self {
            state,
            ..Self::default()
        }
    }

    /// The digest of the mailbox that was read last.
    pub fn last_digest(&self) -> Option<Digest> {
        self.last
    }

    /// An account begins.
    pub fn account(&mut self, user: &str) -> Refused {
        if let Some(before) = &self.account {
            return Err(format!("{} has no sum", before.called()));
        }
        self.account = Some(Account {
            user: user.into(),
            total: Total::default(),
            digests: Vec::new(),
        });
        Ok(())
    }

    /// A mailbox begins.
    pub fn mailbox(&mut self, called: &str, print: &MailboxPrint, claimed: Claimed) -> Refused {
        self.behind_mailbox()?;
        if self.account.is_none() {
            return Err("a mailbox behind the sum of its account".into());
        }
        self.mailbox = Some(Mailbox {
            called: called.into(),
            holds_mail: print.selectable && print.unread.is_none(),
            claimed,
            messages: 0,
            bytes: 0,
            digest: MailboxDigest::new(&print.name),
        });
        Ok(())
    }

    /// The next message of the mailbox.
    pub fn message(&mut self, print: &MessagePrint) -> Refused {
        let mailbox = self.mailbox.as_mut().filter(|mailbox| mailbox.holds_mail);
        let mailbox = mailbox.ok_or("a message behind the sum of its mailbox")?;
        mailbox.messages += 1;
        mailbox.bytes += print.sizes().0.unwrap_or(0);
        if let Some(digest) = print.digest() {
            mailbox.digest.push(&digest);
        }
        Ok(())
    }

    /// The sum of a mailbox, or of an account.
    pub fn sum(&mut self, sum: &SumLine) -> Refused {
        let user = self.account.as_ref().map(|account| &account.user);
        if user != sum.user.as_ref() {
            return Err("a sum of another account".into());
        }
        let Some(called) = &sum.mailbox else {
            return self.account_sum(sum);
        };
        match self.mailbox.take() {
            Some(mailbox) if mailbox.holds_mail && mailbox.called == *called => {
                let digest = mailbox.digest.finish();
                let of = format!("the sum of {called}");
                same(&of, "message", sum.messages, mailbox.messages)?;
                same(&of, "byte", sum.bytes, mailbox.bytes)?;
                same_digest(&of, &sum.digest, &hex(&digest))?;
                self.close(&mailbox, digest)
            }
            _ => Err("a sum of another mailbox".into()),
        }
    }

    /// The last line.
    pub fn end(&self, sum: &SumLine) -> Refused {
        if let Some(account) = &self.account {
            return Err(format!("{} has no sum", account.called()));
        }
        let of = "the last line";
        same(of, "account", sum.users.unwrap_or(0), self.users)?;
        self.total.same(of, sum)?;
        same_digest(of, &sum.digest, &self.store.finish())
    }

    /// The end of a state, which has no last line.
    pub fn end_of_state(&mut self) -> Refused {
        self.behind_mailbox()?;
        let digests = self.account.iter().flat_map(|account| &account.digests);
        let digest = hex(&merkle::account(digests));
        let said = self.state.as_ref().unwrap_or(&digest);
        same_digest("the first line", said, &digest)
    }

    /// What has a sum is behind it when something else begins. In a state, the mailbox's own line is the sum.
    fn behind_mailbox(&mut self) -> Refused {
        let Some(mailbox) = self.mailbox.take().filter(|mailbox| mailbox.holds_mail) else {
            return Ok(());
        };
        if self.state.is_none() {
            return Err(format!("the mailbox {} has no sum", mailbox.called));
        }
        let digest = mailbox.digest.finish();
        self.close(&mailbox, digest)
    }

    /// The mailbox is read; its own line made claims too.
    fn close(&mut self, mailbox: &Mailbox, digest: Digest) -> Refused {
        let (claimed, of) = (&mailbox.claimed, format!("the line of {}", mailbox.called));
        same(&of, "message", claimed.messages, mailbox.messages)?;
        same(
            &of,
            "byte",
            claimed.bytes.unwrap_or(mailbox.bytes),
            mailbox.bytes,
        )?;
        // A state does not show the levels of a name that has to be escaped, and the digest is of them.
        let digest = match claimed
            .known_digest()
            .filter(|_| mailbox.called.contains('\\'))
        {
            Some(claimed) => claimed,
            None => digest,
        };
        let claimed = claimed.digest.as_deref();
        same_digest(&of, claimed.unwrap_or(&hex(&digest)), &hex(&digest))?;
        self.last = Some(digest);
        if let Some(account) = &mut self.account {
            account.total.mailboxes += 1;
            account.total.messages += mailbox.messages;
            account.total.bytes += mailbox.bytes;
            account.digests.push(digest);
        }
        Ok(())
    }

    fn account_sum(&mut self, sum: &SumLine) -> Refused {
        self.behind_mailbox()?;
        let Some(account) = self.account.take() else {
            return Err("a sum of no account".into());
        };
        let digest = hex(&merkle::account(&account.digests));
        let of = format!("the sum of {}", account.called());
        account.total.same(&of, sum)?;
        same_digest(&of, &sum.digest, &digest)?;
        self.store.push(&account.user, &digest);
        self.users += 1;
        self.total.mailboxes += account.total.mailboxes;
        self.total.messages += account.total.messages;
        self.total.bytes += account.total.bytes;
        Ok(())
    }
}

impl Total {
    fn same(&self, of: &str, sum: &SumLine) -> Refused {
        same(of, "mailbox", sum.mailboxes.unwrap_or(0), self.mailboxes)?;
        same(of, "message", sum.messages, self.messages)?;
        same(of, "byte", sum.bytes, self.bytes)
    }
}

fn same(of: &str, what: &str, said: u64, read: u64) -> Refused {
    if said == read {
        return Ok(());
    }
    let were = if read == 1 { "was" } else { "were" };
    Err(format!(
        "{of} says {}, and {read} {were} read",
        counted(said, what)
    ))
}

fn same_digest(of: &str, said: &str, read: &str) -> Refused {
    if said == read {
        return Ok(());
    }
    Err(format!("{of} has another digest than what was read"))
}
