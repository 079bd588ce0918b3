//! What a tally holds of an account, a mailbox and a message: all that two stores are compared by.

use std::collections::BTreeMap;

use bstr::BString;
use serde::{Deserialize, Serialize};

use crate::digest::merkle;
use crate::digest::{Digest, Facts};
use crate::model::{
    Account, Flags, Mailbox, MailboxName, Message, QuotaLimits, SieveFile, SieveKind, Uid,
};
use crate::report::escape;
use crate::store::{Access, MadeUp, MailboxSource};

/// What belongs to an account as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPrint {
    /// Subscribed names, sorted, each once.
    pub subscriptions: Vec<String>,
    /// Sieve scripts by path: a digest, or `-> TARGET` for a link.
    pub sieve: BTreeMap<String, String>,
    /// Limits that the store itself keeps.
    pub quota: Option<QuotaLimits>,
    /// Who may touch the account's directory; never in a file.
    #[serde(skip)]
    pub access: Option<Access>,
}

impl AccountPrint {
    /// Of this account.
    pub fn of(account: &Account) -> Self {
        let names = account.subscriptions.iter();
        let mut subscriptions: Vec<_> = names.map(shown).collect();
        subscriptions.sort();
        subscriptions.dedup();
        Self {
            subscriptions,
            sieve: account.sieve.iter().map(script).collect(),
            quota: account.quota,
            access: None,
        }
    }
}

/// A name as records show it.
pub fn shown(name: &MailboxName) -> String {
    escape(name.to_string().as_bytes())
}

fn script(file: &SieveFile) -> (String, String) {
    let what = match &file.kind {
        SieveKind::Script(bytes) => blake3::hash(bytes).to_hex().to_string(),
        SieveKind::Link(target) => format!("-> {}", escape(target)),
    };
    (escape(&bstr::join("/", &file.path)), what)
}

/// What a mailbox is, without its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxPrint {
    /// Its name.
    pub name: MailboxName,
    /// False for a name that only stands above others.
    pub selectable: bool,
    /// UIDVALIDITY
    pub uidvalidity: u32,
    /// UIDNEXT
    pub uidnext: u32,
    /// Its identity over renames; `None` where it is not told.
    pub guid: Option<String>,
    /// The access control list; `None` where it is not told.
    pub acl: Option<Option<String>>,
    /// Every keyword that it knows, in lower case, sorted.
    pub keywords: Vec<String>,
    /// How many messages it lists.
    pub messages: u64,
    /// What is not told, so that it was made up.
    pub made_up: MadeUp,
    /// The code of the finding that says why nothing of it could be read.
    pub unread: Option<String>,
    /// Who may touch its directory; never in a file.
    pub access: Option<Access>,
}

impl MailboxPrint {
    /// Of a mailbox that is called `name` where it is compared.
    pub fn of(source: &dyn MailboxSource, name: MailboxName) -> Self {
        let len = source.len() as u64;
        let print = Self::of_mailbox(source.mailbox(), name, len);
        Self {
            made_up: source.made_up(),
            access: source.dir_access(),
            ..print
        }
    }

    /// Of a mailbox with so many messages.
    pub fn of_mailbox(mailbox: &Mailbox, name: MailboxName, messages: u64) -> Self {
        let names = mailbox.keywords.iter();
        let mut keywords: Vec<_> = names.map(|name| merkle::keyword(name)).collect();
        keywords.sort();
        Self {
            name,
            selectable: mailbox.selectable,
            uidvalidity: mailbox.uidvalidity.get(),
            uidnext: mailbox.uidnext,
            guid: Some(mailbox.guid.to_string()),
            acl: Some(mailbox.acl.as_deref().map(escape)),
            keywords,
            messages,
            made_up: MadeUp::default(),
            unread: None,
            access: None,
        }
    }

