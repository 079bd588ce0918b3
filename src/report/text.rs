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

fn push_hex(out: &mut String, byte: u8) {
    use std::fmt::Write;
    write!(out, "\\x{byte:02X}").expect("BUG: writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_a_user_named_a_file_reaches_the_terminal_raw() {
        assert_eq!(escape("Entwürfe".as_bytes()), "Entwürfe");
        assert_eq!(escape(b"a\xffb\x1b[31m\n"), "a\\xFFb\\x1B[31m\\x0A");
    }
}
