//! What the description of the formats says a file is, byte by byte.

use data_encoding::HEXLOWER_PERMISSIVE;

use super::super::{Cache, CacheWriter, FixedField, Head, IndexWriter, keywords_header, load};
use super::vectors::{CACHE, LOG, MAP_INDEX, MDBOX_INDEX, SDBOX_INDEX};
use super::{assemble, open};

const NOW: u32 = 1_700_000_000;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).unwrap()
}

fn head() -> Head {
    Head {
        now: NOW,
        indexid: NOW,
        uid_validity: 1_600_000_000,
        next_uid: 10,
        first_recent_uid: 7,
        log_file_seq: 2,
        initial_modseq: 1,
    }
}

fn keywords() -> Vec<u8> {
    keywords_header(&["$Label1".into(), "Work".into()])
}

/// The header data of `dbox-hdr` and `mdbox-hdr`: a number, then the mailbox GUID 00 to 0f.
fn dbox_header(number: u32) -> Vec<u8> {
    let mut header = number.to_le_bytes().to_vec();
    header.extend(0..16);
    header.extend([0; 4]);
    header
}

fn sdbox() -> IndexWriter {
    let mut index = IndexWriter::new(head());
    let dbox = index.extension("dbox-hdr", 0, Vec::new(), 0, 0);
    index.extension("hdr-pop3-uidl", 0, vec![0; 4], 0, 0);
    let labels = index.extension("keywords", 0, keywords(), 1, 1);
    let cache = index.extension("cache", NOW, Vec::new(), 4, 4);
    for (uid, flags, label, offset) in [(3, 0x0a, 2, 0x70), (7, 0, 1, 0xa4_u32)] {
        let nth = index.push(uid, flags);
        index.set(nth, labels, &[label]);
        index.set(nth, cache, &offset.to_le_bytes());
    }
    index.set_header(dbox, dbox_header(0));
    index
}

fn mdbox() -> IndexWriter {
    let mut index = IndexWriter::new(head());
    index.extension("mdbox-hdr", 0, dbox_header(NOW), 0, 0);
    let mdbox = index.extension("mdbox", 0, Vec::new(), 8, 4);
    let guid = index.extension("guid", 0, Vec::new(), 16, 1);
    index.extension("hdr-pop3-uidl", 0, vec![0; 4], 0, 0);
    let labels = index.extension("keywords", 0, keywords(), 1, 1);
    let first = "101112131415161718191a1b1c1d1e1f";
    let second = "cec42c621216ea704dc31bfec7e0f67a";
    let messages = [(3, 0x0a, 2, 1_u32, first), (7, 0, 1, 2, second)];
    for (uid, flags, label, map_uid, id) in messages {
        let nth = index.push(uid, flags);
        let saved = 1_600_000_000 + map_uid;
        let record = [map_uid.to_le_bytes(), saved.to_le_bytes()].concat();
        index.set(nth, mdbox, &record);
        index.set(nth, guid, &bytes(id));
        index.set(nth, labels, &[label]);
    }
    index
}

fn map() -> IndexWriter {
    let mut index = IndexWriter::for_map(Head {
        uid_validity: NOW,
        next_uid: 3,
        first_recent_uid: 1,
        ..head()
    });
    let header = [1_u32.to_le_bytes(), [0; 4]].concat();
    let map = index.extension("map", 0, header, 12, 4);
    let refs = index.extension("ref", 0, Vec::new(), 2, 2);
    for (uid, offset, size) in [(1, 0x10_u32, 0x68_u32), (2, 0x78, 0x59)] {
        let nth = index.push(uid, 0);
        let numbers = [1_u32, offset, size].map(u32::to_le_bytes);
        index.set(nth, map, &numbers.concat());
        index.set(nth, refs, &[1, 0]);
    }
    index
}

#[test]
fn the_index_of_an_sdbox_mailbox_is_written_byte_by_byte_as_described() {
    assert_eq!(sdbox().index_bytes(), bytes(SDBOX_INDEX));
    assert_eq!(sdbox().log_bytes(), bytes(LOG));
}

#[test]
fn the_index_of_an_mdbox_mailbox_is_written_byte_by_byte_as_described() {
    assert_eq!(mdbox().index_bytes(), bytes(MDBOX_INDEX));
    assert_eq!(mdbox().log_bytes(), bytes(LOG));
}

#[test]
fn the_map_of_an_mdbox_is_written_byte_by_byte_as_described() {
    assert_eq!(map().index_bytes(), bytes(MAP_INDEX));
    assert_eq!(map().log_bytes(), bytes(LOG));
}

#[test]
fn an_index_written_in_pieces_is_the_same() {
    let mut pieces = Vec::new();
    mdbox().write_index(&mut pieces).unwrap();
    assert_eq!(pieces, bytes(MDBOX_INDEX));
}

