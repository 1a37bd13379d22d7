//! `make demo`: starts the demonstration, says how to use it, and stops it with Ctrl-C.
//!
//! `demo [--store memory|embedded|redis]`; the sessions are in a file where nothing is said.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use anyhow::{Result, bail};
use portcullis_integration::demo::{Demo, Store};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<()> {
    let store = store(&std::env::args().skip(1).collect::<Vec<_>>())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let demo = Demo::start(store).await?;
    println!("{demo}");
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    println!("stopping");
    Ok(())
}

/// The store that the command line names.
fn store(arguments: &[String]) -> Result<Store> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(Store::default()),
        ["--store", word] => word.parse(),
        _ => bail!("usage: demo [--store memory|embedded|redis]"),
    }
}
