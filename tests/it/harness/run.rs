//! Runs the binary, and nothing of this machine reaches it: empty environment, own HOME.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// Who tests run as where root would see too much.
pub const NOBODY: u32 = 65534;

/// True for root, who reads what modes forbid.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command line that is being put together.
pub struct Run(Command);

impl Run {
    /// The binary, with `temp/home` for a home.
    pub fn new(temp: &Path) -> Self {
        Self::of(binary(), temp)
    }

    fn of(program: &Path, temp: &Path) -> Self {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", temp.join("home"))
            .current_dir(temp)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command)
    }

    /// More arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(args);
        self
    }

    /// As a user for whom modes hold; where the tests are not root they are such a user already.
    pub fn unprivileged(mut self) -> Self {
        if is_root() {
            self.0.uid(NOBODY).gid(NOBODY); // std drops the supplementary groups with the uid
        }
        self
    }

    /// Runs in a mount namespace of its own, between what a shell does there; `None` where that cannot
    /// be had, as for all but root.
    pub fn within(self, prepare: &str, then: &str) -> Option<Ran> {
        const NOT_HERE: i32 = 99;
        let script = format!(
            "{{ {prepare}; }} || exit {NOT_HERE}; \"$@\"; code=$?; {{ {then}; }}; exit $code"
        );
        let mut command = Command::new("unshare");
        let envs = self.0.get_envs();
        command
            .args(["-m", "sh", "-c", &script, "sh"])
            .arg(self.0.get_program())
            .args(self.0.get_args())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(envs.filter_map(|(key, value)| Some((key, value?))))
            .current_dir(self.0.get_current_dir().unwrap())
            .stdin(Stdio::null());
        let output = command.output().ok().filter(|_| is_root())?;
        let ran = Ran::from(&output);
        let refused = ran.code == NOT_HERE || ran.stderr.starts_with("unshare:");
        (!refused).then_some(ran)
    }

    /// What it prints goes here.
    pub fn into(mut self, out: fs::File) -> Self {
        self.0.stdout(out);
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Child {
        self.0.spawn().unwrap()
    }

    /// Runs it to its end.
    pub fn done(self) -> Ran {
        Ran::from(&self.start().wait_with_output().unwrap())
    }
}

/// The binary, at a place that every user can reach.
fn binary() -> &'static Path {
    static COPY: OnceLock<(PathBuf, Option<TempDir>)> = OnceLock::new();
    let (path, _) = COPY.get_or_init(|| {
        let built = PathBuf::from(env!("CARGO_BIN_EXE_mailtally"));
        let open = |above: &Path| {
            let mode = fs::metadata(above).unwrap().permissions().mode();
            mode & 0o001 != 0
        };
        if !is_root() || built.ancestors().all(open) {
            return (built, None);
        }
        let temp = tempfile::tempdir().unwrap();
        fs::set_permissions(temp.path(), Permissions::from_mode(0o755)).unwrap();
        let copy = temp.path().join("mailtally");
        fs::copy(&built, &copy).unwrap();
        fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
        (copy, Some(temp))
    });
    path
}

/// What a run said.
pub struct Ran {
    /// The exit code; a signal as the shell shows it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The records of `--json`.
    pub records: Vec<Value>,
}

impl Ran {
    /// From a finished process.
    pub fn from(output: &Output) -> Self {
        let stdout = String::from_utf8(output.stdout.clone()).expect("text is UTF-8");
        let lines = stdout.lines().filter(|line| line.starts_with('{'));
        let signal = output.status.signal().unwrap_or(0);
        Self {
            code: output.status.code().unwrap_or(128 + signal),
            records: lines
                .map(|line| serde_json::from_str(line).expect("a record a line"))
                .collect(),
            stdout,
            // Sentences are broken at words, with further lines two spaces in.
            stderr: String::from_utf8_lossy(&output.stderr).replace("\n  ", " "),
        }
    }

    /// The exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Records of a type.
    pub fn records_of(&self, kind: &str) -> Vec<&Value> {
        let all = self.records.iter();
        all.filter(|record| record["type"] == kind).collect()
    }

    /// Findings with this code.
    pub fn findings(&self, code: &str) -> Vec<&Value> {
        let mut all = self.records_of("finding");
        all.retain(|finding| finding["code"] == code);
        all
    }

    /// Every code that was found, once, sorted.
    pub fn codes(&self) -> Vec<&str> {
        let all = self.records_of("finding").into_iter();
        let codes = all.map(|finding| finding["code"].as_str().expect("a code"));
        let mut codes: Vec<_> = codes.collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// There is exactly one finding with this code, and it has these values.
    #[track_caller]
    pub fn says(&self, code: &str, values: &Value) -> &Self {
        let findings = self.findings(code);
        let [finding] = findings[..] else {
            panic!("not one {code}: {self}");
        };
        assert_has(finding, values, self);
        self
    }

    /// The record of a mailbox.
    #[track_caller]
    pub fn mailbox(&self, name: &str) -> &Value {
        let mut all = self.records_of("mailbox").into_iter();
        let found = all.find(|line| line["mailbox"] == name);
        found.unwrap_or_else(|| panic!("no mailbox {name}: {self}"))
    }

    /// The record of the one user.
    #[track_caller]
    pub fn user(&self) -> &Value {
        let users = self.records_of("user");
        let [user] = users[..] else {
            panic!("not one user: {self}");
        };
        user
    }

    /// The record that comes last.
    #[track_caller]
    pub fn summary(&self) -> &Value {
        let last = self.records.last().unwrap_or_else(|| panic!("{self}"));
        assert_eq!(last["type"], "summary", "{self}");
        last
    }
}

/// Every value of `wanted` is in `record`.
#[track_caller]
fn assert_has(record: &Value, wanted: &Value, ran: &Ran) {
    for (key, value) in wanted.as_object().expect("values by key") {
        assert_eq!(&record[key], value, "{key} of {record}\n{ran}");
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}\n{}{}", self.code, self.stdout, self.stderr)
    }
}
