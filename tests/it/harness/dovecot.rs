//! A real Dovecot that looks at a copy of a store and tells what it sees.
//!
//! ```text
//! temp folder            owned by the unprivileged user that Dovecot runs as
//!   dovecot.conf         private: no service, no port, nothing of the machine's own configuration
//!   mail/                the copy of the store
//!   run/ log stderr      where Dovecot keeps state, and what it complains about
//! ```
//! A copy keeps everything but the ctime. That is the saved date of a Maildir message, and of an
//! sdbox message whose cache does not tell one: `Account::without_saved_dates` is for these.
//!
//! `doveadm` and `imap` are run one by one, as nobody when the tests run as root. Dovecot 2.4 comes from
//! a folder named by `MAILTALLY_DOVECOT_24_ROOT` (an unpacked Debian), entered with chroot(8).

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bstr::ByteSlice;
use tempfile::TempDir;

use super::skipped;

pub mod account;
pub mod imap;
mod tests;

pub use account::Account;
pub use imap::Imap;

const DOVEADM: &str = "/usr/bin/doveadm";
const DOVECOT: &str = "/usr/sbin/dovecot";
const IMAP: &str = "/usr/lib/dovecot/imap";
const LDA: &str = "/usr/lib/dovecot/dovecot-lda";
const USER: &str = "tester";
/// Whom Dovecot runs as when the tests run as root: the number of `nobody`, known by name or not.
const NOBODY: u32 = 65534;

/// A Dovecot that is on this machine.
#[derive(Debug, Clone)]
pub struct Server {
    /// The folder that it takes for `/`.
    root: PathBuf,
    /// 2.4 has another configuration syntax and another command line.
    is_24: bool,
}

impl Server {
    /// The Dovecot installed here. Without one, says that `test` was skipped; with
    /// `MAILTALLY_REQUIRE_DOVECOT=1` that is a failure.
    pub fn here(test: &str) -> Option<Self> {
        let found = Self::at("/".into());
        if found.is_none() {
            skipped("Dovecot is not on this machine");
            let required = std::env::var("MAILTALLY_REQUIRE_DOVECOT");
            assert!(required.as_deref() != Ok("1"), "{test} needs Dovecot");
        }
        found
    }

    /// Dovecot 2.4 below `MAILTALLY_DOVECOT_24_ROOT`. Without that, says that `test` was skipped.
    pub fn dovecot_24(test: &str) -> Option<Self> {
        let Some(root) = std::env::var_os("MAILTALLY_DOVECOT_24_ROOT") else {
            skipped("MAILTALLY_DOVECOT_24_ROOT names no Dovecot 2.4");
            return None;
        };
        assert!(
            is_root(),
            "{test}: only root can enter the folder of Dovecot 2.4"
        );
        let found = Self::at(root.into()).filter(|server| server.is_24);
        assert!(
            found.is_some(),
            "{test}: no Dovecot 2.4 in MAILTALLY_DOVECOT_24_ROOT"
        );
        found
    }

    fn at(root: PathBuf) -> Option<Self> {
        let there = |program: &str| root.join(&program[1..]).exists();
        if !there(DOVEADM) || !there(IMAP) {
            return None;
        }
        let mut server = Self { root, is_24: false };
        let version = server.command(DOVECOT).arg("--version").output().ok()?;
        server.is_24 = !version.stdout.starts_with(b"2.3.");
        Some(server)
    }

    /// Dovecot looks at a copy of the store at `store`. `location` is a driver, then keys as in
    /// `mail_location`: `sdbox`, `maildir:LAYOUT=fs`.
    pub fn serve(&self, location: &str, store: impl AsRef<Path>) -> Dovecot {
        self.serve_with(location, store, "")
    }

    /// The same, with the plugin that reads compressed messages.
    pub fn serve_compressed(&self, location: &str, store: impl AsRef<Path>) -> Dovecot {
        let plugin = if self.is_24 { "mail_compress" } else { "zlib" };
        self.serve_with(location, store, &format!("mail_plugins = {plugin}\n"))
    }

