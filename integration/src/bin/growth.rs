//! `make growth`: what a million sessions in Redis cost beside a thousand. Fails where a check takes longer, or where
//! something is scanned.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::process::ExitCode;

use anyhow::Result;
use portcullis_integration::growth::Growth;

const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;
/// How often each operation is measured.
const SAMPLES: usize = 200;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    println!("storing {FEW} and {MANY} sessions in two Redis servers; they need 5 GiB of memory at most");
    let growth = Growth::measure(FEW, MANY, SAMPLES).await?;
    println!("\n{growth}");
    let faults = growth.faults();
    for fault in &faults {
        println!("FAULT: {fault}");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
