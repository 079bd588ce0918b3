//! `mailtally completions` and `mailtally man`: what packagers ask for.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use mailtally::error::At;
use mailtally::{Error, Result};

use super::exit::Exit;
use super::findings_page;

/// Write shell completions to standard output
#[derive(Args)]
pub struct Completions {
    /// For which shell
    shell: Shell,
}

impl Completions {
    /// Writes them.
    pub fn run(self, command: &mut Command) -> Exit {
        let mut out = Vec::new();
        clap_complete::generate(self.shell, command, "mailtally", &mut out);
        // A closed pipe ends quietly.
        let _ = io::stdout().write_all(&out);
        Exit::Done
    }
}

/// Write the manual pages into a directory
#[derive(Args)]
pub struct Man {
    /// Where to
    dir: PathBuf,
}

impl Man {
    /// Writes a page for every command, and mailtally-findings(7).
    pub fn run(self, command: &Command) -> Result<Exit> {
        if !self.dir.is_dir() {
            return Err(Error::Missing {
                what: format!("{} is not a directory", self.dir.display()),
                help: "name a directory that is there".into(),
            });
        }
        clap_mangen::generate_to(command.clone(), &self.dir).at("write pages to", &self.dir)?;
        let page = self.dir.join("mailtally-findings.7");
        std::fs::write(&page, findings_page::roff()).at("write", &page)?;
        Ok(Exit::Done)
    }
}
