//! Bytes that users chose, made safe to print.

/// Bytes as text: what is not UTF-8, and control characters, as `\xNN`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    push_hex(&mut out, byte);
                }
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            push_hex(&mut out, *byte);
        }
    }
    out
}

/// `1 message`, `2 messages`: a number and what it counts.
pub fn counted(count: impl Into<i128>, what: &str) -> String {
    let count = count.into();
    let plural = match (count, what) {
        (1, _) => "",
        (_, "mailbox") => "es",
        _ => "s",
    };
    format!("{count} {what}{plural}")
}

fn push_hex(out: &mut String, byte: u8) {
    use std::fmt::Write;
    write!(out, "\\x{byte:02X}").expect("BUG: writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::{counted, escape};

    #[test]
    fn one_of_a_kind_is_not_many() {
        assert_eq!(counted(1, "message"), "1 message");
        assert_eq!(counted(0, "message"), "0 messages");
        assert_eq!(counted(-1, "byte"), "-1 bytes");
        assert_eq!(counted(2, "mailbox"), "2 mailboxes");
    }

    #[test]
    fn nothing_a_user_named_a_file_reaches_the_terminal_raw() {
        assert_eq!(escape("Entwürfe".as_bytes()), "Entwürfe");
        assert_eq!(escape(b"a\xffb\x1b[31m\n"), "a\\xFFb\\x1B[31m\\x0A");
    }
}
