//! The results as a text for people.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::contenders::{GROUPS, Peak};
use super::dovecot;
use super::measure::Series;
use super::store::Store;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/README.md");
/// The results stand between these lines.
const MARKS: [&str; 2] = ["<!-- results -->\n", "<!-- end of results -->\n"];
const MIB: f64 = 1024.0 * 1024.0;

/// Both tables, with what they depend on.
pub fn markdown(store: &Store, series: &[Series], peaks: &[Peak]) -> Result<String> {
    let mut text = String::new();
    let rounds = series.first().map_or(0, Series::len);
    let cores = std::thread::available_parallelism()?;
    writeln!(
        text,
        "{}, {cores} cores, {}, Dovecot {}, mailtally {}. {} messages, {:.0} MiB; {rounds} runs each, in turn.\n",
        jiff::Zoned::now().date(),
        file_system(store)?,
        dovecot::version()?,
        env!("CARGO_PKG_VERSION"),
        store.messages,
        mib(store.bytes)
    )?;
    for (name, contenders) in GROUPS {
        let rows: Vec<_> = contenders
            .iter()
            .flat_map(|contender| contender.rows())
            .collect();
        let series = rows
            .iter()
            .filter_map(|row| series.iter().find(|series| series.what == **row));
        times(&mut text, name, store, &series.collect::<Vec<_>>())?;
    }
    writeln!(
        text,
        "| peak memory | messages | the largest | peak | beyond the largest |\n|---|---:|---:|---:|---:|"
    )?;
    for peak in peaks {
        let (largest, resident) = (mib(peak.largest), mib(peak.resident));
        let beyond = resident - largest;
        let (what, messages) = (peak.what, peak.messages);
        writeln!(
            text,
            "| {what} | {messages} | {largest:.1} MiB | {resident:.1} MiB | {beyond:.1} MiB |"
        )?;
    }
    Ok(text)
}

fn times(text: &mut String, name: &str, store: &Store, series: &[&Series]) -> Result<()> {
    if series.iter().all(|series| series.len() == 0) {
        return Ok(());
    }
    let ours = series.first().map_or(f64::NAN, |series| series.median());
    writeln!(
        text,
        "| {name} | median | fastest to slowest | MiB/s | time of ours |\n|---|---:|---:|---:|---:|"
    )?;
    for series in series.iter().filter(|series| series.len() > 0) {
        let (what, median) = (series.what, series.median());
        let (fastest, slowest) = (series.fastest(), series.slowest());
        let (speed, times) = (mib(store.bytes) / median, median / ours);
        writeln!(
            text,
            "| {what} | {median:.2} s | {fastest:.2} to {slowest:.2} s | {speed:.0} | {times:.2} x |"
        )?;
    }
    writeln!(text)?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

fn file_system(store: &Store) -> Result<String> {
    let mut df = Command::new("df");
    let output = df.arg("--output=fstype").arg(&store.folder).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().nth(1).unwrap_or("unknown").trim().to_owned())
}

/// Replaces the results in the README.
pub fn into_readme(results: &str) -> Result<()> {
    let text = fs::read_to_string(README)?;
    let (before, rest) = text.split_once(MARKS[0]).context("no place for results")?;
    let (_, after) = rest.split_once(MARKS[1]).context("no end of results")?;
    let [begin, end] = MARKS;
    Ok(fs::write(
        README,
        format!("{before}{begin}{results}{end}{after}"),
    )?)
}
