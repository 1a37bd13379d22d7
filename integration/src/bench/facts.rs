//! What is measured once: how soon it is ready, and how much it takes of memory and disk.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

use super::figures::Figure;
use super::goal::{Bound, Goal};
use super::ground::{Ground, config};
use super::plan::Plan;
use crate::portcullis::{Config, binary};
use crate::usage::resident_kib;

/// A process that is not ready by then is broken.
const WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked whether it is ready.
const POLL: Duration = Duration::from_micros(200);
/// How long a process is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(1);
/// A million bytes.
const MB: f64 = 1e6;

/// All of them.
pub(super) async fn facts(ground: &Ground, plan: &Plan, say: fn(&str)) -> Result<Vec<Goal>> {
    let mut starts = Vec::new();
    for _ in 0..plan.rounds * 2 {
        starts.push(tokio::task::spawn_blocking(ready_within).await??);
    }
    let process = config(&ground.provider, &ground.api)?.start().await?;
    tokio::time::sleep(IDLE).await;
    #[expect(clippy::cast_precision_loss, reason = "no process has petabytes")]
    let resident = (resident_kib(process.id())? * 1024) as f64 / MB;
    let goal = |what: &str, found, most, unit| Goal { what: what.to_owned(), found, bound: Bound::AtMost(most), unit };
    let goals = vec![
        goal("ready without a provider", Figure::of(starts), 20.0, "ms"),
        goal("resident memory, idle", Figure::exact(resident), 20.0, "MB"),
        goal("binary, stripped", Figure::exact(stripped()?), 16.0, "MB"),
    ];
    for goal in &goals {
        say(&format!("{}: {:.1} {}", goal.what, goal.found.middle, goal.unit));
    }
    Ok(goals)
}

/// Milliseconds from the start of a process to its word that it is ready.
fn ready_within() -> Result<f64> {
    let config = Config::new()?.set("/logging/level", "info");
    let file = config.write()?;
    let mut command = Command::new(binary()?);
    command.args(["serve", "--config"]).arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().context("the product does not start")?;
    while !is_ready(config.operations_address()) && begun.elapsed() < WITHIN {
        std::thread::sleep(POLL);
    }
    let taken = begun.elapsed();
    child.kill()?;
    child.wait()?;
    ensure!(taken < WITHIN, "not ready within {WITHIN:?}");
    Ok(taken.as_secs_f64() * 1e3)
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(WITHIN))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Megabytes of the binary without its symbols.
fn stripped() -> Result<f64> {
    let copy = NamedTempFile::with_prefix("portcullis-stripped-")?;
    let done = Command::new("strip").arg("-o").arg(copy.path()).arg(binary()?).status();
    let done = done.context("strip (Debian package binutils)")?;
    ensure!(done.success(), "strip: {done}");
    #[expect(clippy::cast_precision_loss, reason = "no binary has petabytes")]
    let size = fs::metadata(copy.path())?.len() as f64 / MB;
    Ok(size)
}
