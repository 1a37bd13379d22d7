//! What a check costs, beside a stock server's empty answer, and beside others that do the same.
//!
//! All servers stand at once, and each section's cases are measured in turns, so that whatever else the machine does
//! befalls each; only ratios of one run mean something. What a server used is its CPU time as the kernel tells it. Every
//! round asks one answer before and after, decodes it, and holds the number, the statuses and the length of all others to
//! it.

pub mod flame;
pub mod null_server;

mod asked;
mod authorino;
mod case;
mod facts;
mod figures;
mod goal;
mod ground;
mod h2load;
mod machine;
mod oauth2_proxy;
mod outcome;
mod peers;
mod plan;
mod plot;
mod plots;
mod probe;
mod questions;
mod report;
mod rotating;
mod rows;
mod section;
mod sessions;
mod through_envoy;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

pub use self::goal::Goal;
use self::ground::Ground;
pub use self::plan::Plan;
pub use self::report::goal_line;
use self::section::Found;

/// What a run found.
#[derive(Debug)]
pub struct Results {
    found: Vec<Found>,
    facts: Vec<Goal>,
    machine: Vec<(&'static str, String)>,
    plan: Plan,
}

impl Results {
    /// Measures all of a plan. `say` is told what is going on.
    pub async fn measure(plan: Plan, say: fn(&str)) -> Result<Self> {
        let machine = machine::description();
        let ground = Ground::start(&plan).await?;
        let facts = facts::facts(&ground, &plan, say).await?;
        let mut found = vec![
            Box::pin(rows::kinds(&ground, &plan, say)).await?,
            Box::pin(rows::headers(&ground, &plan, say)).await?,
            Box::pin(rows::connections(&ground, &plan, say)).await?,
            Box::pin(rows::one_at_a_time(&ground, &plan, say)).await?,
            Box::pin(sessions::unseen_tokens(&ground, &plan, say)).await?,
            Box::pin(questions::ask(&ground, &plan, say)).await?,
        ];
        if plan.envoy {
            found.push(Box::pin(through_envoy::added(&ground, &plan, say)).await?);
        }
        if plan.peers {
            found.push(Box::pin(peers::compare(&ground, &plan, say)).await?);
        }
        found.push(Box::pin(sessions::many(&ground, &plan, say)).await?);
        Ok(Self { found, facts, machine, plan })
    }

    /// Measures the kinds of checks alone.
    pub async fn measure_kinds(plan: Plan, say: fn(&str)) -> Result<Self> {
        let machine = machine::description();
        let ground = Ground::start(&plan).await?;
        let found = vec![Box::pin(rows::kinds(&ground, &plan, say)).await?];
        Ok(Self { found, facts: Vec::new(), machine, plan })
    }

    /// All goals.
    pub fn goals(&self) -> impl Iterator<Item = &Goal> {
        self.found.iter().flat_map(|found| &found.goals).chain(&self.facts)
    }

    /// Writes the tables and the plots into this folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let plots = plots::draw_all(folder, &self.found)?;
        let document = report::document(&self.machine, &self.plan, &self.found, &self.facts, &plots);
        fs::write(folder.join("results.md"), document).context("the results cannot be written")
    }
}
