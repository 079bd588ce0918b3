//! Stores that Dovecot 2.3.19.1 made, against what it said of them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::{Cache, Index, load};
use super::open;
use crate::disk::Dir;
use crate::model::mutf7;
use crate::report::Finding;

pub(super) fn sample(path: &str) -> PathBuf {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/dovecot-2.3.19");
    samples.join(path)
}

fn mailboxes(format: &str) -> Vec<Value> {
    let json = std::fs::read(sample(&format!("{format}.json"))).unwrap();
    let truth: Value = serde_json::from_slice(&json).unwrap();
    truth["mailboxes"].as_array().unwrap().clone()
}

fn place(format: &str, name: &str) -> Dir {
    let name = mutf7::encode(name);
    let inside = match (format, name.as_str()) {
        ("maildir", "INBOX") => String::new(),
        ("maildir", name) => format!(".{}", name.replace('/', ".")),
        (_, name) => format!("mailboxes/{name}/dbox-Mails"),
    };
    open(&sample(format).join(inside))
}

fn load_clean(dir: &Dir, base: &str) -> Index {
    let none = &mut |finding: Finding| panic!("{:?}: {finding:?}", dir.path());
    load(dir, base, none).unwrap().expect("an index")
}

fn flag_names(flags: u8) -> Vec<&'static str> {
    let all = [
        (1, "\\Answered"),
        (4, "\\Deleted"),
        (0x10, "\\Draft"),
        (2, "\\Flagged"),
        (8, "\\Seen"),
    ];
    let set = all.into_iter().filter(|(bit, _)| flags & bit != 0);
    set.map(|(_, name)| name).collect()
}

fn keywords(index: &Index, nth: usize) -> Vec<String> {
    let names = index.keyword_names();
    let set = index
        .keywords_of(nth)
        .map(|bit| names[bit as usize].to_string());
    let mut set: Vec<_> = set.collect();
    set.sort();
    set
}

