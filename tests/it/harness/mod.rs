//! Builds scenarios, runs the binary, and asks the server.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub mod dovecot;

/// The binary, run hermetically.
pub struct Tool(Command);

impl Tool {
    /// No environment, no home.
    pub fn new() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailtally"));
        command.env_clear();
        Self(command)
    }

    /// Runs it to its end.
    pub fn run(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        self.0.args(args).output().unwrap()
    }
}

/// A file or folder that ships with the project.
pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

/// An archive that ships with the project, unpacked.
pub fn unpacked(archive: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(testdata(archive));
    tar.arg("-C").arg(folder.path());
    assert!(tar.status().unwrap().success());
    folder
}
