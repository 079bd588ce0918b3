use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read, Write};

use proptest::prelude::*;

use super::{Codec, decoder, is_encrypted, lz4};

const ALL: [Codec; 5] = [Codec::Gz, Codec::Bz2, Codec::Zstd, Codec::Xz, Codec::Lz4];

fn coat(codec: Codec, plain: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Gz => {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gz.write_all(plain).unwrap();
            gz.finish().unwrap()
        }
        Codec::Bz2 => {
            let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            bz2.write_all(plain).unwrap();
            bz2.finish().unwrap()
        }
        Codec::Zstd => {
            let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
            zstd.include_checksum(true).unwrap();
            zstd.write_all(plain).unwrap();
            zstd.finish().unwrap()
        }
        Codec::Xz => {
            let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
            xz.write_all(plain).unwrap();
            xz.finish().unwrap()
        }
        Codec::Lz4 => lz4_file(plain, 64 * 1024),
    }
}

fn lz4_file(plain: &[u8], chunk: u32) -> Vec<u8> {
    let mut out = lz4::MAGIC.to_vec();
    out.extend(chunk.to_be_bytes());
    for piece in plain.chunks(chunk as usize) {
        let block = lz4_flex::block::compress(piece);
        out.extend(u32::try_from(block.len()).unwrap().to_be_bytes());
        out.extend(block);
    }
    out
}

/// Everything that comes out, and how it ends.
fn take_off(codec: Codec, coated: &[u8]) -> (Vec<u8>, Result<(), ErrorKind>) {
    drain(decoder(codec, Box::new(coated)))
}

fn drain(mut reader: impl Read) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut plain = Vec::new();
    let end = reader.read_to_end(&mut plain);
    (plain, end.map(|_| ()).map_err(|error| error.kind()))
}

/// A mail that does not compress to nothing: text, and numbers like noise.
fn mail(lines: u32) -> Vec<u8> {
    let mut out = b"Subject: hello\n\n".to_vec();
    for nth in 0..lines {
        let noise = nth.wrapping_mul(2_654_435_761);
        writeln!(out, "line {nth} of a mail, {noise:08x}").unwrap();
    }
    out
}

#[test]
fn every_codec_is_known_by_its_first_bytes_and_gives_back_the_mail() {
    for plain in [mail(0), mail(3), mail(20_000), vec![b'x'; 3_000_000]] {
        for codec in ALL {
            let coated = coat(codec, &plain);
            let magic = &coated[..coated.len().min(Codec::MAGIC_LEN)];
            assert_eq!(Codec::of(magic), Some(codec));
            assert_eq!(
                take_off(codec, &coated),
                (plain.clone(), Ok(())),
                "{codec:?}"
            );
        }
    }
    assert_eq!(Codec::of(b"From: me\n"), None);
    assert_eq!(Codec::of(b"BZh0"), None);
    assert_eq!(Codec::of(b""), None);
}

#[test]
fn an_empty_mail_has_a_coat_too_but_an_empty_file_is_damaged() {
    for codec in ALL {
        assert_eq!(
            take_off(codec, &coat(codec, b"")),
            (vec![], Ok(())),
            "{codec:?}"
        );
        assert_eq!(take_off(codec, b""), (vec![], Err(ErrorKind::InvalidData)));
    }
}

#[test]
fn a_stream_cut_anywhere_gives_the_beginning_of_the_mail_and_then_says_so() {
    let plain = mail(40);
    for codec in ALL {
        let coated = match codec {
            Codec::Lz4 => lz4_file(&plain, 300),
            _ => coat(codec, &plain),
        };
        let chunk_ends = chunk_ends(codec, &coated);
        for cut in 0..coated.len() {
            let (part, end) = take_off(codec, &coated[..cut]);
            assert!(plain.starts_with(&part), "{codec:?} cut at {cut}");
            if chunk_ends.contains(&cut) {
                // lz4 has no trailer: between two chunks nothing says that more should come.
                assert_eq!(end, Ok(()), "{codec:?} cut at {cut}");
            } else {
                assert_eq!(end, Err(ErrorKind::InvalidData), "{codec:?} cut at {cut}");
            }
        }
    }
}

fn chunk_ends(codec: Codec, coated: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = lz4::MAGIC.len() + 4;
    while codec == Codec::Lz4 && at < coated.len() {
        ends.push(at);
        at += 4 + u32::from_be_bytes(coated[at..at + 4].try_into().unwrap()) as usize;
    }
    ends
}

#[test]
fn a_cut_loses_little_more_than_what_was_cut_off() {
    let plain = mail(100);
    for codec in [Codec::Gz, Codec::Lz4] {
        let coated = coat(codec, &plain);
        let (part, _) = take_off(codec, &coated[..coated.len() - 20]);
        assert!(part.len() + 500 > plain.len(), "{codec:?}: {}", part.len());
    }
    // The others work in blocks: the whole ones before the cut are there.
    let plain = mail(100_000);
    for (codec, block) in [
        (Codec::Bz2, 100_000),
        (Codec::Zstd, 128 * 1024),
        (Codec::Xz, 5000),
    ] {
        let coated = coat(codec, &plain);
        let (part, _) = take_off(codec, &coated[..coated.len() - 20]);
        assert!(
            part.len() + block > plain.len(),
            "{codec:?}: {}",
            part.len()
        );
    }
}

