//! Many sessions, and tokens that were never seen.

use std::fs;
use std::sync::Arc;

use ::portcullis::stores::StoreConfig;
use anyhow::{Context, Result};

use super::asked::{Asked, HEADERS, Shown};
use super::case::{Case, Load, Processes, Sample};
use super::figures::{Figure, ratio};
use super::goal::{Bound, Goal};
use super::ground::{Ground, PATH, Server, config};
use super::h2load::Width;
use super::plan::Plan;
use super::probe::Kind;
use super::rotating::Rotating;
use super::section::{Found, Section};
use crate::envoy::CheckAddress;
use crate::portcullis::{Config, Portcullis, SESSION_COOKIE, TOKEN_AUDIENCE};
use crate::redis::RedisServer;
use crate::stored_sessions::{fill, in_redis, service};
use crate::usage::resident_kib;

/// How many sessions each person has.
const SESSIONS_PER_PERSON: u64 = 5;
/// The claims of one of [`crate::stored_sessions`], in bytes: names, address, groups, issuer, provider's session.
const CLAIMS: f64 = 250.0;
/// How many tokens one round shows.
const TOKENS: usize = 2000;

/// A process with sessions that were stored before it started.
struct Filled {
    process: Portcullis,
    server: Server,
    tickets: Vec<String>,
}

impl Filled {
    /// So many, in a file.
    async fn in_file(ground: &Ground, count: u64) -> Result<Self> {
        let config = config(&ground.provider, &ground.api)?.own_keys()?.embedded_store();
        let path = config.get("/sessions/store/path").and_then(|path| path.as_str());
        let store = StoreConfig::Embedded { path: path.context("the store has a file")?.into() };
        Self::start(ground, config, store, count).await
    }

    /// So many, in Redis, remembered for as long as may be.
    async fn in_redis(ground: &Ground, redis: &RedisServer, count: u64) -> Result<Self> {
        let config = config(&ground.provider, &ground.api)?.redis_store(redis)?;
        let config = config.set("/sessions/store/redis/cache_lifetime", "10m");
        Self::start(ground, config, in_redis(redis), count).await
    }

    async fn start(ground: &Ground, config: Config, store: StoreConfig, count: u64) -> Result<Self> {
        let sessions = Arc::new(service(&store, &fs::read(config.folder().join("root"))?).await?);
        let people = count.div_ceil(SESSIONS_PER_PERSON);
        let tickets = fill(&sessions, 0..count, ground.provider.issuer(), people).await?;
        // The file is closed and unlocked.
        drop(sessions);
        let process = config.start().await?;
        let CheckAddress::Tcp(address) = process.check_address() else { anyhow::bail!("checks come by TCP here") };
        let server = Server::at(address, Processes::alone(process.id())).await?;
        Ok(Self { process, server, tickets })
    }

    /// Checks of the first so many, in turn.
    fn case(&self, name: &str, count: usize) -> Result<Case> {
        rotating(&self.server, name, self.tickets[..count].to_vec(), Kind::Asserted)
    }
}

/// Checks in which each of these sessions is shown in turn.
fn rotating(server: &Server, name: &str, tickets: Vec<String>, kind: Kind) -> Result<Case> {
    let cookie = format!("{SESSION_COOKIE}={}", tickets.first().context("there is a session")?);
    let asked = Asked::script(PATH, Shown::Cookie(&cookie), HEADERS);
    let load = Load::Rotating(Rotating::new(server.address, &asked.check(), tickets, false)?);
    Ok(Case::new(name, load, server.processes.clone(), server.probe(&asked, kind)))
}

