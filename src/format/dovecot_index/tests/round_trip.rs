//! What is written is read back.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::super::cache::WHOLE_MOST;
use super::super::{Cache, CacheWriter, FixedField, Head, IndexWriter, keywords_header, load};
use super::open;
use crate::report::Finding;

const SAVED: FixedField = FixedField {
    name: "date.save",
    last_used: 0xffff_fffe,
};

/// Sizes and aligns of extension fields.
fn fields() -> impl Strategy<Value = Vec<(u16, u16)>> {
    let field = (0_u16..20, prop::sample::select(vec![1_u16, 2, 4, 8]));
    vec(field, 0..6)
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[a-z$][a-z0-9]{0,8}", 1..20)
        .prop_map(|names| names.into_iter().collect())
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        fields in fields(),
        names in names(),
        messages in btree_map(1_u32..1_000_000, (any::<u8>(), any::<[u8; 20]>()), 0..50),
        next in 1_000_000_u32..,
        modseq in 1_u64..,
    ) {
        let head = Head {
            now: 1_700_000_000,
            indexid: 5,
            uid_validity: 6,
            next_uid: next,
            first_recent_uid: next,
            log_file_seq: 2,
            initial_modseq: modseq,
        };
        let names: Vec<bstr::BString> = names.into_iter().map(Into::into).collect();
        let mut index = IndexWriter::new(head);
        let mut ids = Vec::new();
        for (nth, (size, align)) in fields.iter().enumerate() {
            ids.push(index.extension(&format!("x{nth}"), 0, vec![1; nth + 1], *size, *align));
        }
        let cache_id = index.extension("cache", 77, Vec::new(), 4, 4);
        let size = u16::try_from(names.len().div_ceil(8)).unwrap();
        let keywords = index.extension("keywords", 0, keywords_header(&names), size, 1);
        let mut cache = CacheWriter::new(5, 77, &[SAVED]);
        for (uid, (flags, bytes)) in &messages {
            let nth = index.push(*uid, *flags);
            index.set(nth, cache_id, &cache.push(&[uid + 1]).to_le_bytes());
            let mut named = *bytes;
            named[names.len() / 8] &= (1 << (names.len() % 8)) - 1;
            index.set(nth, keywords, &named);
            for id in &ids {
                index.set(nth, *id, bytes);
            }
        }

        let temp = tempfile::tempdir().unwrap();
        let dir = open(temp.path());
        dir.write("dovecot.index", &index.index_bytes()).unwrap();
        dir.write("dovecot.index.log", &index.log_bytes()).unwrap();
        dir.write("dovecot.index.cache", &cache.into_bytes()).unwrap();
        let none = &mut |finding: Finding| panic!("{finding:?}");
        let read = load(&dir, "dovecot.index", none).unwrap().unwrap();

        prop_assert!(read.uids.iter().eq(messages.keys()));
        prop_assert!(read.flags.iter().eq(messages.values().map(|(flags, _)| flags)));
        prop_assert_eq!((read.next_uid, read.highest_modseq), (next, modseq));
        prop_assert_eq!(read.keyword_names(), &names[..]);
        let cache = Cache::open(&dir, "dovecot.index.cache", &read, none).unwrap().unwrap();
        for (nth, (uid, (_, bytes))) in messages.iter().enumerate() {
            prop_assert_eq!(cache.u32_of(&read, nth, "date.save"), Some(uid + 1));
            for (ext, (size, align)) in read.extensions.iter().zip(&fields) {
                prop_assert_eq!(ext.record(nth), &bytes[..usize::from(*size)]);
                prop_assert_eq!(ext.record_align, *align);
            }
            let set = |bit: &u32| bytes[*bit as usize / 8] >> (bit % 8) & 1 == 1;
            let bits = (0..u32::try_from(names.len()).unwrap()).filter(set);
            prop_assert!(read.keywords_of(nth).eq(bits));
        }
    }
}

#[test]
fn a_cache_too_large_for_the_memory_is_read_in_pieces() {
    let temp = tempfile::tempdir().unwrap();
    let dir = open(temp.path());
    let mut index = IndexWriter::new(Head {
        now: 1,
        indexid: 5,
        uid_validity: 6,
        next_uid: 2_000_000,
        first_recent_uid: 1,
        log_file_seq: 2,
        initial_modseq: 1,
    });
    let id = index.extension("cache", 77, Vec::new(), 4, 4);
    let mut cache = CacheWriter::new(5, 77, &[SAVED]);
    for uid in 1..1_100_000 {
        let nth = index.push(uid, 0);
        index.set(nth, id, &cache.push(&[uid ^ 0x5555]).to_le_bytes());
    }
    let bytes = cache.into_bytes();
    assert!(bytes.len() as u64 > WHOLE_MOST);
    dir.write("dovecot.index", &index.index_bytes()).unwrap();
    dir.write("dovecot.index.cache", &bytes).unwrap();
    let none = &mut |finding: Finding| panic!("{finding:?}");
    let read = load(&dir, "dovecot.index", none).unwrap().unwrap();
    let cache = Cache::open(&dir, "dovecot.index.cache", &read, none)
        .unwrap()
        .unwrap();
    for nth in [0, 1, 77_777, 1_099_998] {
        assert_eq!(
            cache.u32_of(&read, nth, "date.save"),
            Some(read.uids[nth] ^ 0x5555)
        );
    }
    assert_eq!(cache.u32_of(&read, 1_099_999, "date.save"), None);
}
