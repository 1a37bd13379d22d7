//! A table's run.

use thiserror::Error;

use super::{
    coverage,
    product::{ProductError, Products},
    report::{CaseReport, Found, Mismatch, Report},
    table::{Case, Table},
};
use crate::{clock::SystemClock, config_file::ConfigError, decision::HeaderName};

/// Why a table was not run to its end.
#[derive(Debug, Error)]
#[error("the table cannot be run: {0}")]
pub struct RunError(#[from] Problem);

#[derive(Debug, Error)]
enum Problem {
    #[error(transparent)]
    Product(#[from] ProductError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Runtime(#[from] std::io::Error),
}

/// Runs every case of a table, each in a product of its own.
///
/// # Errors
/// Where the product cannot be built of the configuration.
pub fn run(table: &Table) -> Result<Report, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(Problem::from)?;
    let cases = runtime.block_on(run_cases(table))?;
    let rules = coverage::judge(&table.settings.rules, &table.unreached_on_purpose, &cases);
    Ok(Report { table: table.path.clone(), cases, rules })
}

async fn run_cases(table: &Table) -> Result<Vec<CaseReport>, Problem> {
    let now = table.now.unwrap_or_else(|| SystemClock::shared().now());
    let products = |with_shadow| Ok::<_, Problem>(Products::new(table.sources.settings()?, now, with_shadow)?);
    let (enforced, with_shadow) = (products(false)?, products(true)?);
    let mut reports = Vec::with_capacity(table.cases.len());
    for case in &table.cases {
        let products = if case.with_shadow { &with_shadow } else { &enforced };
        reports.push(run_case(case, products, table.settings.headers.assertion()).await?);
    }
    Ok(reports)
}

/// What the case's request would be decided as is told first, since a check may end the session that it comes with.
async fn run_case(case: &Case, products: &Products, assertion: &HeaderName) -> Result<CaseReport, Problem> {
    let product = products.build(&case.caller, &case.reviews).await?;
    let raw = case.request.with(product.credential.as_ref());
    let explanation = product.checker.explain(raw.clone()).await;
    let checked = product.checker.check(raw, None).await;
    let found = Found::of(explanation, &checked, assertion);
    let mut mismatches = case.expectation.mismatches(&found);
    // What rules in shadow would ask decides nothing.
    let is_asked = |question: &String| found.reviews.iter().any(|(asked, _)| asked == question);
    let unassumed = product.answers.unassumed().into_iter().filter(is_asked);
    mismatches.extend(unassumed.map(|question| Mismatch::new("review", "no question without an answer", &question)));
    Ok(CaseReport { name: case.name.clone(), found, mismatches })
}
