//! `make demo`: starts the demonstration, says how to use it, and stops it with Ctrl-C.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use anyhow::Result;
use portcullis_integration::demo::Demo;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let demo = Demo::start().await?;
    println!("{demo}");
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    println!("stopping");
    Ok(())
}
