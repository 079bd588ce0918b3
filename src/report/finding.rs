//! Damage, and what else an administrator should know: values, not messages.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Rule, Severity, escape};
use crate::model::{MailboxName, Uid};

/// Where in an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The mailbox, as a client sees its name.
    pub mailbox: Option<String>,
    /// The message.
    pub uid: Option<u32>,
    /// The file, from the account's root.
    pub path: Option<String>,
}

/// One of two stores that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The one named first.
    Source,
    /// The one named second.
    Destination,
}

/// Something an administrator should know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which account; filled in by who works through the accounts.
    pub user: String,
    /// On which side, where two stores are compared.
    pub side: Option<Side>,
    /// Where in it.
    pub place: Place,
    /// Which rule it breaks: code, severity, remedy.
    pub rule: &'static Rule,
    /// What was seen.
    pub detail: String,
    /// What to do about it: the rule's, but where that was done.
    pub remedy: &'static str,
}

impl Finding {
    /// A finding with nothing but its rule and what was seen.
    pub fn new(rule: &'static Rule, detail: impl Into<String>) -> Self {
        Self {
            user: String::new(),
            side: None,
            place: Place::default(),
            rule,
            detail: escape(detail.into().as_bytes()),
            remedy: rule.remedy,
        }
    }

    /// In this mailbox.
    #[must_use]
    pub fn mailbox(mut self, name: &MailboxName) -> Self {
        self.place.mailbox = Some(escape(name.to_string().as_bytes()));
        self
    }

    /// At this message.
    #[must_use]
    pub fn uid(mut self, uid: Uid) -> Self {
        self.place.uid = Some(uid.get());
        self
    }

    /// In this file, from the account's root.
    #[must_use]
    pub fn path(mut self, path: impl AsRef<[u8]>) -> Self {
        self.place.path = Some(escape(path.as_ref()));
        self
    }

    /// As one of another rule.
    #[must_use]
    pub fn of(mut self, rule: &'static Rule) -> Self {
        (self.rule, self.remedy) = (rule, rule.remedy);
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.rule.severity
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "finding")?;
        map.serialize_entry("user", &self.user)?;
        if let Some(side) = self.side {
            map.serialize_entry("side", &side)?;
        }
        serialize_place(&mut map, &self.place)?;
        map.serialize_entry("code", self.rule.code)?;
        map.serialize_entry("severity", &self.rule.severity)?;
        map.serialize_entry("detail", &self.detail)?;
        map.serialize_entry("remedy", &self.remedy)?;
        map.end()
    }
}

fn serialize_place<M: SerializeMap>(map: &mut M, place: &Place) -> Result<(), M::Error> {
    if let Some(mailbox) = &place.mailbox {
        map.serialize_entry("mailbox", mailbox)?;
    }
    if let Some(uid) = place.uid {
        map.serialize_entry("uid", &uid)?;
    }
    if let Some(path) = &place.path {
        map.serialize_entry("path", path)?;
    }
    Ok(())
}

/// What two sides do not agree on.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Which account.
    pub user: String,
    /// Where in it.
    pub place: Place,
    /// One of the codes of the interface, such as `message.flags`.
    pub code: &'static str,
    /// What the source has.
    pub source: serde_json::Value,
    /// What the destination has.
    pub destination: serde_json::Value,
}

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "difference")?;
        map.serialize_entry("user", &self.user)?;
        serialize_place(&mut map, &self.place)?;
        map.serialize_entry("code", self.code)?;
        map.serialize_entry("source", &self.source)?;
        map.serialize_entry("destination", &self.destination)?;
        map.end()
    }
}

/// Mailbox, UID and file in one phrase.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        if let Some(mailbox) = &self.mailbox {
            write!(f, "{mailbox}")?;
            space = " ";
        }
        if let Some(uid) = self.uid {
            write!(f, "{space}uid {uid}")?;
            space = " ";
        }
        // The account's root itself has no path from there.
        if let Some(path) = self.path.as_ref().filter(|path| !path.is_empty()) {
            write!(f, "{space}{path}")?;
        }
        Ok(())
    }
}
