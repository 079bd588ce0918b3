//! How each store of `testdata/broken` was broken.
//!
//! ```text
//! cargo test --test it -- --ignored broken_stores_are_made_anew
//! ```
//! makes them again, from the stores of `testdata/dovecot-2.3.19` and, where a whole index is needed, from a
//! conversion of one.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Damaged;
use crate::harness::gz;
use crate::harness::maildir::{mail, scratch};
use crate::harness::run::Run;
use crate::harness::testdata;

/// Builds a store that breaks the rule of this code.
type Recipe = (&'static str, fn() -> Damaged);

/// One for each code that a repair mends.
pub const RECIPES: &[Recipe] = &[
    ("index.broken", index_broken),
    ("index.indexid", index_indexid),
    ("index.cache", index_cache),
    ("index.log", index_log),
    ("index.log-gap", index_log_gap),
    ("index.log-lost", index_log_lost),
    ("index.lost", index_lost),
    ("index.uidvalidity", index_uidvalidity),
    ("index.missing", index_missing),
    ("dbox.guid", index_missing),
    ("dbox.lost", dbox_lost),
    ("dbox.metadata", dbox_metadata),
    ("dbox.truncated", dbox_truncated),
    ("dbox.header", dbox_header),
    ("dbox.size", dbox_size),
    ("dbox.damaged", dbox_damaged),
    ("dbox.orphan", dbox_orphan),
    ("dbox.newer", dbox_orphan),
    ("dbox.recovered", dbox_recovered),
    ("mdbox.map", mdbox_map),
    ("mdbox.map-missing", map_missing),
    ("mdbox.map-uidvalidity", map_uidvalidity),
    ("mdbox.astray", mdbox_astray),
    ("mdbox.lost", mdbox_lost),
    ("mdbox.damaged", mdbox_damaged),
    ("mdbox.index-missing", mdbox_index_missing),
    ("mdbox.orphan", mdbox_orphan),
    ("mdbox.refcount", mdbox_refcount),
    ("maildir.damaged", maildir_damaged),
    ("maildir.size-mismatch", maildir_size),
    ("maildir.vsize-mismatch", maildir_vsize),
    ("maildir.duplicate-name", maildir_twice),
    ("maildir.missing-dir", maildir_missing_dir),
    ("maildir.lost", maildir_lost),
    ("maildir.keyword-unnamed", maildir_letter),
    ("maildir.keywords-broken", maildir_keywords),
    ("maildir.date", maildir_date),
    ("uidlist.broken", uidlist_broken),
    ("uidlist.truncated", uidlist_truncated),
    ("uidlist.duplicate", uidlist_duplicate),
    ("uidlist.missing", uidlist_missing),
    ("uidlist.renumbered", uidlist_renumbered),
    ("quota.stale", quota_stale),
    ("quota.broken", quota_broken),
];

/// Where the sample of a code is, and its format.
pub fn broken(code: &str) -> Damaged {
    let folder = testdata("broken").join(code);
    let mut formats = ["maildir", "sdbox", "mdbox"].into_iter();
    let format = formats.find(|format| folder.join(format!("{format}.tar.gz")).exists());
    let format = format.unwrap_or_else(|| panic!("{} holds no store", folder.display()));
    let archive = folder.join(format!("{format}.tar.gz"));
    Damaged::new(format, |store| {
        let unpacked = Command::new("tar")
            .args(["-xzf".as_ref(), archive.as_os_str(), "-C".as_ref()])
            .arg(store.parent().unwrap())
            .status();
        assert!(unpacked.unwrap().success());
    })
}

#[test]
#[ignore = "writes testdata/broken"]
fn broken_stores_are_made_anew() {
    let folder = testdata("broken");
    for (code, recipe) in RECIPES {
        let damaged = recipe();
        let place = folder.join(code);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        pack(&damaged, &place);
    }
}

/// The store as an archive that says nothing of who made it.
fn pack(damaged: &Damaged, place: &Path) {
    let archive = place.join(format!("{}.tar.gz", damaged.format()));
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["-I", "gzip -9n", "-cf"]).arg(archive);
    tar.arg("-C").arg(damaged.store().parent().unwrap());
    assert!(tar.arg("store").status().unwrap().success());
}

