//! `make cost`: the instructions and allocations of a check, as a table, held to those in the tree. `PORTCULLIS_BIN` chooses
//! another binary.
//!
//! `cost` fails where one grew; `cost write` writes what it counted into the tree instead.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::process::ExitCode;

use anyhow::{Result, bail};
use portcullis_integration::cost::{Cost, Guard};
use portcullis_integration::portcullis::binary;

const FEW: u64 = 200;
const MANY: u64 = 1_200;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_to_write = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["write"] => true,
        _ => bail!("usage: cost [write]"),
    };
    println!("{}: counting {FEW} and {MANY} checks of each kind (about two minutes)", binary()?.display());
    let cost = Cost::measure(FEW, MANY).await?;
    println!("{cost}");
    if is_to_write {
        Guard::of(&cost).write(&Guard::path())?;
        return Ok(ExitCode::SUCCESS);
    }
    let faults = Guard::read(&Guard::path())?.faults(&cost);
    for fault in &faults {
        println!("{fault}");
    }
    // As the runners of tests sum up.
    println!("{} passed, {} failed", usize::from(faults.is_empty()), faults.len());
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