#[test]
fn a_wrong_checksum_is_noticed_after_the_whole_mail_was_delivered() {
    let plain = mail(10_000);
    let from_end = [
        (Codec::Gz, 8),
        (Codec::Gz, 4),
        (Codec::Zstd, 4),
        (Codec::Bz2, 2),
    ];
    for (codec, from_end) in from_end {
        let mut coated = coat(codec, &plain);
        let at = coated.len() - from_end;
        coated[at] ^= 0x10;
        let expected = (plain.clone(), Err(ErrorKind::InvalidData));
        assert!(take_off(codec, &coated) == expected, "{codec:?}");
    }
}

#[test]
fn a_damaged_header_of_a_zstd_block_does_not_take_the_block_before_with_it() {
    let plain: Vec<u8> = mail(20_000)[..300 * 1024].to_vec();
    let coated = coat(Codec::Zstd, &plain);
    // Frame header: magic, descriptor, window; then blocks {header(3), body}.
    let header = &coated[6..9];
    let size = (u32::from_le_bytes([header[0], header[1], header[2], 0]) >> 3) as usize;
    let mut damaged = coated.clone();
    damaged[9 + size] |= 0x06; // the reserved block type
    let (part, end) = take_off(Codec::Zstd, &damaged);
    assert_eq!(end, Err(ErrorKind::InvalidData));
    assert_eq!(part.len(), 128 * 1024);
    assert!(plain.starts_with(&part));
}

#[test]
fn streams_one_after_the_other_are_one_mail_and_nuls_after_them_are_padding() {
    let (one, two) = (mail(10), mail(20));
    let whole = [one.clone(), two.clone()].concat();
    for codec in [Codec::Gz, Codec::Bz2, Codec::Zstd, Codec::Xz] {
        let mut coated = [coat(codec, &one), coat(codec, &two)].concat();
        assert_eq!(
            take_off(codec, &coated),
            (whole.clone(), Ok(())),
            "{codec:?}"
        );
        coated.extend([0; 1001]);
        assert_eq!(
            take_off(codec, &coated),
            (whole.clone(), Ok(())),
            "{codec:?}"
        );
        coated.push(b'x');
        let expected = (whole.clone(), Err(ErrorKind::InvalidData));
        assert_eq!(take_off(codec, &coated), expected, "{codec:?}");
    }
}

#[test]
fn bytes_after_the_end_are_damage_but_cost_nothing_that_stands_before() {
    let plain = mail(10);
    for codec in ALL {
        for garbage in [
            &b"x"[..],
            b"\nmore text after the end",
            b"\x1f",
            b"\xff\xff\xff\xff",
        ] {
            let coated = [&coat(codec, &plain)[..], garbage].concat();
            let expected = (plain.clone(), Err(ErrorKind::InvalidData));
            assert_eq!(take_off(codec, &coated), expected, "{codec:?}");
        }
    }
}

#[test]
fn every_optional_field_of_a_gzip_header_is_skipped() {
    let plain = mail(10);
    let body = coat(Codec::Gz, &plain)[10..].to_vec();
    for flags in 0..0x20_u8 {
        let mut coated = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        if flags & 4 != 0 {
            coated.extend(b"\x05\x00extra");
        }
        if flags & 8 != 0 {
            coated.extend(b"name\0");
        }
        if flags & 16 != 0 {
            coated.extend(b"comment\0");
        }
        if flags & 2 != 0 {
            coated.extend([0, 0]);
        }
        coated.extend(&body);
        assert_eq!(
            take_off(Codec::Gz, &coated),
            (plain.clone(), Ok(())),
            "flags {flags:#x}"
        );
        let bytewise = BufReader::with_capacity(1, &coated[..]);
        let read = drain(decoder(Codec::Gz, Box::new(bytewise)));
        assert_eq!(read, (plain.clone(), Ok(())), "flags {flags:#x}");
    }
}

#[test]
fn what_an_lz4_header_claims_is_not_believed() {
    let refused = (vec![], Err(ErrorKind::InvalidData));
    for claim in [0_u32, (16 << 20) + 1, u32::MAX] {
        let coated = [lz4::MAGIC, &claim.to_be_bytes(), b"\0\0\0\x02\x10a"].concat();
        assert_eq!(take_off(Codec::Lz4, &coated), refused, "chunks of {claim}");
    }
    for length in [0_u32, 1 << 20, u32::MAX] {
        let coated = [lz4::MAGIC, b"\0\x01\0\0", &length.to_be_bytes()].concat();
        assert_eq!(
            take_off(Codec::Lz4, &coated),
            refused,
            "a chunk of {length}"
        );
    }
    let more_than_said = lz4_file(&mail(10), 1000);
    let less = [lz4::MAGIC, &100_u32.to_be_bytes(), &more_than_said[19..]].concat();
    let (part, end) = take_off(Codec::Lz4, &less);
    assert_eq!(end, Err(ErrorKind::InvalidData));
    assert!(part.len() <= 100 && mail(10).starts_with(&part));
}

