//! A private Dovecot for the benchmark's stores: no service, no port, nothing of the machine's own.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::measure::run;
use super::store::Store;

/// Whom everything runs as, where the benchmark is run by root, as whom Dovecot reads no mail.
const NOBODY: u32 = 65534;

/// `doveadm`, set up for the source of one store.
pub struct Dovecot {
    config: PathBuf,
}

impl Dovecot {
    /// Writes the configuration.
    pub fn new(store: &Store) -> Result<Self> {
        let config = store.folder.join("dovecot.conf");
        let run = store.folder.join("run");
        fs::create_dir_all(&run)?;
        let (source, run) = (store.source(), run.display());
        fs::write(
            &config,
            format!(
                "mail_location = maildir:{}/%u\nmail_home = {run}/%u\nbase_dir = {run}\n\
                 state_dir = {run}\nlog_path = /dev/stderr\nssl = no\nstats_writer_socket_path =\n\
                 namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n",
                source.display()
            ),
        )?;
        Ok(Self { config })
    }

    /// A command of `doveadm` for one user.
    pub fn doveadm(&self, user: &str, args: &[&str]) -> Command {
        let mut command = as_owner("doveadm");
        command.env("USER", user).arg("-c").arg(&self.config);
        command.args(args);
        command
    }
}

/// A program run by the owner of the stores.
pub fn as_owner(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/");
    command
}

/// Makes a tree belong to whom the programs run as.
pub fn give_to_owner(path: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = format!("{NOBODY}:{NOBODY}");
    run(Command::new("chown").arg("-hR").arg(owner).arg(path))
}

/// The version that is installed.
pub fn version() -> Result<String> {
    let output = Command::new("dovecot").arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().next();
    Ok(version.unwrap_or("unknown").to_owned())
}
