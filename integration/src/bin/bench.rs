//! `make bench`: what a check costs. Fails where a goal is missed by more than the noise.
//!
//! `bench kinds` measures the kinds of checks alone, and writes nothing; `bench flame` draws where a session check's time
//! goes. `bench null-server ADDRESS` is the yardstick;
//! `bench smoke` shows that everything works, and measures nothing.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use portcullis_integration::bench::{Goal, Plan, Results, flame, goal_line, null_server};
use portcullis_integration::project;

/// Where the results lie.
const FOLDER: &str = "docs/performance";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let program = std::env::current_exe()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [null_server::ARGUMENT, address] => {
            null_server::serve(address.parse().context("an address")?)?;
            Ok(ExitCode::SUCCESS)
        }
        [] => run(Plan::full(program)),
        ["kinds"] => run_kinds(Plan::full(program)),
        ["flame"] => run_flame(&Plan::full(program)),
        ["smoke"] => run(Plan::smoke(program)),
        _ => bail!("usage: bench [kinds | flame | smoke | {} ADDRESS]", null_server::ARGUMENT),
    }
}

#[tokio::main]
async fn run(plan: Plan) -> Result<ExitCode> {
    say("starting");
    let is_smoke = plan.rounds == 1;
    let results = Box::pin(Results::measure(plan, say)).await?;
    let smoke = tempfile::tempdir()?;
    let folder = if is_smoke { smoke.path().to_owned() } else { project::root().join(FOLDER) };
    results.write(&folder)?;
    say(&format!("wrote {}", folder.display()));
    Ok(judged(&results, is_smoke))
}

#[tokio::main]
async fn run_kinds(plan: Plan) -> Result<ExitCode> {
    say("starting");
    let results = Box::pin(Results::measure_kinds(plan, say)).await?;
    Ok(judged(&results, false))
}

#[tokio::main]
async fn run_flame(plan: &Plan) -> Result<ExitCode> {
    let graph = project::root().join(FOLDER).join("session.svg");
    Box::pin(flame::draw(plan, &graph, say)).await?;
    say(&format!("wrote {}", graph.display()));
    Ok(ExitCode::SUCCESS)
}

/// Tells each goal, and fails where one is missed, unless the figures say nothing.
fn judged(results: &Results, is_smoke: bool) -> ExitCode {
    for goal in results.goals() {
        println!("{}", goal_line(goal));
    }
    if !is_smoke && results.goals().any(Goal::is_missed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Says what is going on, and since when.
fn say(what: &str) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();

    let seconds = BEGUN.get_or_init(Instant::now).elapsed().as_secs();
    println!("[{:2}:{:02}] {what}", seconds / 60, seconds % 60);
}
