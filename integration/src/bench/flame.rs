//! Where a check's time goes: a flame graph of the product while it decides session checks, from samples of its stacks.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::asked::HEADERS;
use super::ground::Ground;
use super::h2load::{H2load, Width};
use super::plan::Plan;
use crate::parts;

/// How long samples are taken, in seconds.
const SECONDS: u32 = 8;
/// How many in a second.
const FREQUENCY: u32 = 997;
/// How many checks are sent at a time while they are taken.
const REQUESTS: usize = 100_000;

/// Draws the graph of session checks into a file. The program needs its symbols, and we the right to sample it
/// (`kernel.perf_event_paranoid`).
pub async fn draw(plan: &Plan, graph: &Path, say: fn(&str)) -> Result<()> {
    let ground = Ground::start(plan).await?;
    let server = &ground.quiet.server;
    let load = H2load::check(server.address, ground.quiet.asked(HEADERS).write(ground.folder.path())?);
    load.run(Width::USUAL, REQUESTS).await?;
    say("taking samples");
    let samples = ground.folder.path().join("perf.data");
    let mut recording = Command::new(parts::path("perf")?)
        .args(["record", "--quiet", "--event", "cpu-clock", "--call-graph", "dwarf,16384"])
        .args(["--freq", &FREQUENCY.to_string(), "--pid", &server.processes.own.to_string(), "--output"])
        .arg(&samples)
        .args(["--", "sleep", &SECONDS.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("perf does not start")?;
    while recording.try_wait()?.is_none() {
        load.run(Width::USUAL, REQUESTS).await?;
    }
    ensure!(recording.wait().await?.success(), "perf takes no samples");
    say("drawing");
    let at = |name: &str| ground.folder.path().join(name);
    let perf = parts::path("perf")?;
    piped(Command::new(perf).args(["script", "--input"]).arg(&samples), None, &at("stacks")).await?;
    let [collapse, draw] = ["inferno-collapse-perf", "inferno-flamegraph"].map(parts::path);
    piped(&mut Command::new(collapse?), Some(&at("stacks")), &at("folded")).await?;
    let title = ["--title", "A session check", "--subtitle", "samples of the process, widest first"];
    piped(Command::new(draw?).args(title), Some(&at("folded")), graph).await
}

/// Runs a command from a file into a file.
async fn piped(command: &mut Command, from: Option<&Path>, into: &Path) -> Result<()> {
    let input = from.map(File::open).transpose()?.map_or_else(Stdio::null, Stdio::from);
    let output = File::create(into).with_context(|| format!("{} cannot be written", into.display()))?;
    let status = command.stdin(input).stdout(output).stderr(Stdio::null()).kill_on_drop(true).status().await?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
