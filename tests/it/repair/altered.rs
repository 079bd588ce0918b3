//! A byte of a message is another one than a conversion wrote, and all sizes are right: no server sees it.

use std::fs;
use std::path::Path;

use bstr::ByteSlice;
use serde_json::json;

use super::recalled::{account, converted, repair, run};
use crate::harness::FORMATS;
use crate::harness::run::Run;
use crate::harness::tree::{differences, tree};

/// Changes one letter in the file that has the fourth message of the INBOX.
fn alter(store: &Path) {
    let letter = |bytes: &[u8]| bytes.find("number 4");
    let files = tree(store).into_keys().map(|path| store.join(path));
    let files = files.filter(|path| path.is_file());
    let mut read = files.map(|path| (fs::read(&path).unwrap(), path));
    let (mut bytes, path) = read.find(|(bytes, _)| letter(bytes).is_some()).unwrap();
    let at = letter(&bytes).unwrap();
    bytes[at] ^= 1;
    // As an editor does: the directory of a Maildir tells a second pass of it.
    fs::remove_file(&path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_message_that_is_not_what_a_conversion_proved_is_said_by_its_uid() {
    for format in FORMATS {
        let account = account();
        let store = converted(&account, format);
        let sound = run(&account, &["inspect"], format, &store).exits(0);
        assert!(sound.findings("message.altered").is_empty(), "{sound}");

        alter(&store);
        let before = tree(&store);
        for ran in [
            run(&account, &["inspect"], format, &store),
            repair(&account, format, &store),
        ] {
            let ran = ran.exits(1);
            let altered = ran.findings("message.altered");
            assert_eq!(altered.len(), 1, "{format}: {ran}");
            assert_eq!(altered[0]["mailbox"], "INBOX");
            assert_eq!(altered[0]["uid"], 4);
            assert_eq!(ran.summary()["findings"].as_object().unwrap().len(), 1);
        }
        assert_eq!(differences(&before, &tree(&store)), [""; 0]);

        // Who accepts it says so.
        fs::remove_file(store.join("mailtally.state")).unwrap();
        run(&account, &["inspect"], format, &store).exits(0);
    }
}

#[test]
fn a_message_that_was_altered_takes_the_place_of_no_proven_copy() {
    for format in FORMATS {
        let account = account();
        let store = converted(&account, format);
        let source = format!("{format}:{}", store.display());
        let copy = account.temp().join("copy");
        let target = format!("sdbox:{}", copy.display());
        let convert = || {
            let args = ["convert", "--json", &source, &target];
            Run::new(account.temp()).args(args).done()
        };
        convert().exits(0);
        let before = tree(&copy);
        alter(&store);
        let ran = convert();
        assert_eq!(ran.code, 1, "{format}: {ran}");
        assert_eq!(ran.findings("message.altered")[0]["uid"], 4, "{ran}");
        assert_eq!(ran.findings("account.kept").len(), 1, "{ran}");
        assert_eq!(differences(&before, &tree(&copy)), [""; 0]);

        // For the first time it is carried, and said.
        fs::remove_dir_all(&copy).unwrap();
        let ran = convert().exits(1);
        assert_eq!(ran.findings("message.altered").len(), 1, "{ran}");
        assert_eq!(ran.user()["messages"], json!(8));
    }
}

#[test]
fn a_record_of_the_conversion_that_cannot_be_read_is_said_as_it_guards_nothing() {
    let damages: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes[300..364].fill(0),
        |bytes| bytes.truncate(bytes.len() - 20),
        Vec::clear,
    ];
    for format in FORMATS {
        for damage in damages {
            let account = account();
            let store = converted(&account, format);
            let state = store.join("mailtally.state");
            let mut bytes = fs::read(&state).unwrap();
            damage(&mut bytes);
            fs::write(&state, bytes).unwrap();
            alter(&store);
            let copy = account.temp().join("copy");
            let target = format!("sdbox:{}", copy.display());
            let source = format!("{format}:{}", store.display());
            let args = ["convert", "--json", &source, &target];
            for ran in [
                run(&account, &["inspect"], format, &store),
                repair(&account, format, &store),
                Run::new(account.temp()).args(args).done(),
            ] {
                let ran = ran.exits(1);
                let found = ran.findings("account.state");
                assert_eq!(found.len(), 1, "{format}: {ran}");
                assert_eq!(found[0]["path"], "mailtally.state");
                assert!(ran.findings("message.altered").is_empty(), "{ran}");
            }
        }
    }
}