/// From one session to many.
pub(super) async fn many(ground: &Ground, plan: &Plan, say: fn(&str)) -> Result<Found> {
    let in_use = usize::try_from(plan.remembered)?;
    say(&format!("storing {} sessions in a file, and {in_use} in Redis", plan.many));
    let redis = RedisServer::start(&[]);
    let [one, thousand] = [Filled::in_file(ground, 1).await?, Filled::in_file(ground, 1000).await?];
    let many = Filled::in_file(ground, plan.many).await?;
    let remembered = Filled::in_redis(ground, &redis, plan.remembered).await?;
    say("stored");

    let mut section = Section::new(
        "Sessions",
        "Another session in each check, in turn, by a client of ours (h2load sends one request again and again): 128 checks \
         under way. These rows are to be compared with each other only. Sessions lie in the embedded store's file unless Redis \
         is named. Where each of all is checked, it is for the first time, and its assertion is signed.",
    );
    let null = section.yardstick(rotating(&ground.null, "null server", one.tickets.clone(), Kind::Empty)?);
    let alone = section.row(null, one.case("1 session", 1)?);
    section.row(null, thousand.case("1,000 sessions", 1000)?);
    let name = format!("{} sessions, {in_use} of them in use", plan.many);
    let mut case = many.case(&name, in_use)?;
    case.ask_all(in_use).await?;
    let used = section.row(null, case);
    section.row(null, many.case(&format!("{} sessions, each in turn", plan.many), many.tickets.len())?);
    let (case, memory) = remember(&remembered, in_use).await?;
    section.row(null, case);

    let mut found = section.measure(plan, say).await?;
    let dearer = ratio(found.case(used), found.case(alone), Sample::cpu);
    found.goals.push(Goal::ratio(format!("{name}: CPU ÷ that with one"), dearer, 1.1));
    let found_memory = Figure::exact(memory - CLAIMS);
    let what = "memory of a session that is remembered, beyond its claims".to_owned();
    found.goals.push(Goal { what, found: found_memory, bound: Bound::AtMost(1024.0), unit: "bytes" });
    Ok(found)
}

/// Lets the process remember all, and gives what each takes, in bytes.
async fn remember(filled: &Filled, count: usize) -> Result<(Case, f64)> {
    let mut case = filled.case(&format!("{count} sessions in Redis, all remembered"), count)?;
    // Buffers and threads come first.
    let first = count / 20;
    case.ask_all(first).await?;
    let before = resident_kib(filled.process.id())?;
    case.ask_all(count - first).await?;
    let grown = resident_kib(filled.process.id())?.saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "these are far below 2^52")]
    let each = (grown * 1024) as f64 / (count - first) as f64;
    Ok((case, each))
}

/// Tokens that were never seen, before an API server that answers at once.
pub(super) async fn unseen_tokens(ground: &Ground, plan: &Plan, say: fn(&str)) -> Result<Found> {
    let each = if plan.rounds == 1 { 100 } else { TOKENS };
    let count = each * plan.rounds;
    say(&format!("issuing {count} tokens"));
    let issue = || ground.api.token("team-a", "pipeline-runner").audience(TOKEN_AUDIENCE).issue();
    let tokens: Vec<String> = (0..count).map(|_| issue()).collect();
    let mut section = Section::new(
        "Tokens that were never seen",
        "ServiceAccount tokens (RS256), each shown once: its signature is verified and it is reviewed by a played API server \
         that answers at once. 32 checks under way, by a client of ours. The CPU time is the product's alone.",
    );
    let width = Width { connections: 4, streams: 8 };
    let null = rotating_tokens(&ground.null, "null server", tokens.clone(), Kind::Empty, false)?;
    let null = section.yardstick(null.width(width).requests(each));
    let name = "ServiceAccount token, not seen before";
    let case = rotating_tokens(&ground.quiet.server, name, tokens, Kind::Asserted, true)?;
    let row = section.row(null, case.width(width).requests(each));
    let mut found = section.measure(plan, say).await?;
    found.hold_to_calls(name, row);
    Ok(found)
}

/// Checks in which each of these tokens is shown in turn. One more asks before and after: it is known then.
fn rotating_tokens(server: &Server, name: &str, tokens: Vec<String>, kind: Kind, once: bool) -> Result<Case> {
    let asked = Asked::script(PATH, Shown::Bearer(tokens.first().context("there is a token")?), HEADERS);
    let load = Load::Rotating(Rotating::new(server.address, &asked.check(), tokens, once)?);
    Ok(Case::new(name, load, server.processes.clone(), server.probe(&asked, kind)))
}
