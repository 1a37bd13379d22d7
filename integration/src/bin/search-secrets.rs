//! The last step of `make test`: searches what the suites left behind for every secret that they made.
#![expect(clippy::print_stdout, reason = "a program for people and scripts")]

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use portcullis_integration::evidence;

fn main() -> Result<ExitCode> {
    let folder = std::env::var_os(evidence::FOLDER).with_context(|| format!("{} is not set", evidence::FOLDER))?;
    let report = evidence::search(Path::new(&folder))?;
    let secrets: Vec<String> = report.secrets.iter().map(|(kind, count)| format!("{count} {kind:?}")).collect();
    println!("searched for {}", secrets.join(", "));
    for (place, (files, bytes)) in &report.searched {
        println!("in {files} files of {place:?}, {} KiB", bytes / 1024);
    }
    let gaps = report.gaps();
    for gap in &gaps {
        println!("too little evidence: {gap}");
    }
    for finding in &report.findings {
        println!("a secret in {finding}");
    }
    let failed = report.leaking_files() + gaps.len();
    println!("{} passed, {failed} failed", report.clean_files());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
