//! What a server would rebuild, or lose, that opens the store before a repair does.

use std::fs;
use std::path::{Path, PathBuf};

use super::Damaged;
use super::samples::broken;
use crate::harness::dovecot::Server;
use crate::harness::maildir::scratch;
use crate::harness::run::{Ran, Run};
use crate::harness::tree::{copy, tree};

/// An mdbox whose map is gone: all its messages are there.
fn without_a_map() -> Damaged {
    let sample = Damaged::sample("mdbox");
    let files = fs::read_dir(sample.at("storage")).unwrap();
    let is_map = |path: &Path| path.to_string_lossy().contains("dovecot.map.index");
    let files = files.map(|file| file.unwrap().path());
    let maps: Vec<_> = files.filter(|path| is_map(path)).collect();
    sample.without(&maps)
}

fn quietly(command: &str, damaged: &Damaged) -> Ran {
    let location = format!("{}:{}", damaged.format(), damaged.store().display());
    let args = [command, "-q", &location];
    Run::new(damaged.temp()).args(args).done()
}

#[test]
fn a_store_that_a_server_must_not_open_yet_is_not_sound_also_where_only_what_is_wrong_is_told() {
    let damaged = without_a_map();
    let ran = quietly("inspect", &damaged).exits(1);
    assert!(ran.stdout.starts_with("ATTENTION, 1 warning: "), "{ran}");
    assert!(ran.stdout.contains("mdbox.map-missing"), "{ran}");
    let told = "do: run repair before a server opens the store";
    assert!(ran.stdout.contains(told), "{ran}");
    let ran = damaged.inspect().exits(1);
    assert_eq!(ran.user()["status"], "attention");
    quietly("repair", &damaged).exits(0);
    assert_eq!(quietly("inspect", &damaged).exits(0).stdout, "");
}

#[test]
fn a_log_or_a_cache_that_a_server_complains_of_is_mended_before_it_does() {
    for code in ["index.log", "index.cache"] {
        let ran = quietly("inspect", &broken(code)).exits(1);
        let told = "do: run repair before a server opens the store";
        assert!(
            ran.stdout.contains(code) && ran.stdout.contains(told),
            "{ran}"
        );
    }
}

#[test]
fn a_log_of_which_something_is_lost_is_to_come_from_a_backup() {
    let ran = quietly("inspect", &broken("index.lost")).exits(1);
    let told = "do: restore dovecot.index and its log from a backup";
    assert!(ran.stdout.contains(told), "{ran}");
}

#[test]
fn such_a_store_is_carried_as_a_whole() {
    let damaged = without_a_map();
    let to = format!("sdbox:{}", damaged.temp().join("to").display());
    let ran = damaged.run("convert", &[&to]).exits(0);
    assert_eq!(ran.summary()["verdict"], "go");
}

#[test]
fn a_server_rebuilds_it() {
    let test = "a server that opens an mdbox without a map";
    let Some(server) = Server::here(test) else {
        return;
    };
    let dovecot = server.serve("mdbox", without_a_map().store());
    dovecot.doveadm(&["fetch", "text", "mailbox", "*"]);
    let log = dovecot.log();
    assert!(log.contains("rebuilding indexes"), "{log}");
}

#[test]
fn where_no_index_is_left_it_is_said_once_how_to_name_their_place() {
    let sample = Damaged::sample("mdbox");
    let all = tree(&sample.store()).into_keys();
    let is_index = |path: &PathBuf| path.to_string_lossy().contains("dovecot.");
    let indexes: Vec<_> = all.filter(is_index).map(|path| sample.at(path)).collect();
    let damaged = sample.without(&indexes);
    let location = format!("mdbox:{}", damaged.store().display());
    let args = ["repair", "-n", "--offline", &location];
    let ran = Run::new(damaged.temp()).args(args).done().exits(1);
    assert_eq!(ran.stdout.matches(":INDEX=DIR").count(), 1, "{ran}");
}

#[test]
fn what_to_do_about_many_accounts_that_fail_alike_is_said_once() {
    let temp = scratch();
    fs::create_dir(temp.path().join("home")).unwrap();
    for user in ["anna", "bob", "carl"] {
        let damaged = Damaged::sample("mdbox");
        fs::remove_dir_all(damaged.at("storage")).unwrap();
        copy(&damaged.store(), &temp.path().join("all").join(user));
    }
    let run = Run::new(temp.path()).args(["inspect", "mdbox:all/%u"]);
    let ran = run.done().exits(66);
    assert_eq!(ran.stdout.matches("is it mounted?").count(), 1, "{ran}");
    assert_eq!(
        ran.stdout.matches("/storage is not there").count(),
        3,
        "{ran}"
    );
}
