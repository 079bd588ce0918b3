//! Where mail lies, as an administrator writes it: Dovecot's `mail_location`.
//!
//! ```text
//! sdbox : /var/vmail/%d/%n : INDEX=/fast/%u : LAYOUT=fs : UTF-8
//! driver  path               key=value ...
//! |       '--> Template: text and variables; `::` in it is a `:` and `%%` is a `%`
//! '--> left out: a bare path, to be detected from what lies there
//! ```
//!
//! What is not known is an error that names what may be written: a key that is skipped would look in
//! the wrong place for mail.
//!
//! Sources: Dovecot 2.3.19, `src/lib-storage/mailbox-list.c`, `mailbox_list_settings_parse_full`
//! (keys, and `::`); doc.dovecot.org, "Mail location".

mod template;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use bstr::{BStr, BString, ByteSlice};

pub use template::{Part, Split, Template, User, Variable};

use crate::error::{Error, Result};
use crate::report::escape;

/// A format, as it is called in a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Driver {
    /// One file a message; the directory is the mailbox.
    Maildir,
    /// Dovecot's one file a message.
    Sdbox,
    /// Dovecot's many messages a file.
    Mdbox,
    /// A Cyrus spool.
    Cyrus,
    /// A manifest: the fingerprints of a store.
    Tally,
}

/// As they are written; the first name of a driver is its own.
const DRIVERS: &[(&str, Driver)] = &[
    ("maildir", Driver::Maildir),
    ("sdbox", Driver::Sdbox),
    ("mdbox", Driver::Mdbox),
    ("dbox", Driver::Sdbox),
    ("cyrus", Driver::Cyrus),
    ("tally", Driver::Tally),
];

impl Driver {
    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Maildir => "maildir",
            Self::Sdbox => "sdbox",
            Self::Mdbox => "mdbox",
            Self::Cyrus => "cyrus",
            Self::Tally => "tally",
        }
    }

    /// The driver of this name.
    pub fn of(name: &[u8]) -> Option<Self> {
        let same = |known: &&(&str, Self)| known.0.as_bytes().eq_ignore_ascii_case(name);
        DRIVERS.iter().find(same).map(|(_, driver)| *driver)
    }
}

/// How the names of mailboxes become directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `.Work.2009`: all in one directory.
    MaildirPlusPlus,
    /// `Work/2009`: a directory a level.
    Fs,
}

/// What a location says besides format and path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// `LAYOUT=`.
    pub layout: Option<Layout>,
    /// `DIRNAME=`, also as `LAYOUT=fs:DIRNAME=`: the directory in a mailbox that holds its mail.
    pub dirname: Option<String>,
    /// `INBOX=`.
    pub inbox: Option<Template>,
    /// `INDEX=`, if it is a path.
    pub index: Option<Template>,
    /// `INDEX=MEMORY`: there is no index on disk.
    pub index_in_memory: bool,
    /// `CONTROL=`.
    pub control: Option<Template>,
    /// `ALT=`.
    pub alt: Option<Template>,
    /// `ATTACHMENTS=`, a key of ours: Dovecot's `mail_attachment_dir`.
    pub attachments: Option<Template>,
    /// `MAILBOXDIR=`; empty is the same as left out.
    pub mailboxdir: Option<String>,
    /// `SUBSCRIPTIONS=`: the name of the file.
    pub subscriptions: Option<String>,
    /// `UTF-8`: names are not in modified UTF-7.
    pub utf8: bool,
    /// `SEPARATOR=`: between the levels of a name.
    pub separator: Option<char>,
}

/// Where mail lies, and in which format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The format; `None` for a bare path, which is detected.
    pub driver: Option<Driver>,
    /// The root of an account, or of many.
    pub path: Template,
    /// Everything else.
    pub keys: Keys,
}

/// Reads a location.
pub fn parse(text: impl AsRef<OsStr>) -> Result<Location> {
    let text = text.as_ref().as_bytes();
    let (driver, rest) = driver(text)?;
    let mut parts = parts(rest).into_iter();
    let path = parts.next().unwrap_or_default();
    if path.is_empty() {
        let what = format!("`{}` names no path", escape(text));
        return usage(
            what,
            "write DRIVER:PATH, for example maildir:/home/%u/Maildir",
        );
    }
    let path = Template::parse(&path)?;
    let mut keys = Keys::default();
    let mut seen = Vec::new();
    for part in parts {
        let (key, value) = match part.split_once_str("=") {
            Some((key, value)) => (key, Some(value)),
            None => (&part[..], None),
        };
        if seen.contains(&key.to_vec()) {
            let what = format!("`{}` stands twice in a location", escape(key));
            return usage(what, "leave one of them out");
        }
        seen.push(key.to_vec());
        keys.set(key, value)?;
    }
    Ok(Location { driver, path, keys })
}

/// Takes `word:` off the front. A text that begins as a path does, or without such a word, has none.
fn driver(text: &[u8]) -> Result<(Option<Driver>, &[u8])> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+');
    let word = text.iter().take_while(|byte| is_word(byte)).count();
    let (word, rest) = text.split_at(word);
    match (rest, Driver::of(word)) {
        ([b':', rest @ ..], Some(driver)) => Ok((Some(driver), rest)),
        ([b':', b':', ..], None) | ([], _) => Ok((None, text)),
        ([b':', ..], None) if !word.is_empty() => unknown_driver(word),
        _ => Ok((None, text)),
    }
}

