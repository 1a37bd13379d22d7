//! What a check costs: its instructions and its allocations, which callgrind counts alike on any machine.
//!
//! Two runs of the product differ by a number of checks; their difference, shared among those checks, is free of what
//! starting and stopping cost.

mod callgrind;
mod guard;

use std::fmt;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::callgrind::Counted;
pub use self::guard::Guard;
use crate::check_client::{Answer, Check, CheckClient};
use crate::check_visitor::CheckVisitor;
use crate::origin::HOST;
use crate::parts;
use crate::portcullis::{Config, SESSION_COOKIE, TOKEN_AUDIENCE};
use crate::provider::{Provider, Settings};
use crate::review_api::ReviewApi;

/// The checks whose cost is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By the cookie of a session in the memory store.
    Session,
    /// By a ServiceAccount token whose review is remembered.
    CachedToken,
    /// Of a public path.
    Public,
    /// By nobody, of a path that is not.
    Refused,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Session, Self::CachedToken, Self::Public, Self::Refused];

    const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::CachedToken => "ServiceAccount token, cached",
            Self::Public => "public path",
            Self::Refused => "401",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Session | Self::CachedToken | Self::Refused => "/page",
            Self::Public => "/public/page",
        }
    }

    /// Whether this is the answer that such a check gets.
    const fn fits(self, answer: &Answer) -> bool {
        match self {
            Self::Session | Self::CachedToken | Self::Public => matches!(answer, Answer::Allow { .. }),
            Self::Refused => matches!(answer, Answer::Deny { status: 401, .. }),
        }
    }
}

/// What one check of each kind costs.
#[derive(Debug)]
pub struct Cost {
    rows: Vec<(Kind, PerCheck)>,
}

/// The shares of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct PerCheck {
    instructions: u64,
    /// Of the allocator, in tenths.
    allocation_tenths: u64,
}

impl Cost {
    /// Counts the difference between `few` and `many` checks of each kind.
    pub async fn measure(few: u64, many: u64) -> Result<Self> {
        ensure!(few < many, "the second run has more checks");
        let mut rows = Vec::new();
        for kind in Kind::ALL {
            let (less, more) = (run(kind, few).await?, run(kind, many).await?);
            ensure!(less.allocations > 0, "no call of the allocator is seen: the binary has no symbols");
            let share = |less: u64, more: u64| more.saturating_sub(less) / (many - few);
            let per_check = PerCheck {
                instructions: share(less.instructions, more.instructions),
                allocation_tenths: share(less.allocations * 10, more.allocations * 10),
            };
            rows.push((kind, per_check));
        }
        Ok(Self { rows })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| a check by | instructions | allocations |\n|---|---|---|")?;
        for (kind, cost) in &self.rows {
            let (whole, tenth) = (cost.allocation_tenths / 10, cost.allocation_tenths % 10);
            write!(f, "\n| {} | {} | {whole}.{tenth} |", kind.name(), cost.instructions)?;
        }
        Ok(())
    }
}

/// Counts a whole life of the product with so many checks, one after the other.
async fn run(kind: Kind, checks: u64) -> Result<Counted> {
    let provider = Provider::start(Settings::default()).await?;
    let api = ReviewApi::start().await?;
    // The order in which threads run is not the same each time.
    let config = Config::new()?.provider(&provider)?.service_accounts(&api)?.environment("TOKIO_WORKER_THREADS", "1");
    let public = json!([{ "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" }]);
    let config = config.set("/logging/level", "info").rules(public);
    let counts = config.folder().join("callgrind.out");
    let mut process = config.under(callgrind::command(parts::path("valgrind")?, &counts)).start().await?;

    let client = CheckClient::connect(&process.check_address()).await?;
    let check = Check::get(HOST, kind.path()).scheme("https").header("sec-fetch-site", "same-origin");
    let check = check.header("sec-fetch-mode", "cors").header("accept", "*/*");
    let check = match kind {
        Kind::Session => {
            let mut visitor = CheckVisitor::new(&client, HOST);
            visitor.sign_in("alice", "/page").await?;
            let ticket = visitor.cookies.get(SESSION_COOKIE).context("no session cookie")?;
            check.header("cookie", format!("{SESSION_COOKIE}={ticket}"))
        }
        Kind::CachedToken => {
            let token = api.token("namespace", "robot").audience(TOKEN_AUDIENCE).issue();
            check.header("authorization", format!("Bearer {token}"))
        }
        Kind::Public | Kind::Refused => check,
    };
    let check = check.build();
    let mut reviews = 0;
    for number in 0..checks {
        let answer = client.check(check.clone()).await?;
        ensure!(kind.fits(&answer), "{kind:?}: {answer:?}");
        if number == 0 {
            // The start asks for one too, and the first check of a token.
            reviews = api.calls().reviews;
        }
    }
    ensure!(api.calls().reviews == reviews, "reviews are asked for that should be remembered");
    let status = process.stop().await?;
    ensure!(status.success(), "the product ended with {status}\n{}", process.log_tail());
    Counted::read(&counts)
}