fn strings(value: &Value) -> Vec<String> {
    let all = value.as_array().unwrap().iter();
    let mut all: Vec<_> = all.map(|name| name.as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

fn compare(format: &str, truth: &Value) -> Index {
    let name = truth["name"].as_str().unwrap();
    let index = load_clean(&place(format, name), "dovecot.index");
    assert_eq!(index.uid_validity, truth["uidvalidity"], "{format} {name}");
    assert_eq!(index.next_uid, truth["uidnext"], "{format} {name}");
    assert_eq!(
        index.highest_modseq, truth["highestmodseq"],
        "{format} {name}"
    );
    let messages = truth["msgs"].as_array().unwrap();
    assert_eq!(index.uids.len(), messages.len(), "{format} {name}");
    compare_messages(name, &index, messages);
    for (uid, message) in index.uids.iter().zip(messages) {
        assert_eq!(*uid >= index.first_recent_uid, message["recent"], "{uid}");
    }
    index
}

fn compare_messages(name: &str, index: &Index, messages: &[Value]) {
    for (nth, message) in messages.iter().enumerate() {
        let at = format!("{name} {}", message["uid"]);
        let flags = flag_names(index.flags[nth]);
        assert_eq!(index.uids[nth], message["uid"], "{at}");
        assert_eq!(flags, strings(&message["flags"]), "{at}");
        assert_eq!(keywords(index, nth), strings(&message["keywords"]), "{at}");
    }
}

fn guid(index: &Index, extension: &str) -> String {
    let header = &index.extension(extension).expect(extension).header;
    data_encoding::HEXLOWER.encode(&header[4..20])
}

#[test]
fn an_sdbox_store_with_logs_alone_is_read_as_dovecot_read_it() {
    for truth in mailboxes("sdbox") {
        let index = compare("sdbox", &truth);
        assert_eq!(guid(&index, "dbox-hdr"), truth["guid"]);
    }
}

#[test]
fn an_mdbox_store_is_read_as_dovecot_read_it() {
    for truth in mailboxes("mdbox") {
        let index = compare("mdbox", &truth);
        assert_eq!(guid(&index, "mdbox-hdr"), truth["guid"]);
        let messages = truth["msgs"].as_array().unwrap();
        let mdbox = index.extension("mdbox").unwrap();
        for (nth, message) in messages.iter().enumerate() {
            let saved = u32::from_le_bytes(mdbox.record(nth)[4..8].try_into().unwrap());
            assert_eq!(saved, message["saved"]);
        }
    }
}

#[test]
fn the_map_of_an_mdbox_that_is_a_log_alone_has_each_message_once() {
    let map = load_clean(&open(&sample("mdbox/storage")), "dovecot.map.index");
    let mut wanted = Vec::new();
    for truth in mailboxes("mdbox") {
        let name = truth["name"].as_str().unwrap();
        let index = load_clean(&place("mdbox", name), "dovecot.index");
        let mdbox = index.extension("mdbox").unwrap();
        let uids = (0..index.uids.len()).map(|nth| mdbox.record(nth)[..4].to_vec());
        wanted.extend(uids.map(|uid| u32::from_le_bytes(uid.try_into().unwrap())));
    }
    let refs = map.extension("ref").unwrap();
    for (nth, uid) in map.uids.iter().enumerate() {
        let count = wanted.iter().filter(|wanted| *wanted == uid).count();
        assert_eq!(
            refs.record(nth),
            u16::try_from(count).unwrap().to_le_bytes()
        );
    }
    assert!(wanted.iter().all(|uid| map.position(*uid).is_some()));
    assert_eq!(map.extension("map").unwrap().record_size, 12);
}

#[test]
fn the_indexes_of_a_maildir_store_say_what_dovecot_said_as_far_as_they_go() {
    for truth in mailboxes("maildir") {
        let name = truth["name"].as_str().unwrap();
        let index = load_clean(&place("maildir", name), "dovecot.index");
        // Files that came later are not in it yet; of one mailbox there is nothing but its beginning.
        let behind = match name {
            "Sent" => 2,
            "Archive/2020/Q\u{e4}" => 1,
            _ => 0,
        };
        if behind == 0 {
            compare("maildir", &truth);
        }
        let messages = truth["msgs"].as_array().unwrap();
        assert_eq!(index.uids.len() + behind, messages.len(), "{name}");
        compare_messages(name, &index, &messages[..index.uids.len()]);
    }
}

#[test]
fn the_first_keyword_takes_an_extension_id_that_no_record_introduces() {
    let index = load_clean(&place("sdbox", "INBOX"), "dovecot.index");
    let names: Vec<_> = index.extensions.iter().map(|ext| &ext.name[..]).collect();
    assert!(names.contains(&"keywords"), "{names:?}");
    let log = std::fs::read(sample("sdbox/mailboxes/INBOX/dbox-Mails/dovecot.index.log")).unwrap();
    assert!(memchr::memmem::find(&log, b"keywords").is_none());
}

/// How many messages of a store have their virtual size in a cache; each must be right.
fn cached_sizes(format: &str) -> usize {
    let mut known = 0;
    for truth in mailboxes(format) {
        let dir = place(format, truth["name"].as_str().unwrap());
        let index = load_clean(&dir, "dovecot.index");
        let none = &mut |finding: Finding| panic!("{:?}: {finding:?}", dir.path());
        let cache = Cache::open(&dir, "dovecot.index.cache", &index, none);
        let cache = cache.unwrap().expect("a cache");
        for (nth, message) in truth["msgs"].as_array().unwrap().iter().enumerate() {
            if let Some(size) = cache.u64_of(&index, nth, "size.virtual") {
                assert_eq!(size, message["size_virtual"], "{message}");
                known += 1;
            }
            // Dovecot knows the field and keeps it in none of these stores.
            assert!(cache.has("date.save"));
            assert_eq!(cache.u32_of(&index, nth, "date.save"), None);
        }
    }
    known
}

#[test]
fn what_the_caches_of_real_stores_keep_is_found() {
    // Of 19 messages, Trash and the last of INBOX were never asked for their size. In INBOX each size
    // is in the older record of two.
    assert_eq!(cached_sizes("sdbox"), 17);
    assert_eq!(cached_sizes("mdbox"), 17);
}

#[test]
fn a_cache_can_be_asked_from_several_threads() {
    fn shared<T: Sync + Send>() {}
    shared::<Cache>();
    shared::<Index>();
}
