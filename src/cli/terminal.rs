//! How wide text may be, and where complaints go.

use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::os::fd::AsFd;

use super::render::broken;

/// Where no terminal says how wide it is.
const ELSEWHERE: usize = 80;
/// Narrower text is hard to read, and so is wider.
const NARROWEST: usize = 60;
const WIDEST: usize = 100;

/// For what goes to standard output.
pub fn width() -> usize {
    width_of(&stdout()).unwrap_or(ELSEWHERE)
}

/// For what goes to standard error.
pub fn width_of_complaints() -> usize {
    width_of(&stderr()).unwrap_or(ELSEWHERE)
}

/// Lines to standard error, broken at words like all else that a person reads there.
#[derive(Default)]
pub struct Complaints;

impl Write for Complaints {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        complain(&broken(&text, width_of_complaints()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// To standard error. A full disk below it ends no run.
pub fn complain(text: &str) {
    let _ = stderr().lock().write_all(text.as_bytes());
}

fn width_of(out: &(impl AsFd + IsTerminal)) -> Option<usize> {
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(out).ok()?;
    Some(readable(size.ws_col.into()))
}

/// A terminal that says 0 knows nothing.
fn readable(columns: usize) -> usize {
    match columns {
        0 => ELSEWHERE,
        columns => columns.clamp(NARROWEST, WIDEST),
    }
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn text_is_as_wide_as_the_terminal_within_reason() {
        assert_eq!([0, 20, 72, 300].map(readable), [80, 60, 72, 100]);
    }
}
