//! The figures that are in the tree, and whether a count holds to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Cost, PerCheck};
use crate::project;

/// How much more than what is in the tree is growth, in hundredths.
const GROWTH: u64 = 3;

/// What a check of each kind costs, by the file in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Guard(BTreeMap<String, PerCheck>);

impl Guard {
    /// Where it lies.
    #[must_use]
    pub fn path() -> PathBuf {
        project::root().join("docs/performance/cost.json")
    }

    /// Reads the file in the tree.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} cannot be read", path.display()))
    }

    /// These counts, to be held from now on.
    #[must_use]
    pub fn of(cost: &Cost) -> Self {
        Self(cost.rows.iter().map(|(kind, counts)| (kind.name().to_owned(), *counts)).collect())
    }

    /// Writes it into the tree.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// What grew by more than the tree allows, and what the tree knows nothing of; empty where all is well. Instructions are
    /// not judged: how often the log's writer and the clock wake up depends on how fast the machine runs callgrind.
    #[must_use]
    pub fn faults(&self, cost: &Cost) -> Vec<String> {
        let found = Self::of(cost).0;
        let gone = self.0.keys().filter(|kind| !found.contains_key(*kind));
        let gone = gone.map(|kind| format!("{kind}: in the tree, and not counted"));
        let grown = found.iter().flat_map(|(kind, found)| match self.0.get(kind) {
            None => vec![format!("{kind}: not in the tree")],
            Some(held) => grown(kind, found.allocation_tenths, held.allocation_tenths).into_iter().collect(),
        });
        grown.chain(gone).collect()
    }
}

fn grown(kind: &str, found: u64, held: u64) -> Option<String> {
    let is_grown = found.saturating_mul(100) > held.saturating_mul(100 + GROWTH);
    let what = || format!("{kind}: {found} tenths of an allocation instead of {held}, more than {GROWTH} % beyond");
    is_grown.then(what)
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn cost(instructions: u64, allocation_tenths: u64) -> Cost {
        Cost { rows: vec![(Kind::Session, PerCheck { instructions, allocation_tenths })] }
    }

    #[test]
    fn growth_of_more_than_three_in_a_hundred_is_a_fault() {
        let guard = Guard::of(&cost(1000, 100));
        for held in [cost(1000, 100), cost(1500, 103), cost(500, 0)] {
            assert!(guard.faults(&held).is_empty(), "{held:?}");
        }
        assert!(guard.faults(&cost(1000, 104))[0].contains("104 tenths of an allocation instead of 100"));
        assert_eq!(guard.faults(&Cost { rows: Vec::new() }).len(), 1);
        assert_eq!(Guard(BTreeMap::new()).faults(&cost(1, 1)).len(), 1);
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cost.json");
        let guard = Guard::of(&cost(1000, 100));
        guard.write(&path).unwrap();
        assert_eq!(Guard::read(&path).unwrap(), guard);
    }
}
