//! Messages as people get them: log-normal sizes, some with attachments; always the same ones.

use std::f64::consts::TAU;

use data_encoding::BASE64;

/// A stream of numbers that is the same on every machine (`SplitMix64`).
pub struct Numbers(pub u64);

impl Numbers {
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("BUG: it is below a usize")
    }

    /// True `times` in a hundred.
    pub fn percent(&mut self, times: usize) -> bool {
        self.below(100) < times
    }

    /// Between 0 and 1.
    fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).expect("BUG: 32 bits")) / f64::from(u32::MAX)
    }

    /// A size around `median`, log-normal.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size"
    )]
    pub fn size(&mut self, median: f64, sigma: f64) -> usize {
        let radius = (-2.0 * self.share().max(1e-9).ln()).sqrt();
        let normal = radius * (TAU * self.share()).cos();
        (median * (sigma * normal).exp()) as usize
    }
}

const WORDS: [&str; 24] = [
    "minutes", "of", "the", "meeting", "on", "Tuesday", "please", "find", "attached", "our",
    "offer", "for", "two", "hundred", "chairs", "and", "a", "table", "regards", "invoice",
    "number", "was", "paid", "already",
];

/// What a message is made of.
pub struct Mail {
    /// Bytes of text.
    pub text: usize,
    /// Bytes of each attachment, before base64.
    pub attachments: Vec<usize>,
}

impl Mail {
    /// One like those that lie in most mailboxes.
    pub fn usual(numbers: &mut Numbers) -> Self {
        let text = numbers.size(2200.0, 1.1);
        let count = if numbers.percent(16) {
            1 + numbers.below(3)
        } else {
            0
        };
        let attachments = (0..count).map(|_| numbers.size(12_000.0, 1.6).min(12 << 20));
        Self {
            text,
            attachments: attachments.collect(),
        }
    }

    /// A short note.
    pub fn small(numbers: &mut Numbers) -> Self {
        Self {
            text: 400 + numbers.below(1000),
            attachments: Vec::new(),
        }
    }

    /// The whole message, with LF line ends as Dovecot stores it.
    pub fn bytes(&self, nth: usize, numbers: &mut Numbers) -> Vec<u8> {
        let mut out = head(nth, numbers);
        if self.attachments.is_empty() {
            out.extend(b"Content-Type: text/plain; charset=utf-8\n\n");
            text(&mut out, self.text, numbers);
            return out;
        }
        out.extend(b"Content-Type: multipart/mixed; boundary=\"=_part\"\n\n--=_part\n");
        out.extend(b"Content-Type: text/plain; charset=utf-8\n\n");
        text(&mut out, self.text, numbers);
        for size in &self.attachments {
            out.extend(b"\n--=_part\nContent-Type: application/octet-stream; name=\"offer.bin\"\n");
            out.extend(b"Content-Transfer-Encoding: base64\n\n");
            base64(&mut out, *size, numbers);
        }
        out.extend(b"\n--=_part--\n");
        out
    }
}

fn head(nth: usize, numbers: &mut Numbers) -> Vec<u8> {
    let id = numbers.next();
    let by = numbers.below(40);
    let hop = |hop: usize| {
        format!(
            "Received: from mx{hop}.example.org (mx{hop}.example.org [192.0.2.{by}])\n\
             \tby mail.example.net (Postfix) with ESMTPS id {id:016X}\n\
             \tfor <someone@example.net>; Mon, 15 Feb 2016 10:22:31 +0100 (CET)\n"
        )
    };
    let hops: String = (0..=numbers.below(4)).map(hop).collect();
    let head = format!(
        "Return-Path: <sender@example.org>\n{hops}\
         DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=mail;\n\
         \tb={id:016x}{id:016x}{id:016x}{id:016x}\n\
         Message-ID: <{id:016x}.{nth}@example.org>\nFrom: Sender {by} <sender{by}@example.org>\n\
         To: someone@example.net\nSubject: Offer {nth}\nDate: Mon, 15 Feb 2016 10:22:30 +0100\n\
         MIME-Version: 1.0\n"
    );
    head.into_bytes()
}

/// Lines of words.
fn text(out: &mut Vec<u8>, size: usize, numbers: &mut Numbers) {
    let end = out.len() + size;
    let mut line = 0;
    while out.len() < end {
        let word = WORDS[numbers.below(WORDS.len())].as_bytes();
        line += word.len() + 1;
        out.extend(word);
        out.push(if line > 64 { b'\n' } else { b' ' });
        if line > 64 {
            line = 0;
        }
    }
    out.push(b'\n');
}

/// Lines of 76 characters of what looks like noise.
fn base64(out: &mut Vec<u8>, size: usize, numbers: &mut Numbers) {
    let mut noise = [0; 57];
    for at in (0..size).step_by(noise.len()) {
        let piece = &mut noise[..(size - at).min(57)];
        for eight in piece.chunks_mut(8) {
            eight.copy_from_slice(&numbers.next().to_le_bytes()[..eight.len()]);
        }
        let from = out.len();
        out.resize(from + BASE64.encode_len(piece.len()), 0);
        BASE64.encode_mut(piece, &mut out[from..]);
        out.push(b'\n');
    }
}
