//! `make cost`: the instructions and allocations of a check, as a table. `PORTCULLIS_BIN` chooses another binary.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use anyhow::Result;
use portcullis_integration::cost::Cost;
use portcullis_integration::portcullis::binary;

const FEW: u64 = 200;
const MANY: u64 = 1_200;

#[tokio::main]
async fn main() -> Result<()> {
    println!("{}: counting {FEW} and {MANY} checks of each kind (about a minute)", binary()?.display());
    println!("{}", Cost::measure(FEW, MANY).await?);
    Ok(())
}