    /// Of a mailbox of which nothing can be read, and the code of the finding that says why.
    pub fn unread(name: MailboxName, code: &str) -> Self {
        Self {
            name,
            selectable: true,
            uidvalidity: 0,
            uidnext: 0,
            guid: None,
            acl: None,
            keywords: Vec::new(),
            messages: 0,
            made_up: MadeUp {
                uids: false,
                guid: true,
                uidvalidity: true,
            },
            unread: Some(code.into()),
            access: None,
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePrint {
    /// Its number.
    pub uid: Uid,
    /// System flags.
    pub flags: Flags,
    /// Keywords in lower case, sorted.
    pub keywords: Vec<String>,
    /// What stands beside the body; `None` where the message could not be opened.
    pub envelope: Option<Envelope>,
    /// The body.
    pub body: Body,
    /// Who may touch its file; never in a file.
    pub access: Option<Access>,
}

/// What stands beside a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// INTERNALDATE, seconds since 1970.
    pub received: i64,
    /// When it came into its mailbox, where that is told.
    pub saved: Option<i64>,
    /// Its identity over copies.
    pub guid: String,
    /// What POP3 clients know it by.
    pub pop3_uidl: Option<String>,
    /// Its place in POP3 listings.
    pub pop3_order: Option<u32>,
}

/// What is known of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// All of it was read.
    Read(BodyPrint),
    /// It was not read; what the store says of its size.
    Told {
        /// Bytes.
        size: Option<u64>,
        /// Bytes with CRLF line ends.
        virtual_size: Option<u64>,
    },
    /// It cannot be read, or not all of it.
    Unread {
        /// The code of the finding that says why.
        code: String,
        /// The finding is an error: it needs a person as it is.
        said: bool,
        /// What is sound of a damaged one: digests are made of it, and it is not compared.
        recovered: Option<BodyPrint>,
    },
}

impl Body {
    /// True where nothing of it can be read.
    pub fn is_lost(&self) -> bool {
        matches!(
            self,
            Self::Unread {
                recovered: None,
                ..
            }
        )
    }

    /// What was read of it: all, or what is sound.
    pub fn read(&self) -> Option<&BodyPrint> {
        match self {
            Self::Read(body) => Some(body),
            Self::Unread { recovered, .. } => recovered.as_ref(),
            Self::Told { .. } => None,
        }
    }
}

/// What a body's bytes add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyPrint {
    /// Bytes.
    pub size: u64,
    /// Bytes with CRLF line ends.
    pub virtual_size: u64,
    /// CRC-32 of the bytes as they are.
    pub crc32: u32,
    /// BLAKE3 of the content, CRLF read as LF.
    pub content: Digest,
}

impl From<&Facts> for BodyPrint {
    fn from(facts: &Facts) -> Self {
        Self {
            size: facts.size,
            virtual_size: facts.virtual_size,
            crc32: facts.crc32,
            content: facts.content,
        }
    }
}

impl MessagePrint {
    /// Of a message; `names` are the keywords of its mailbox.
    pub fn of(message: &Message, names: &[BString], body: Body) -> Self {
        Self {
            uid: message.uid,
            flags: message.flags,
            keywords: merkle::keywords(message, names),
            envelope: Some(Envelope {
                received: message.received,
                saved: message.saved,
                guid: escape(&message.guid),
                pop3_uidl: message.pop3_uidl.as_ref().map(|uidl| escape(uidl)),
                pop3_order: message.pop3_order,
            }),
            body,
            access: None,
        }
    }

    /// The saved date is not kept by the store.
    pub fn forget_saved(&mut self) {
        if let Some(envelope) = &mut self.envelope {
            envelope.saved = None;
        }
    }

    /// Its digest, where it was read; of a damaged one, with what is sound.
    pub fn digest(&self) -> Option<Digest> {
        let (envelope, body) = self.envelope.as_ref().zip(self.body.read())?;
        let received = envelope.received;
        let keywords = &self.keywords;
        let content = &body.content;
        Some(merkle::parts(
            self.uid, self.flags, received, keywords, content,
        ))
    }

    /// Bytes, and bytes with CRLF line ends, as far as they are known.
    pub fn sizes(&self) -> (Option<u64>, Option<u64>) {
        match &self.body {
            Body::Told { size, virtual_size } => (*size, *virtual_size),
            body => {
                let read = body.read();
                (
                    read.map(|read| read.size),
                    read.map(|read| read.virtual_size),
                )
            }
        }
    }
}
