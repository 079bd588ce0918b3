//! Builds scenarios, runs the binary, and asks the server.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

pub mod dovecot;
pub mod failing;
pub mod maildir;
pub mod run;
pub mod store;
pub mod tree;

/// Says by name which test was skipped, and why. The thread of a test is called as the test is.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not `eprintln`: what a passing test prints is hidden, and a skipped one passes.
    let mut stderr = io::stderr();
    writeln!(stderr, "SKIPPED {test}: {why}").unwrap();
}

/// What is written.
pub const FORMATS: [&str; 3] = ["maildir", "sdbox", "mdbox"];

/// A message in the coat of gzip.
pub fn gz(plain: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(plain).unwrap();
    out.finish().unwrap()
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
