//! The records of INTERFACE.md that say how it went: a mailbox, a user, the whole run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "mailbox")]
pub struct MailboxLine {
    /// The account.
    pub user: String,
    /// The name, `/` between levels.
    pub mailbox: String,
    /// How many messages.
    pub messages: u64,
    /// How many without `\Seen`.
    pub unseen: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their bytes with CRLF line ends.
    pub virtual_bytes: u64,
    /// UIDVALIDITY
    pub uidvalidity: u32,
    /// UIDNEXT
    pub uidnext: u32,
    /// The digest of all that makes the mailbox the same mail.
    pub digest: String,
}

/// How an account ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Looked at, nothing to say.
    Ok,
    /// The same on both sides, proven.
    Verified,
    /// Second pass, nothing to do.
    Unchanged,
    /// Something needs a person.
    Attention,
    /// Not done.
    Failed,
    /// Not tried.
    Skipped,
}

/// The digests of both sides; the destination's only where it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Digests {
    /// Of the source.
    pub source: String,
    /// Of the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "user")]
pub struct UserLine {
    /// The account; empty for a location without a variable.
    pub user: String,
    /// How it ended.
    pub status: Status,
    /// Mailboxes in the source.
    pub mailboxes: u64,
    /// Messages carried.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many findings.
    pub findings: u64,
    /// How many differences.
    pub differences: u64,
    /// Digests of the account.
    pub digest: Digests,
    /// What was not compared, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
    /// Wall-clock time.
    pub seconds: f64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl UserLine {
    /// An account of which nothing is counted yet.
    pub fn new(user: &str, status: Status) -> Self {
        Self {
            user: user.into(),
            status,
            mailboxes: 0,
            messages: 0,
            bytes: 0,
            findings: 0,
            differences: 0,
            digest: Digests::default(),
            not_compared: Vec::new(),
            seconds: 0.0,
            error: None,
        }
    }
}

/// What is used, counted from the messages, against what one quota root of an account believes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "quota")]
pub struct QuotaLine {
    /// The account.
    pub user: String,
    /// Where the usage is kept: `maildirsize`, `dict`, or `count` for what the indexes add up.
    pub root: &'static str,
    /// How the two compare.
    pub status: QuotaStatus,
    /// Counted from the messages.
    pub counted: Usage,
    /// Kept by the root; none where it is not kept, or cannot be read.
    pub stored: Option<Usage>,
    /// Limits that the root keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Why it was not corrected, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_written: Option<String>,
}

/// Bytes and messages; a broken store may say less than none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Bytes.
    pub bytes: i128,
    /// Messages.
    pub messages: i128,
}

/// Limits of a quota root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Messages.
    pub messages: Option<u64>,
}

/// How what is kept compares with what was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QuotaStatus {
    /// The same.
    Ok,
    /// Nothing is kept.
    None,
    /// Another sum.
    Stale,
    /// What 32 bits hold of it.
    Wrapped,
    /// Negative, or not readable.
    Broken,
    /// It was another one, and is right now.
    Corrected,
}

impl QuotaStatus {
    /// True where something else is kept than the messages add up to.
    pub fn is_wrong(self) -> bool {
        !matches!(self, Self::Ok | Self::None | Self::Corrected)
    }
}

/// One step of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "step")]
pub struct StepLine {
    /// The account.
    pub user: String,
    /// The mailbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// The file, from the account's root.
    pub path: String,
    /// `replace`, `remove`, `rename` or `make-dir`.
    pub action: String,
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Codes of the findings that it mends.
    pub codes: Vec<String>,
    /// What is done, and what it is made of.
    pub detail: String,
    /// What cannot be brought back.
    pub lost: Vec<String>,
    /// Who tells the date that the file gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_by: Option<String>,
    /// False where it is only planned.
    pub done: bool,
    /// The folder that keeps what was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

/// How many accounts ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Users {
    /// All.
    pub total: u64,
    /// Nothing to say.
    pub ok: u64,
    /// Something needs a person.
    pub attention: u64,
    /// Not done.
    pub failed: u64,
}

/// Can an administrator go on?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Every user is accounted for, and nothing differs.
    #[serde(rename = "go")]
    Go,
    /// Look first.
    #[serde(rename = "no-go")]
    NoGo,
}

/// The whole run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "summary")]
pub struct Summary {
    /// Which command.
    pub command: &'static str,
    /// Can an administrator go on?
    pub verdict: Verdict,
    /// Accounts.
    pub users: Users,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Messages.
    pub messages: u64,
    /// Bytes.
    pub bytes: u64,
    /// Findings by code.
    pub findings: BTreeMap<&'static str, u64>,
    /// Differences by code.
    pub differences: BTreeMap<&'static str, u64>,
    /// Digests of all accounts.
    pub digest: Digests,
    /// What was not compared, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
    /// Wall-clock time.
    pub seconds: f64,
    /// What the process ends with.
    pub exit_code: u8,
}
