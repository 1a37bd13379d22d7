//! What callgrind counted, from its file of profile data (Valgrind manual, "Callgrind Format Specification").

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The functions that give memory, of mimalloc as the product's allocator calls it and of libc as C calls it.
const ALLOCATORS: [&str; 7] =
    ["mi_malloc", "mi_malloc_aligned", "mi_zalloc_aligned", "mi_realloc_aligned", "malloc", "calloc", "realloc"];

/// How a program is started so that its whole life is counted into a file.
pub(super) fn command(valgrind: PathBuf, file: &Path) -> Vec<OsString> {
    let mut out = OsString::from("--callgrind-out-file=");
    out.push(file);
    vec![valgrind.into(), "--tool=callgrind".into(), "--quiet".into(), out]
}

/// The counts of a program's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) instructions: u64,
    pub(super) allocations: u64,
}

impl Counted {
    pub(super) fn read(file: &Path) -> Result<Self> {
        Self::parse(&fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?)
    }

    fn parse(profile: &str) -> Result<Self> {
        let (mut names, mut from, mut to) = (HashMap::new(), "", "");
        let (mut instructions, mut allocations) = (None, 0);
        for line in profile.lines() {
            let Some((key, value)) = line.split_once(['=', ':']) else { continue };
            match key {
                "fn" => from = named(&mut names, value)?,
                "cfn" => to = named(&mut names, value)?,
                // An allocator's own calls of its other functions give no memory to the program.
                "calls" if ALLOCATORS.contains(&to) && !is_of_an_allocator(from) => {
                    allocations += first_number(value)?;
                }
                "events" => ensure!(value.trim() == "Ir", "counted {value} instead of instructions"),
                "summary" | "totals" => instructions = instructions.max(Some(first_number(value)?)),
                _ => {}
            }
        }
        Ok(Self { instructions: instructions.context("no total is told")?, allocations })
    }
}

/// The name behind `(ID) NAME`, or behind an id that was given a name before.
fn named<'a>(names: &mut HashMap<&'a str, &'a str>, value: &'a str) -> Result<&'a str> {
    let (id, name) = value.split_once(')').unwrap_or((value, ""));
    match name.trim() {
        "" => names.get(id).copied().with_context(|| format!("{value} is no name")),
        name => {
            names.insert(id, name);
            Ok(name)
        }
    }
}

fn is_of_an_allocator(function: &str) -> bool {
    let function = function.split('\'').next().unwrap_or_default();
    ["mi_", "_mi_"].iter().any(|prefix| function.starts_with(prefix)) || ALLOCATORS.contains(&function)
}

fn first_number(text: &str) -> Result<u64> {
    let number = text.split_whitespace().next().with_context(|| format!("no number: {text:?}"))?;
    number.parse().with_context(|| format!("no number: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_own_allocations_are_counted() {
        let profile = "# callgrind format\nevents: Ir\n\nfn=(1) main\n16 400\ncfn=(2) mi_malloc_aligned\ncalls=3 50\n16 90\n\
            cfn=(3) malloc\ncalls=2 50\n16 9\n\nfn=(2)\ncfn=(4) mi_malloc\ncalls=3 8\n1 2\n\nfn=(5) other\ncfn=(2)\n\
            calls=1 0\n1 1\ncfn=(1)\ncalls=7 0\n1 1\n\ntotals: 500\n";
        assert_eq!(Counted::parse(profile).unwrap(), Counted { instructions: 500, allocations: 6 });
        assert!(Counted::parse("events: Dr\n").is_err(), "something else was counted");
        assert!(Counted::parse("events: Ir\n").is_err(), "the file was cut off");
    }
}
