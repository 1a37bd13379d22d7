//! What a check adds to a request at a real gateway.

use anyhow::Result;
use serde_json::{Value, json};

use super::asked::HEADERS;
use super::case::{Case, Load, Processes};
use super::figures::Figure;
use super::goal::Goal;
use super::ground::{Ground, PATH, Server};
use super::h2load::H2load;
use super::plan::Plan;
use super::probe::Probe;
use super::section::{Found, Section};
use crate::envoy::{CheckAddress, Envoy, Variant};
use crate::portcullis::HOST;
use crate::upstream::Protocol;

/// Where the check filter, the routes and the filters lie in the bootstrap.
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

/// A session check, and the null server, beside no check at all.
pub(super) async fn added(ground: &Ground, plan: &Plan, say: fn(&str)) -> Result<Found> {
    let none = start(None).await?;
    let null = start(Some(&ground.null)).await?;
    let session = start(Some(&ground.quiet.server)).await?;
    let mut section = Section::new(
        "Through Envoy",
        "Requests of 26 headers to an Envoy 1.40 with one worker that answers them itself, over 4 connections of HTTP/2 with 32 \
         requests each. CPU time of Envoy, and behind the plus of the server that it asks.",
    );
    let bare = section.yardstick(case(ground, "without a check", &none, None)?);
    let to_null = section.row(bare, case(ground, "null server", &null, Some(&ground.null))?);
    let to_session = section.row(bare, case(ground, "session, memory", &session, Some(&ground.quiet.server))?);
    let mut found = section.measure(plan, say).await?;
    let rounds = (0..plan.rounds).map(|round| {
        let cpu = |row: usize| found.case(row).samples[round].cpu();
        (cpu(to_session) - cpu(bare)) / (cpu(to_null) - cpu(bare))
    });
    let ratio = Figure::of(rounds.collect::<Vec<_>>());
    found.goals.push(Goal::ratio(
        "through Envoy: CPU that a session check adds ÷ that the null server adds",
        ratio,
        0.95,
    ));
    Ok(found)
}

async fn start(checked: Option<&Server>) -> Result<Envoy> {
    let builder = Envoy::builder(Variant::NEWEST)?;
    // No upstream is asked: each route answers by itself.
    let nowhere = builder.http1_address();
    let builder = builder.upstream_at(Protocol::Http1, nowhere).edit(answer_directly);
    match checked {
        Some(server) => builder.check(CheckAddress::Tcp(server.address)).start().await,
        None => builder.edit(ask_nobody).start().await,
    }
}

fn case(ground: &Ground, name: &str, envoy: &Envoy, server: Option<&Server>) -> Result<Case> {
    let lines = ground.quiet.asked(HEADERS).lines().to_vec();
    let others = server.map(|server| server.processes.own).into_iter().collect();
    let processes = Processes { own: envoy.id(), others };
    let mut probed = lines.clone();
    probed.push(("host".to_owned(), HOST.to_owned()));
    let address = envoy.http1_address();
    let url = format!("http://{address}{PATH}");
    let probe = Probe::Get { client: crate::http::plain_client()?, url, lines: probed, status: 200 };
    Ok(Case::new(name, Load::Same(H2load::get(address, HOST, PATH, lines, false)), processes, probe))
}

fn answer_directly(bootstrap: &mut Value) {
    let route = bootstrap.pointer_mut(&format!("{MANAGER}/route_config/virtual_hosts/0/routes/0"));
    let route = route.and_then(Value::as_object_mut).expect("the bootstrap has a route");
    route.remove("route");
    route.insert("direct_response".to_owned(), json!({ "status": 200, "body": { "inline_string": "passed" } }));
}

fn ask_nobody(bootstrap: &mut Value) {
    let filters = bootstrap.pointer_mut(&format!("{MANAGER}/http_filters")).and_then(Value::as_array_mut);
    filters.expect("the bootstrap has filters").remove(0);
}
