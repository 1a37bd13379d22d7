//! The benchmark works: every kind of check is measured once, and every answer is of the kind that it should be. What it
//! finds in so short a time says nothing, and is not looked at.

use std::path::PathBuf;

use portcullis_integration::bench::{Plan, Results};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_check_can_be_measured() {
    let plan = Plan::smoke(PathBuf::from(env!("CARGO_BIN_EXE_bench")));
    let results = Box::pin(Results::measure(plan, |_| ())).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    results.write(folder.path()).unwrap();
    let written = std::fs::read_to_string(folder.path().join("results.md")).unwrap();
    for row in
        ["| null server |", "| session, memory |", "| 302 to sign in |", "| ServiceAccount token, not seen before |"]
    {
        assert!(written.contains(row), "{row} is missing: {written}");
    }
}