    /// The same, with more lines of configuration.
    pub fn serve_with(&self, location: &str, store: impl AsRef<Path>, settings: &str) -> Dovecot {
        let temp = if self.root == Path::new("/") {
            std::env::temp_dir()
        } else {
            self.root.join("tmp")
        };
        let folder = tempfile::Builder::new()
            .prefix("mailtally-")
            .tempdir_in(temp)
            .unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        run(Command::new("cp")
            .arg("-a")
            .arg(store.as_ref())
            .arg(folder.path().join("mail")));
        let dovecot = Dovecot {
            server: self.clone(),
            folder,
        };
        let config = dovecot.config(location) + settings;
        fs::write(dovecot.folder.path().join("dovecot.conf"), config).unwrap();
        if is_root() {
            let owner = format!("{NOBODY}:{NOBODY}");
            run(Command::new("chown")
                .arg("-hR")
                .arg(owner)
                .arg(dovecot.folder.path()));
        }
        fs::set_permissions(dovecot.folder.path(), Permissions::from_mode(0o755)).unwrap();
        dovecot
    }

    /// A program of this Dovecot: no environment but what it needs, no privileges.
    fn command(&self, program: &str) -> Command {
        let mut command = if self.root == Path::new("/") {
            let mut command = Command::new(program);
            if is_root() {
                command.uid(NOBODY).gid(NOBODY); // std drops the supplementary groups with the uid
            }
            command
        } else {
            let mut chroot = Command::new("chroot");
            chroot
                .arg(format!("--userspec={NOBODY}:{NOBODY}"))
                .arg(&self.root)
                .arg(program);
            chroot
        };
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("USER", USER);
        command.current_dir("/").stdin(Stdio::null());
        command
    }
}

/// Dovecot looking at its copy of one account.
#[derive(Debug)]
pub struct Dovecot {
    server: Server,
    folder: TempDir,
}

