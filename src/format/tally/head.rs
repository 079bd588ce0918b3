//! The first line of a tally.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of tally files that is written and read.
pub const VERSION: u32 = 1;

/// The head line. Those of `mailtally.state` say more than those of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Always `tally`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of the file.
    pub version: u32,
    /// Which program wrote it.
    pub program: String,
    /// When, RFC 3339.
    pub created: String,
    /// The format of the store.
    pub format: String,
    /// The form of the store, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub form: String,
    /// The account that it was made for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Where the source lay.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// UIDVALIDITY and GUID of the source's INBOX: the same account has the same ones wherever it lies.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub inbox: String,
    /// The digest of the account; that of a manifest stands in its last line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// What the source looked like when it was read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_stamp: String,
    /// What the destination looked like when it was complete.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub destination_stamp: String,
    /// UIDNEXT of mailboxes below which no UID was made up, where the pass was not clean: with it, the same
    /// source gets the same UIDs again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub made_up_from: BTreeMap<String, u32>,
    /// Nothing was left that needs a person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clean: bool,
}

impl Head {
    /// A head of this program and version.
    pub fn new(created: String, format: &str, digest: String) -> Self {
        Self {
            kind: "tally".into(),
            version: VERSION,
            program: concat!("mailtally ", env!("CARGO_PKG_VERSION")).into(),
            created,
            format: format.into(),
            form: String::new(),
            user: String::new(),
            source: String::new(),
            inbox: String::new(),
            digest,
            source_stamp: String::new(),
            destination_stamp: String::new(),
            made_up_from: BTreeMap::new(),
            clean: false,
        }
    }

    /// What keeps this from being read here.
    pub fn problem(&self) -> Option<String> {
        if self.kind != "tally" {
            return Some("the first line is not that of a tally".into());
        }
        let why = || format!("version {}; this program reads {VERSION}", self.version);
        (self.version != VERSION).then(why)
    }

    /// True for what `convert` leaves: the states of both sides are known in it.
    pub fn is_state(&self) -> bool {
        !self.destination_stamp.is_empty()
    }
}
