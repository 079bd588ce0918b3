//! An IMAP session with Dovecot's own `imap` program, over its standard input and output.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use bstr::{BString, ByteSlice};

/// A session in LOGIN state.
#[derive(Debug)]
pub struct Imap {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    tag: u32,
}

/// One message as a client sees it: `UID`, `FLAGS`, `ENVELOPE` ... and what was answered.
pub type Fetched = BTreeMap<String, BString>;

impl Imap {
    pub(super) fn open(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut session = Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
            tag: 0,
        };
        let greeting = session.response();
        assert!(greeting.starts_with(b"* PREAUTH"), "{greeting}");
        session
    }

    /// The untagged responses to a command, literals included; it must succeed. Lines of the command
    /// may hold literals in the form `{5+}`.
    pub fn send(&mut self, command: impl AsRef<[u8]>) -> Vec<BString> {
        self.tag += 1;
        let tag = format!("t{} ", self.tag);
        self.stdin
            .write_all(&[tag.as_bytes(), command.as_ref(), b"\r\n"].concat())
            .unwrap();
        let mut responses = Vec::new();
        loop {
            let response = self.response();
            let Some(result) = response.strip_prefix(tag.as_bytes()) else {
                responses.push(response);
                continue;
            };
            assert!(
                result.starts_with(b"OK"),
                "{}: {}",
                command.as_ref().as_bstr(),
                result.as_bstr()
            );
            return responses;
        }
    }

    /// The mailboxes that can be selected, as IMAP writes them (modified UTF-7, quoted where needed).
    pub fn mailboxes(&mut self) -> Vec<BString> {
        let listed = self.send("LIST \"\" *");
        let open = listed.iter().filter(|line| !line.contains_str("\\No"));
        let mut names = open
            .map(|line| line.split_once_str("\"/\" ").unwrap().1.into())
            .collect::<Vec<_>>();
        names.sort();
        names
    }

    /// Selects a mailbox (which ends `\Recent` for the next session) and fetches all that clients ask for.
    pub fn read(&mut self, mailbox: &[u8]) -> Vec<Fetched> {
        self.send([b"SELECT ", mailbox].concat());
        let wanted = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[]";
        self.send(format!("UID FETCH 1:* ({wanted})"))
            .iter()
            .filter_map(|line| fetched(line))
            .collect()
    }

    /// UIDs in the selected mailbox that a search finds: `SUBJECT hello`.
    pub fn search(&mut self, query: &str) -> Vec<u32> {
        let found = self.send(format!("UID SEARCH {query}"));
        let line = found
            .iter()
            .find_map(|line| line.strip_prefix(b"* SEARCH"))
            .expect("an answer to SEARCH");
        line.fields()
            .map(|uid| uid.to_str().unwrap().parse().unwrap())
            .collect()
    }

    /// One response: a line, and as many bytes and lines more as its literals say. No CRLF at the end.
    fn response(&mut self) -> BString {
        let mut response = Vec::new();
        loop {
            let read = self.stdout.read_until(b'\n', &mut response).unwrap();
            assert!(read > 0, "imap hung up: {}", response.as_bstr());
            let Some(literal) = literal_size(&response) else {
                response.truncate(response.trim_end_with(|c| c == '\r' || c == '\n').len());
                return response.into();
            };
            (&mut self.stdout)
                .take(literal)
                .read_to_end(&mut response)
                .unwrap();
        }
    }
}

impl Drop for Imap {
    fn drop(&mut self) {
        let _ = self.stdin.write_all(b"bye LOGOUT\r\n");
        let _ = self.stdout.read_to_end(&mut Vec::new());
        let _ = self.child.wait();
    }
}

/// `N` where a line ends in `{N}`.
fn literal_size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}\r\n")?;
    line[line.rfind_byte(b'{')? + 1..]
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// The items of `* 1 FETCH (NAME value NAME value)`. Flags are sorted: their order is the mailbox's own.
fn fetched(line: &[u8]) -> Option<Fetched> {
    let (_, mut rest) = line.strip_suffix(b")")?.split_once_str(" FETCH (")?;
    let mut items = Fetched::new();
    while let Some((name, after)) = rest.split_once_str(" ") {
        let size = value_size(after);
        let mut value = after[..size].to_vec();
        if name == b"FLAGS" {
            let mut flags = value[1..size - 1].fields().collect::<Vec<_>>();
            flags.sort_unstable();
            value = bstr::join(" ", flags);
        }
        items.insert(name.to_str_lossy().into_owned(), value.into());
        rest = after[size..].trim_start();
    }
    Some(items)
}

/// How long an atom, a string, a literal or a list in brackets is.
fn value_size(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < bytes.len() && (depth > 0 || bytes[at] != b' ') {
        match bytes[at] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'"' => at += quoted_size(&bytes[at..]) - 1,
            b'{' => {
                let line = bytes[at..].find(b"\r\n").unwrap() + 2;
                at += line + usize::try_from(literal_size(&bytes[at..at + line]).unwrap()).unwrap()
                    - 1;
            }
            _ => (),
        }
        at += 1;
    }
    at
}

fn quoted_size(bytes: &[u8]) -> usize {
    let mut at = 1;
    while bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}