impl Dovecot {
    /// Where its copy of the store is.
    pub fn mail(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// The home of its user, `%h` in a location.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Delivers a message as an MTA would.
    pub fn deliver(&self, mailbox: &str, message: &[u8]) {
        let path = self.file("delivery", message);
        let mut command = self.command(LDA);
        run(command.args(["-m", mailbox, "-p"]).arg(path));
    }

    /// A directory in the user's home that belongs to the user.
    pub fn make_dir(&self, name: &str) {
        let path = self.home().join(name);
        fs::create_dir_all(&path).unwrap();
        if is_root() {
            std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// A file in the user's home that Dovecot can read, as Dovecot calls it.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        self.seen_by_dovecot("run").join(name)
    }

    /// Runs a doveadm command on the mail: `["mailbox", "list"]`. What it complains about is in the log too.
    pub fn doveadm(&self, args: &[&str]) -> Output {
        let output = self.doveadm_unlogged(args);
        self.stderr().write_all(&output.stderr).unwrap();
        output
    }

    fn doveadm_unlogged(&self, args: &[&str]) -> Output {
        let mut command = self.command(DOVEADM);
        command.args(args);
        if self.server.is_24 {
            command.arg("--no-userdb-lookup"); // 2.3 has no such option and needs none
        }
        command.output().unwrap()
    }

    /// What a doveadm command prints; it must succeed.
    ///
    /// Where a field of a message cannot be had, doveadm leaves it out and moves the next ones up.
    /// Its exit code is the only sign, so output after a failure is worth nothing.
    pub fn ask(&self, args: &[&str]) -> Vec<u8> {
        let output = self.doveadm(args);
        assert!(
            output.status.success(),
            "doveadm {args:?}: {}\n{}",
            output.status,
            self.log()
        );
        output.stdout
    }

    /// Everything that Dovecot tells about the account.
    pub fn account(&self) -> Account {
        Account::read(self, "all", &["all"])
    }

    /// The same, with only the messages that a doveadm-search-query(7) finds: to leave damaged ones out.
    /// No mailbox has a virtual size then, because Dovecot would read all messages for it.
    pub fn account_of(&self, query: &[&str]) -> Account {
        let no_vsize = "guid uidvalidity uidnext messages recent unseen highestmodseq";
        Account::read(self, no_vsize, query)
    }

    /// Rebuilds every mailbox. Lines that Dovecot writes for its own stores too are not complaints.
    pub fn force_resync(&self) {
        let output = self.doveadm_unlogged(&["force-resync", "*"]);
        let usual = |line: &&[u8]| {
            line.contains_str("ebuilding index") || line.contains_str("fscking index file")
        };
        for line in output
            .stderr
            .lines_with_terminator()
            .filter(|line| !usual(line))
        {
            self.stderr().write_all(line).unwrap();
        }
        assert!(
            output.status.success(),
            "force-resync: {}\n{}",
            output.status,
            self.log()
        );
    }

    /// An IMAP session, logged in.
    pub fn imap(&self) -> Imap {
        Imap::open(self.command(IMAP).stderr(self.stderr()))
    }

    /// Every complaint so far: the log file and what the programs wrote to standard error.
    pub fn log(&self) -> String {
        let read = |name| fs::read(self.folder.path().join(name)).unwrap_or_default();
        let mut log = String::new();
        for line in [read("log"), read("stderr")].concat().lines() {
            if !line.contains_str(": Info: ") {
                writeln!(log, "{}", line.to_str_lossy()).unwrap();
            }
        }
        log
    }

    /// Dovecot has found nothing to complain about.
    pub fn assert_silent(&self) {
        assert_eq!(self.log(), "", "Dovecot complains");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.server.command(program);
        command.env("HOME", self.seen_by_dovecot("run"));
        command.arg("-c").arg(self.seen_by_dovecot("dovecot.conf"));
        command
    }

    fn stderr(&self) -> File {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("stderr"))
            .unwrap()
    }

    fn seen_by_dovecot(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        Path::new("/").join(path.strip_prefix(&self.server.root).unwrap())
    }

    fn config(&self, location: &str) -> String {
        let (driver, keys) = location.split_once(':').unwrap_or((location, ""));
        let [mail, run, log] = ["mail", "run", "log"].map(|name| self.seen_by_dovecot(name));
        let (mail, run, log) = (mail.display(), run.display(), log.display());
        let place = if self.server.is_24 {
            let keys = keys
                .split_terminator(':')
                .map(key_as_setting)
                .collect::<String>();
            // doveconf, which `imap` runs first, hands on only the variables named here.
            format!(
                "dovecot_config_version = 2.4.1\ndovecot_storage_version = 2.4.1\n\
                 mail_driver = {driver}\nmail_path = {mail}\n{keys}\
                 import_environment {{\n  USER = {USER}\n  HOME = {run}\n}}\n"
            )
        } else if keys.is_empty() {
            format!("mail_location = {driver}:{mail}\n")
        } else {
            format!("mail_location = {driver}:{mail}:{keys}\n")
        };
        // One separator, so that the names in a Maildir and in a dbox compare. No stats service is there to write to.
        format!(
            "{place}base_dir = {run}\nstate_dir = {run}\nlog_path = {log}\nssl = no\n\
             stats_writer_socket_path =\nnamespace inbox {{\n  inbox = yes\n  separator = /\n}}\n"
        )
    }
}

fn key_as_setting(key: &str) -> String {
    let (key, value) = key.split_once('=').unwrap_or((key, "yes"));
    let setting = match key {
        "LAYOUT" => "mailbox_list_layout",
        "INDEX" => "mail_index_path",
        "CONTROL" => "mail_control_path",
        "ALT" => "mail_alt_path",
        "DIRNAME" => "mailbox_directory_name",
        "MAILBOXDIR" => "mailbox_root_directory_name",
        "UTF-8" => "mailbox_list_utf8",
        _ => panic!("no 2.4 setting is known for {key}"),
    };
    format!("{setting} = {value}\n")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        output.stderr.as_bstr()
    );
}
