//! Mailbox names: levels of text, as a client sees them.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// A mailbox name: one text a level, outermost first. `INBOX` is always written so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Vec<String>);

impl MailboxName {
    /// The mailbox that everybody has.
    pub fn inbox() -> Self {
        Self(vec!["INBOX".into()])
    }

    /// A name of these levels; a first level that reads `inbox` in any case is `INBOX`.
    pub fn new(levels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut levels: Vec<String> = levels.into_iter().map(Into::into).collect();
        if let Some(first) = levels.first_mut()
            && first.eq_ignore_ascii_case("INBOX")
        {
            *first = "INBOX".into();
        }
        Self(levels)
    }

    /// A name whose first level is kept as it is spelled, although it may read `inbox`.
    pub fn verbatim(levels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(levels.into_iter().map(Into::into).collect())
    }

    /// The levels, outermost first.
    pub fn levels(&self) -> &[String] {
        &self.0
    }

    /// True for the mailbox that everybody has.
    pub fn is_inbox(&self) -> bool {
        self.0 == ["INBOX"]
    }

    /// The name above, if there is one.
    pub fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        (!above.is_empty()).then(|| Self(above.to_vec()))
    }

    /// True if `other` lies below it, at any depth.
    pub fn is_above(&self, other: &Self) -> bool {
        other.0.len() > self.0.len() && other.0.starts_with(&self.0)
    }

    /// The same name with another last level.
    #[must_use]
    pub fn with_last(&self, last: String) -> Self {
        let mut levels = self.0.clone();
        levels.pop();
        levels.push(last);
        Self(levels)
    }

    /// What two names share that a case-folding or normalising file system cannot tell apart.
    pub fn folded(&self) -> String {
        let text = self.to_string();
        text.nfkc().flat_map(char::to_lowercase).collect()
    }
}

/// Levels with `/` between them.
impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, level) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("/")?;
            }
            f.write_str(level)?;
        }
        Ok(())
    }
}