fn unknown_driver<T>(word: &[u8]) -> Result<T> {
    let read = DRIVERS
        .iter()
        .filter(|(_, driver)| *driver != Driver::Cyrus);
    let names: Vec<_> = read.map(|(name, _)| *name).collect();
    let help = format!(
        "write one of {}; a path with a `:` begins with `./`, and its `:` is written `::`",
        names.join(", ")
    );
    usage(
        format!("`{}` is not a format known here", escape(word)),
        help,
    )
}

/// Splits at each single `:`; a double one stands for itself, and one at the very end for nothing.
fn parts(text: &[u8]) -> Vec<BString> {
    let mut parts: Vec<BString> = Vec::new();
    let mut pieces = text.split_str(":").peekable();
    parts.extend(pieces.next().map(BString::from));
    while let Some(piece) = pieces.next() {
        match (piece.is_empty(), pieces.peek(), parts.last_mut()) {
            (true, None, _) => {}
            (true, Some(_), Some(last)) => {
                last.push(b':');
                last.extend(pieces.next().unwrap_or_default());
            }
            _ => parts.push(piece.into()),
        }
    }
    parts
}

const KEYS: &str = "LAYOUT, DIRNAME, INBOX, INDEX, CONTROL, ALT, ATTACHMENTS, MAILBOXDIR, \
                    SUBSCRIPTIONS, UTF-8";

/// Keys of Dovecot's that change nothing about where mail lies.
const WITHOUT_EFFECT: &[&str] = &["VOLATILEDIR", "LISTINDEX", "INDEXCACHE", "ITERINDEX"];

impl Keys {
    fn set(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        match (key, value) {
            (b"UTF-8", None) => self.utf8 = true,
            (b"UTF-8", Some(_)) => return usage("`UTF-8` takes no value".into(), "write `:UTF-8`"),
            (b"MAILBOXDIR", Some(b"")) => self.mailboxdir = Some(String::new()),
            (b"INDEX", Some(b"MEMORY")) => self.index_in_memory = true,
            (b"LAYOUT", Some(value)) => self.layout = Some(layout(value)?),
            (b"SEPARATOR", Some(value)) => self.separator = Some(separator(value)?),
            (b"DIRNAME", value) => self.dirname = Some(name(key, value)?),
            (b"MAILBOXDIR", value) => self.mailboxdir = Some(name(key, value)?),
            (b"SUBSCRIPTIONS", value) => self.subscriptions = Some(name(key, value)?),
            (b"INBOX", value) => self.inbox = Some(path(key, value)?),
            (b"INDEX", value) => self.index = Some(path(key, value)?),
            (b"CONTROL", value) => self.control = Some(path(key, value)?),
            (b"ALT", value) => self.alt = Some(path(key, value)?),
            (b"ATTACHMENTS", value) => self.attachments = Some(path(key, value)?),
            (b"LAYOUT" | b"SEPARATOR", None) => return needs_value(key),
            _ => return unknown_key(key),
        }
        Ok(())
    }
}

fn layout(value: &[u8]) -> Result<Layout> {
    if value.eq_ignore_ascii_case(b"maildir++") {
        Ok(Layout::MaildirPlusPlus)
    } else if value.eq_ignore_ascii_case(b"fs") {
        Ok(Layout::Fs)
    } else {
        let what = format!("`LAYOUT={}` is not a layout known here", escape(value));
        usage(what, "write LAYOUT=maildir++ or LAYOUT=fs")
    }
}

fn separator(value: &[u8]) -> Result<char> {
    let mut chars = value.to_str().unwrap_or_default().chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) if !one.is_control() => Ok(one),
        _ => {
            let what = format!("`SEPARATOR={}` is not one character", escape(value));
            usage(what, "write SEPARATOR=/ or SEPARATOR=.")
        }
    }
}

/// A value that is the name of one file or directory.
fn name(key: &[u8], value: Option<&[u8]>) -> Result<String> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return needs_value(key);
    };
    let text = value
        .to_str()
        .ok()
        .filter(|text| !matches!(*text, "." | "..") && !text.contains(['/', '\0']));
    let what = || format!("`{}={}` is not a name", escape(key), escape(value));
    let help = "write the name of a file or directory, without a path";
    text.map_or_else(|| usage(what(), help), |text| Ok(text.into()))
}

fn path(key: &[u8], value: Option<&[u8]>) -> Result<Template> {
    match value {
        Some(value) if !value.is_empty() => Template::parse(BStr::new(value)),
        _ => needs_value(key),
    }
}

fn needs_value<T>(key: &[u8]) -> Result<T> {
    let key = escape(key);
    usage(
        format!("`{key}` needs a value"),
        format!("write {key}=VALUE"),
    )
}

fn unknown_key<T>(key: &[u8]) -> Result<T> {
    let text = escape(key);
    let help = if WITHOUT_EFFECT.iter().any(|known| known.as_bytes() == key) {
        format!("leave {text} out: it does not change where mail lies")
    } else {
        format!("write one of {KEYS}; a `:` in a path is written `::`")
    };
    usage(
        format!("`{text}` is not a key of a location known here"),
        help,
    )
}

fn usage<T>(what: String, help: impl Into<String>) -> Result<T> {
    let help = help.into();
    Err(Error::Usage { what, help })
}

#[cfg(test)]
mod tests;
