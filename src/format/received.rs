//! When a message says that it came: the date of its topmost Received header, which the last server wrote.

use std::io::BufRead;

/// A header is not longer.
const HEADER_MOST: u64 = 64 * 1024;

/// The date of the topmost Received header.
pub fn date(body: impl BufRead) -> Option<i64> {
    let mut value: Option<Vec<u8>> = None;
    for line in body.take(HEADER_MOST).split(b'\n') {
        let line = line.ok()?;
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        match &mut value {
            Some(value) if folded => value.extend_from_slice(line.trim_ascii_end()),
            Some(_) => break,
            None if line.trim_ascii_end().is_empty() => return None,
            None => value = value_of(&line).map(<[u8]>::to_vec),
        }
    }
    let value = value?;
    let date = &value[memchr::memrchr(b';', &value)? + 1..];
    let text = std::str::from_utf8(date.trim_ascii()).ok()?;
    let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    let date = parser.parse_timestamp(text).ok()?;
    Some(date.as_second())
}

fn value_of(line: &[u8]) -> Option<&[u8]> {
    let (name, value) = line.split_at_checked(b"received:".len())?;
    name.eq_ignore_ascii_case(b"received:")
        .then_some(value.trim_ascii_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topmost_received_header_tells_its_date() {
        let mail = "Return-Path: <a@b.example>\r\nreceived: from x (y; z)\r\n\tby w;\r\n Tue, 5 Jan 2021 \
                    10:00:00 +0100 (CET)\r\nReceived: by q; Mon, 4 Jan 2021 10:00:00 +0000\r\n\r\nx\r\n";
        assert_eq!(date(mail.as_bytes()), Some(1_609_837_200));
        for none in [
            "Subject: x\n\nReceived: by q; Mon, 4 Jan 2021 10:00:00 +0000\n",
            "Received: by q\n\nx\n",
            "Received: by q; yesterday\n\nx\n",
            "",
        ] {
            assert_eq!(date(none.as_bytes()), None, "{none}");
        }
    }
}
