//! The steps as the journal has them: what it takes to finish them, or to take them back.

use bstr::BString;
use serde::{Deserialize, Serialize};

use super::{Act, Path, Place, Step};
use crate::disk::Dir;
use crate::error::{At, Error, Result};

/// The journal while the plan is carried out.
pub(super) const PLAN: &str = "plan.json";
/// When it is done.
pub(super) const DONE: &str = "done.json";
/// While it is taken back.
pub(super) const UNDO: &str = "undo.json";
/// An empty file: nobody has read what came of the plan.
pub(super) const UNTOLD: &str = "untold";
/// No journal is larger.
const MOST: u64 = 1 << 30;

/// The whole journal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    /// Of the file.
    pub version: u32,
    /// Which program wrote it.
    pub program: String,
    /// In order.
    pub steps: Vec<Entry>,
}

/// One step, and what whoever finishes it needs to tell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: that of the files in the folder.
    pub(super) nth: usize,
    /// As in [`Act::word`].
    pub act: String,
    #[serde(default, skip_serializing_if = "Place::is_root")]
    pub(super) place: Place,
    /// Which name.
    #[serde(with = "names")]
    pub path: Path,
    /// The name that it gets.
    #[serde(with = "names", default, skip_serializing_if = "Vec::is_empty")]
    pub to: Path,
    /// The name of the file that is kept.
    #[serde(with = "name", default, skip_serializing_if = "Option::is_none")]
    pub(super) kept: Option<BString>,
    /// BLAKE3 of the new file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) new: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) times: Option<Times>,
    /// The mailbox, as a client sees its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// Codes of the findings that it mends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// By what a better date was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_by: Option<String>,
    /// What is done, for people.
    pub does: String,
    /// What cannot be brought back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

/// Times of a file's content.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Times {
    pub was: (i64, u32),
    pub to: i64,
}

impl Entry {
    /// Of a step that is prepared.
    pub(super) fn of(nth: usize, step: &Step, kept: Option<BString>, new: Option<String>) -> Self {
        Self {
            nth,
            act: step.act.word().into(),
            place: step.place,
            path: step.path.clone(),
            to: match &step.act {
                Act::Rename(to) => to.clone(),
                _ => Vec::new(),
            },
            kept,
            new,
            times: match step.act {
                Act::SetTime { was, to } => Some(Times { was, to }),
                _ => None,
            },
            mailbox: step.about.mailbox.clone(),
            told_by: step.about.told_by.map(Into::into),
            codes: step.about.codes.iter().map(ToString::to_string).collect(),
            does: step.about.does.clone(),
            lost: step.about.lost.clone(),
        }
    }

    /// The name of the new file in `new/`.
    pub(super) fn staged(&self) -> String {
        staged(self.nth)
    }
}

/// The name of a new file in `new/`.
pub(super) fn staged(nth: usize) -> String {
    format!("{nth:04}")
}

impl Journal {
    /// Of these steps.
    pub(super) fn new(steps: Vec<Entry>) -> Self {
        Self {
            version: 1,
            program: concat!("mailtally ", env!("CARGO_PKG_VERSION")).into(),
            steps,
        }
    }

    /// As it stands in the file.
    pub(super) fn text(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("BUG: a journal is plain data")
    }

    /// The journal of that name, where there is one. One that we cannot read is not guessed at.
    pub(super) fn read(dir: &Dir, name: &str) -> Result<Option<Self>> {
        let Some(bytes) = dir.read_if_there(name, MOST)? else {
            return Ok(None);
        };
        let read = serde_json::from_slice::<Self>(&bytes).map_err(std::io::Error::from);
        let journal = read.at("read", &dir.path_of(name.as_bytes()))?;
        if journal.version != 1 {
            return Err(Error::Occupied {
                path: dir.path_of(name.as_bytes()),
                why: "another version of mailtally wrote it".into(),
                help: "use that version for this account".into(),
            });
        }
        Ok(Some(journal))
    }
}

/// Names that may be any bytes, as text: what is not UTF-8, controls and `\` as `\xNN`.
mod names {
    use bstr::BString;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Path, decode, encode};

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(path.iter().map(encode))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Path, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let names = texts.iter().map(|text| decode(text));
        let names: Option<Vec<BString>> = names.collect();
        names.ok_or_else(|| serde::de::Error::custom("a name is not written as names are"))
    }
}

/// The same for a name that may not be there.
mod name {
    use bstr::BString;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{decode, encode};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub fn serialize<S: Serializer>(
        name: &Option<BString>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match name {
            Some(name) => serializer.serialize_some(&encode(name)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<BString>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.and_then(|text| decode(&text)))
    }
}

fn encode(name: &BString) -> String {
    let parts: Vec<_> = name.split(|byte| *byte == b'\\').collect();
    let parts: Vec<_> = parts.into_iter().map(crate::report::escape).collect();
    parts.join("\\x5C")
}

fn decode(text: &str) -> Option<BString> {
    let mut parts = text.split("\\x");
    let mut name = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        name.push(u8::from_str_radix(digits, 16).ok()?);
        name.extend_from_slice(rest.as_bytes());
    }
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_of_an_older_version_tells_of_no_loss() {
        let text = r#"{"version":1,"program":"mailtally 0.1.0","steps":[
            {"nth":1,"act":"remove","path":["a"],"does":"it is damaged"}]}"#;
        let journal: Journal = serde_json::from_str(text).unwrap();
        assert_eq!(journal.steps[0].does, "it is damaged");
        assert_eq!(journal.steps[0].lost, [""; 0]);
    }

    #[test]
    fn names_of_any_bytes_come_back() {
        for name in [
            &b"u.1"[..],
            b"a\\x41b",
            b"\xff\xfe\\",
            b"a\nb",
            "\u{e4}".as_bytes(),
        ] {
            let text = encode(&name.into());
            assert_eq!(decode(&text).unwrap(), name, "{text}");
        }
        assert_eq!(decode("\\xzz"), None);
        assert_eq!(decode("\\x4"), None);
    }
}
