//! Others that do the same, like for like, in the same run.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::asked::{Asked, HEADERS, Shown};
use super::authorino::{Authorino, UNCACHED_HOST};
use super::case::{Case, Load, Processes, Sample};
use super::figures::ratio;
use super::goal::Goal;
use super::ground::{Ground, PATH, Server, config};
use super::h2load::Width;
use super::oauth2_proxy::OAuth2Proxy;
use super::plan::Plan;
use super::probe::Kind;
use super::rotating::Rotating;
use super::section::{Found, Section};
use crate::cluster::{Cluster, ISSUER};
use crate::envoy::CheckAddress;
use crate::portcullis::{Portcullis, TOKEN_AUDIENCE};

/// How many times their CPU time ours may be.
const MOST: f64 = 1.0 / 8.0;
/// How many tokens one round shows.
const TOKENS: usize = 400;
const NAMESPACE: &str = "bench";
const ACCOUNT: &str = "default";

/// oauth2-proxy beside a session, and Authorino beside a token, on a real API server.
pub(super) async fn compare(ground: &Ground, plan: &Plan, say: fn(&str)) -> Result<Found> {
    let oauth2_proxy = OAuth2Proxy::start(&ground.provider).await.context("oauth2-proxy")?;
    let cluster = Cluster::start().await?;
    let authorino = Authorino::start(&cluster).await.context("Authorino")?;
    let gate = gate(ground, &cluster).await?;
    let count = TOKENS * plan.rounds + 1;
    say(&format!("issuing {count} tokens"));
    let tokens = issue(&cluster, count).await?;

    let mut section = Section::new(
        "Others",
        "oauth2-proxy 7.15 is asked over HTTP/1.1 by 128 connections, with a session in its cookie, nothing logged. Authorino \
         0.27 and Portcullis review ServiceAccount tokens at one real API server; Authorino's limit on its calls is lifted, and \
         it logs errors only. Tokens that were not seen before are each shown once, 32 at a time.",
    );
    let messages = ground.messages();
    let asked = Asked::script(PATH, Shown::Bearer(&tokens[0]), HEADERS);
    let null = section.yardstick(ground.null_case("null server", HEADERS)?);
    let session = section.row(null, ground.session_case("session, memory", HEADERS)?);
    let proxy = section.row(null, oauth2_proxy.case()?);
    let ours = gate.server.case("ServiceAccount token, cached", &asked, Kind::Asserted, messages)?;
    let ours = section.row(null, ours);
    let theirs = authorino.server.case("Authorino, token cached", &asked, Kind::Named, messages)?;
    let theirs = section.row(null, theirs);
    let name = "ServiceAccount token, not seen before";
    section.row(null, unseen(name, &gate.server, &asked, tokens.clone(), Kind::Asserted)?);
    let asked = asked.host(UNCACHED_HOST);
    section.row(null, unseen("Authorino, token not seen before", &authorino.server, &asked, tokens, Kind::Named)?);
    let mut found = section.measure(plan, say).await?;
    for (what, ours, theirs) in [("oauth2-proxy", session, proxy), ("Authorino, cached", ours, theirs)] {
        let found_ratio = ratio(found.case(ours), found.case(theirs), Sample::cpu);
        found.goals.push(Goal::ratio(format!("CPU ÷ that of {what}"), found_ratio, MOST));
    }
    Ok(found)
}

/// The product, which asks the real API server.
struct RealGate {
    server: Server,
    _process: Portcullis,
}

async fn gate(ground: &Ground, cluster: &Cluster) -> Result<RealGate> {
    let config = config(&ground.provider, &ground.api)?;
    let config = config.set("/service_accounts/kubeconfig", cluster.admin_kubeconfig().display().to_string());
    // Remembered for as long as may be, as by Authorino here.
    let process = config.set("/service_accounts/issuers", vec![ISSUER]).set("/service_accounts/cache_ttl", "60s");
    let process = process.start().await?;
    let CheckAddress::Tcp(address) = process.check_address() else { anyhow::bail!("checks come by TCP here") };
    let server = Server::at(address, Processes::alone(process.id())).await?;
    Ok(RealGate { server, _process: process })
}

async fn issue(cluster: &Cluster, count: usize) -> Result<Vec<String>> {
    let issued = (0..count)
        .map(|_| cluster.token(NAMESPACE, ACCOUNT).audience(TOKEN_AUDIENCE).lifetime(Duration::from_hours(1)).issue());
    stream::iter(issued).buffered(16).try_collect().await
}

fn unseen(name: &str, server: &Server, asked: &Asked, tokens: Vec<String>, kind: Kind) -> Result<Case> {
    // The first one asks before and after.
    let load = Rotating::new(server.address, &asked.check(), tokens, true)?;
    let case = Case::new(name, Load::Rotating(load), server.processes.clone(), server.probe(asked, kind));
    Ok(case.width(Width { connections: 4, streams: 8 }).requests(TOKENS))
}