#[test]
fn the_described_sdbox_index_is_read_as_it_was_meant() {
    let (index, found) = assemble(Some(&bytes(SDBOX_INDEX)), [None, Some(&bytes(LOG))]);
    let index = index.unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!((index.indexid, index.uid_validity), (NOW, 1_600_000_000));
    assert_eq!((index.next_uid, index.first_recent_uid), (10, 7));
    assert_eq!((index.highest_modseq, index.deleted), (1, false));
    assert_eq!(
        (&index.uids[..], &index.flags[..]),
        (&[3, 7][..], &[0x0a, 0][..])
    );
    assert_eq!(index.keyword_names(), ["$Label1", "Work"]);
    assert_eq!(index.keywords_of(0).collect::<Vec<_>>(), [1]);
    assert_eq!(index.keywords_of(1).collect::<Vec<_>>(), [0]);
    assert_eq!(index.keywords_of(2).count(), 0);
    assert_eq!(index.extension("dbox-hdr").unwrap().header, dbox_header(0));
    assert_eq!((index.position(7), index.position(4)), (Some(1), None));
}

#[test]
fn the_described_mdbox_index_and_map_are_read_as_they_were_meant() {
    let (index, _) = assemble(Some(&bytes(MDBOX_INDEX)), [None, None]);
    let index = index.unwrap();
    let record = index.extension("mdbox").unwrap().record(1);
    assert_eq!(record[..4], [2, 0, 0, 0]);
    let guid = index.extension("guid").unwrap().record(0);
    assert_eq!(guid, (0x10..0x20).collect::<Vec<u8>>());
    assert!(index.extension("mdbox-hdr").unwrap().record(0).is_empty());
    let (map, _) = assemble(Some(&bytes(MAP_INDEX)), [None, Some(&bytes(LOG))]);
    let map = map.unwrap();
    let record = map.extension("map").unwrap().record(1);
    assert_eq!(record, [1, 0, 0, 0, 0x78, 0, 0, 0, 0x59, 0, 0, 0]);
    assert_eq!(map.extension("ref").unwrap().record(1), [1, 0]);
    assert!(map.extension("ref").unwrap().record(2).is_empty());
}

#[test]
fn the_dates_in_the_described_cache_are_read() {
    let temp = tempfile::tempdir().unwrap();
    let dir = open(temp.path());
    dir.write("dovecot.index", &bytes(SDBOX_INDEX)).unwrap();
    dir.write("dovecot.index.cache", &bytes(CACHE)).unwrap();
    let none = &mut |finding| panic!("{finding:?}");
    let index = load(&dir, "dovecot.index", none).unwrap().unwrap();
    let cache = Cache::open(&dir, "dovecot.index.cache", &index, none);
    let cache = cache.unwrap().unwrap();
    assert!(cache.has("date.save") && cache.has("hdr.subject") && !cache.has("date.sent"));
    let dates = |field| [0, 1, 2].map(|nth| cache.u32_of(&index, nth, field));
    assert_eq!(
        dates("date.save"),
        [Some(1_600_000_001), Some(1_600_000_002), None]
    );
    assert_eq!(
        dates("date.received"),
        [Some(1_500_000_000), Some(1_500_000_060), None]
    );
    assert_eq!(dates("hdr.subject"), [None, None, None]);
}

#[test]
fn a_cache_of_save_dates_is_written_as_the_described_one_is() {
    let mut cache = CacheWriter::new(
        NOW,
        NOW,
        &[
            FixedField {
                name: "date.save",
                last_used: NOW,
            },
            FixedField {
                name: "date.received",
                last_used: 0xffff_fffe,
            },
        ],
    );
    let offsets = [[1, 2], [3, 4]].map(|values| cache.push(&values));
    let written = cache.into_bytes();
    let described = bytes(CACHE);
    assert_eq!(offsets, [0x58, 0x70]);
    assert_eq!(written[..20], described[..20]);
    assert_eq!(written[20..24], 0x88_u32.to_le_bytes());
    assert_eq!(written[24..36], described[24..36]);
    let fields = "
        38000000 02000000 00f15365 feffffff 04000000 04000000 0000 0202
        646174652e7361766500 646174652e726563656976656400
        00000000 18000000 00000000 01000000 01000000 02000000
        00000000 18000000 00000000 03000000 01000000 04000000
    ";
    assert_eq!(written[36..], bytes(fields));
}

#[test]
fn a_keyword_header_that_is_damaged_gives_what_stands_before_the_damage() {
    let header = keywords();
    let names = |header: &[u8]| super::super::keywords::names_in(header);
    assert_eq!(names(&header), ["$Label1", "Work"]);
    assert_eq!(names(&header[..29]), ["$Label1"]);
    assert_eq!(names(&header[..10]), [""; 0]);
    let mut many = header.clone();
    many[..4].copy_from_slice(&[0xff; 4]);
    assert_eq!(names(&many), [""; 0]);
}