#[test]
fn a_stream_that_wants_more_memory_than_it_may_is_refused() {
    // A zstd frame with a window of 2^31 bytes, and the dictionary of `xz -9e` made larger by hand.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    assert_eq!(
        take_off(Codec::Zstd, &zstd),
        (vec![], Err(ErrorKind::InvalidData))
    );
    let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    options.dict_size(256 << 20);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(&options);
    let check = liblzma::stream::Check::Crc32;
    let stream = liblzma::stream::Stream::new_stream_encoder(&filters, check).unwrap();
    let mut xz = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    xz.write_all(b"small").unwrap();
    let coated = xz.finish().unwrap();
    assert_eq!(
        take_off(Codec::Xz, &coated),
        (vec![], Err(ErrorKind::InvalidData))
    );
}

/// A file whose device fails at its end, after a signal now and then.
struct Failing<'a> {
    rest: &'a [u8],
    with: ErrorKind,
    signals: bool,
}

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.signals = !self.signals;
        if self.signals {
            return Err(ErrorKind::Interrupted.into());
        }
        if self.rest.is_empty() {
            return Err(self.with.into());
        }
        let most = buffer.len().min(7);
        self.rest.read(&mut buffer[..most])
    }
}

#[test]
fn an_error_of_the_file_keeps_its_kind_and_comes_after_what_could_be_decoded() {
    let plain = mail(30);
    for codec in ALL {
        let coated = coat(codec, &plain);
        for (cut, with) in [
            (0, ErrorKind::PermissionDenied),
            (3, ErrorKind::Other),
            (coated.len() / 2, ErrorKind::UnexpectedEof),
            (coated.len(), ErrorKind::TimedOut),
        ] {
            let rest = &coated[..cut];
            let file = Failing {
                rest,
                with,
                signals: false,
            };
            let mut reader = decoder(codec, Box::new(BufReader::new(file)));
            let (part, end) = drain(&mut reader);
            assert_eq!(end, Err(with), "{codec:?} cut at {cut}");
            assert_eq!(part, take_off(codec, rest).0, "{codec:?} cut at {cut}");
            let again = reader.fill_buf().map(<[u8]>::len);
            assert_eq!(again.map_err(|error| error.kind()), Err(with));
        }
    }
}

#[test]
fn damage_is_told_again_to_whoever_asks_again() {
    let coated = &coat(Codec::Gz, b"mail")[..20];
    let mut reader = decoder(Codec::Gz, Box::new(coated));
    let first = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(first.to_string(), "gz: the stream ends early");
    let second = reader.fill_buf().unwrap_err();
    assert_eq!(second.kind(), ErrorKind::InvalidData);
}

#[test]
fn pieces_are_small_however_large_the_mail_is() {
    let plain = vec![b' '; 5 << 20];
    for codec in ALL {
        let coated = match codec {
            Codec::Lz4 => lz4_file(&plain, 16 << 20),
            _ => coat(codec, &plain),
        };
        let mut reader = decoder(codec, Box::new(Cursor::new(coated)));
        let mut sum = 0;
        loop {
            let piece = reader.fill_buf().unwrap().len();
            assert!(piece <= 128 * 1024, "{codec:?}");
            if piece == 0 {
                break;
            }
            reader.consume(piece);
            sum += piece;
        }
        assert_eq!(sum, plain.len(), "{codec:?}");
    }
}

#[test]
fn an_encrypted_mail_is_recognised() {
    assert!(is_encrypted(b"CRYPTED\x03\x07\x02rest"));
    assert!(!is_encrypted(b"CRYPTED\x03"));
    assert!(!is_encrypted(b"From: me"));
}

fn any_codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(&ALL[..])
}

fn some_mail() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..2000),
        (0..400_u32).prop_map(mail),
    ]
}

proptest! {
    #[test]
    fn what_was_coated_comes_back(codec in any_codec(), plain in some_mail(), step in 1..64_usize) {
        let coated = coat(codec, &plain);
        let inner = BufReader::with_capacity(step, &coated[..]);
        prop_assert_eq!(drain(decoder(codec, Box::new(inner))), (plain, Ok(())));
    }

    #[test]
    fn flipped_bits_never_panic_and_end_well_or_as_damage(
        codec in any_codec(),
        plain in some_mail(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4),
    ) {
        let mut coated = coat(codec, &plain);
        for (at, bit) in flips {
            let at = at.index(coated.len());
            coated[at] ^= 1 << bit;
        }
        let (_, end) = take_off(codec, &coated);
        prop_assert!(matches!(end, Ok(()) | Err(ErrorKind::InvalidData)), "{:?}", end);
    }

    #[test]
    fn noise_behind_a_magic_never_panics(
        codec in any_codec(),
        keep in 0..24_usize,
        noise in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        let mut coated = coat(codec, b"mail");
        coated.truncate(keep);
        coated.extend(noise);
        let (_, end) = take_off(codec, &coated);
        prop_assert!(matches!(end, Ok(()) | Err(ErrorKind::InvalidData)), "{:?}", end);
    }
}