/// A store that our own conversion made: every mailbox has a whole index, and the map too.
pub fn converted(format: &'static str, more: &[&str]) -> Damaged {
    let maildir = Damaged::sample("maildir");
    Damaged::new(format, |store| {
        let temp = scratch();
        let from = format!("maildir:{}", maildir.store().display());
        let to = format!("{format}:{}", store.display());
        let args = ["convert", "-q", &from, &to];
        Run::new(temp.path()).args(args).args(more).done().exits(0);
        fs::remove_file(store.join("mailtally.state")).unwrap();
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Where the first record of an index begins.
pub fn first_record(index: &[u8]) -> usize {
    u32_at(index, 4) as usize
}

const LOG: &str = "dovecot.index.log";

fn sdbox() -> Damaged {
    Damaged::sample("sdbox")
}

fn index_broken() -> Damaged {
    let damaged = sdbox();
    fs::write(damaged.mails("Sent", "dovecot.index"), vec![7; 400]).unwrap();
    damaged
}

/// Flags that were set later than this follow it.
fn index_lost() -> Damaged {
    let damaged = sdbox();
    let log = damaged.mails("Sent", LOG);
    damaged.changed(&log, |bytes| bytes[256..512].fill(0))
}

fn index_uidvalidity() -> Damaged {
    let damaged = index_missing();
    let list = damaged.at("dovecot.list.index.log");
    damaged.without(&[list])
}

/// The one mailbox of the samples that has an index and not only a log.
fn index_indexid() -> Damaged {
    let damaged = mdbox();
    let log = damaged.mails("INBOX", LOG);
    damaged.changed(&log, |bytes| bytes[4] ^= 1)
}

fn index_log() -> Damaged {
    let damaged = sdbox();
    let log = damaged.mails("Sent", LOG);
    damaged.changed(&log, |bytes| bytes.truncate(bytes.len() - 3))
}

fn index_missing() -> Damaged {
    sdbox().without_index()
}

fn dbox_lost() -> Damaged {
    let damaged = sdbox();
    let message = damaged.mails("Sent", "u.2");
    damaged.without(&[message])
}

/// The place of a pattern in a file.
fn find(bytes: &[u8], pattern: &[u8]) -> usize {
    let mut windows = bytes.windows(pattern.len());
    windows
        .position(|window| window == pattern)
        .expect("the pattern is there")
}

fn message(change: impl FnOnce(&mut Vec<u8>)) -> Damaged {
    let damaged = sdbox();
    let path = damaged.mails("Sent", "u.1");
    damaged.changed(&path, change)
}

fn dbox_metadata() -> Damaged {
    message(|bytes| {
        let at = find(bytes, b"\nG");
        bytes[at + 1] = b'~';
    })
}

fn dbox_truncated() -> Damaged {
    message(|bytes| {
        let at = find(bytes, b"\n\x01\x03\n");
        bytes.truncate(at - 5);
    })
}

fn dbox_header() -> Damaged {
    message(|bytes| {
        let at = find(bytes, b"\x01\x02N");
        bytes[at + 20..at + 24].fill(b'?');
    })
}

fn dbox_size() -> Damaged {
    message(|bytes| {
        let at = find(bytes, b"\nV") + 2;
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
    })
}

fn mdbox() -> Damaged {
    Damaged::sample("mdbox")
}

fn map_missing() -> Damaged {
    let damaged = mdbox();
    let map = damaged.at("storage/dovecot.map.index.log");
    damaged.without(&[map])
}

fn mdbox_lost() -> Damaged {
    let damaged = mdbox();
    let mails = damaged.at("storage/m.2");
    damaged.without(&[mails])
}

fn mdbox_index_missing() -> Damaged {
    mdbox().without_index()
}

/// The map of a conversion: records of 20 bytes, a count of references at 6, file, offset and size from 8 on.
fn map(change: impl FnOnce(&mut Vec<u8>)) -> Damaged {
    let damaged = converted("mdbox", &[]);
    let map = damaged.at("storage/dovecot.map.index");
    damaged.changed(&map, |bytes| {
        assert_eq!(u32_at(bytes, 8), 20, "bytes of a record");
        change(bytes);
    })
}

/// A map whose first message is said to begin later than it does.
fn mdbox_astray() -> Damaged {
    map(|bytes| {
        let offset = first_record(bytes) + 12;
        bytes[offset] ^= 8;
    })
}

fn mdbox_refcount() -> Damaged {
    map(|bytes| {
        let count = first_record(bytes) + 6;
        bytes[count] += 1;
    })
}

fn map_uidvalidity() -> Damaged {
    map(|bytes| bytes[24] ^= 1)
}

/// A log that does not go on where the index ends.
fn index_log_gap() -> Damaged {
    let damaged = converted("mdbox", &[]);
    let log = damaged.at("storage/dovecot.map.index.log");
    damaged.changed(&log, |bytes| bytes[8] += 7)
}

fn index_log_lost() -> Damaged {
    let damaged = converted("sdbox", &[]);
    let log = damaged.mails("INBOX", LOG);
    damaged.without(&[log])
}

/// An index record that names a map UID and a GUID which nothing has.
fn mdbox_map() -> Damaged {
    let damaged = converted("mdbox", &[]);
    let index = damaged.mails("Sent", "dovecot.index");
    damaged.changed(&index, |bytes| {
        let record = first_record(bytes);
        let width = u32_at(bytes, 8) as usize;
        bytes[record + 5..record + width].fill(0x55);
    })
}

fn mdbox_damaged() -> Damaged {
    let damaged = mdbox();
    let mails = damaged.at("storage/m.2");
    damaged.changed(&mails, |bytes| bytes[2000..2064].fill(0))
}

fn mdbox_orphan() -> Damaged {
    let damaged = converted("mdbox", &[]);
    fs::remove_dir_all(damaged.at("mailboxes/Sent")).unwrap();
    damaged
}

/// A message in a coat that is torn.
fn dbox_damaged() -> Damaged {
    let damaged = converted("sdbox", &["--compress", "gz"]);
    let message = damaged.mails("INBOX", "u.1");
    damaged.changed(&message, |bytes| {
        let end = find(bytes, b"\n\x01\x03\n");
        bytes[end - 12..end - 4].fill(0);
    })
}

fn dbox_orphan() -> Damaged {
    let damaged = sdbox();
    let sent = damaged.mails("Sent", "u.1");
    fs::copy(sent, damaged.mails("Sent", "u.90")).unwrap();
    damaged
}

/// A log that ends before the last messages came.
fn dbox_recovered() -> Damaged {
    let damaged = sdbox();
    let log = damaged.mails("INBOX", LOG);
    damaged.changed(&log, |bytes| bytes.truncate(bytes.len() / 4))
}

fn maildir() -> Damaged {
    let damaged = Damaged::sample("maildir");
    for place in ["cur", "new", "tmp"] {
        fs::create_dir_all(damaged.at(".Broken").join(place)).unwrap();
    }
    put(&damaged, "cur/1700000001.M1P1.host:2,S", "From: a\n\nx\n");
    let list = format!(
        "3 V1700000000 N2 G{:032x}\n1 :1700000001.M1P1.host\n",
        0xabc
    );
    put(&damaged, "dovecot-uidlist", &list);
    damaged
}

/// A compressed message that ends early.
fn maildir_damaged() -> Damaged {
    let damaged = maildir();
    let whole = mail(&"long ".repeat(400));
    let packed = gz(&whole);
    let name = format!("cur/1700000002.M1P1.host,S={}:2,S", whole.len());
    put(&damaged, &name, &packed[..packed.len() - 6]);
    damaged
}

fn put(damaged: &Damaged, name: &str, content: impl AsRef<[u8]>) {
    fs::write(damaged.at(".Broken").join(name), content).unwrap();
}

fn maildir_size() -> Damaged {
    let damaged = maildir();
    put(
        &damaged,
        "cur/1700000002.M1P1.host,S=99:2,S",
        "From: a\n\nx\n",
    );
    damaged
}

fn maildir_vsize() -> Damaged {
    let damaged = maildir();
    put(
        &damaged,
        "cur/1700000002.M1P1.host,W=99:2,S",
        "From: a\n\nx\n",
    );
    damaged
}

fn maildir_twice() -> Damaged {
    let damaged = maildir();
    put(&damaged, "cur/1700000001.M1P1.host:2,FS", "From: b\n\ny\n");
    damaged
}

fn maildir_missing_dir() -> Damaged {
    let damaged = maildir();
    fs::remove_dir(damaged.at(".Broken/new")).unwrap();
    damaged
}

/// A letter that one other folder names.
fn maildir_letter() -> Damaged {
    let damaged = maildir();
    put(&damaged, "cur/1700000002.M1P1.host:2,Sz", "From: a\n\nx\n");
    for place in ["cur", "new", "tmp"] {
        fs::create_dir_all(damaged.at(".Named").join(place)).unwrap();
    }
    fs::write(damaged.at(".Named/dovecot-keywords"), "25 $Last\n").unwrap();
    damaged
}

fn index_cache() -> Damaged {
    let damaged = maildir();
    let cache = damaged.at("dovecot.index.cache");
    damaged.changed(&cache, |bytes| bytes[1024..2048].fill(0))
}

/// A zeroed line; the server's index tells the name.
fn maildir_keywords() -> Damaged {
    let damaged = maildir();
    let list = damaged.at("dovecot-keywords");
    damaged.changed(&list, |bytes| bytes[8..24].fill(0))
}

fn uidlist_broken() -> Damaged {
    let damaged = maildir();
    let list = "3 V1700000000 N2\nrubbish\n1 :1700000001.M1P1.host\n";
    put(&damaged, "dovecot-uidlist", list);
    damaged
}

fn uidlist_truncated() -> Damaged {
    let damaged = maildir();
    put(
        &damaged,
        "dovecot-uidlist",
        "3 V1700000000 N3\n1 :1700000001.M1P1.host\n2 :17",
    );
    damaged
}

fn uidlist_duplicate() -> Damaged {
    let damaged = maildir();
    let list = "3 V1700000000 N3\n1 :1700000001.M1P1.host\n2 :1700000001.M1P1.host\n";
    put(&damaged, "dovecot-uidlist", list);
    damaged
}

fn uidlist_missing() -> Damaged {
    let damaged = maildir();
    fs::remove_file(damaged.at(".Broken/dovecot-uidlist")).unwrap();
    damaged
}

fn uidlist_renumbered() -> Damaged {
    let damaged = maildir();
    let list = "3 V1700000000 N2\nrub :1700000001.M1P1.host\n";
    put(&damaged, "dovecot-uidlist", list);
    damaged
}

/// A file that the uidlist and the server's index have.
fn maildir_lost() -> Damaged {
    let sample = Damaged::sample("maildir");
    let file = sample.at("cur/1580000003.M3P300.lab:2,");
    sample.without(&[file])
}

/// A file time of 1970, and a name that knows better.
fn maildir_date() -> Damaged {
    let damaged = maildir();
    let file = damaged.at(".Broken/cur/1700000001.M1P1.host:2,S");
    let file = fs::File::options().append(true).open(file).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    damaged
}

fn quota_stale() -> Damaged {
    let damaged = maildir();
    fs::write(damaged.at("maildirsize"), "1000S\n1 1\n").unwrap();
    damaged
}

fn quota_broken() -> Damaged {
    let damaged = maildir();
    fs::write(damaged.at("maildirsize"), "1000S\n-1 -1\n").unwrap();
    damaged
}
