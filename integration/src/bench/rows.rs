//! What a check costs, by its kind, by its size and by how many come at once.

use anyhow::Result;

use super::asked::{Asked, HEADERS, Shown};
use super::figures::ratio;
use super::goal::Goal;
use super::ground::{Ground, PATH, PUBLIC_PATH};
use super::h2load::Width;
use super::plan::Plan;
use super::probe::Kind;
use super::section::{Axis, Found, Section};

/// How many headers a large request has.
const LARGE: usize = 80;

/// Each kind of check.
pub(super) async fn kinds(ground: &Ground, plan: &Plan, say: fn(&str)) -> Result<Found> {
    let mut section = Section::new(
        "Kinds of checks",
        "128 checks under way on 4 connections (`-c4 -m32`), each of 26 headers and 2.8 KB. The CPU time behind a plus is \
         that of the processes that work for it: the reader of the log's pipe, Redis.",
    );
    let messages = ground.messages();
    let (quiet, cookieless) = (&ground.quiet, |path| Asked::script(path, Shown::Nothing, HEADERS));
    let null = section.yardstick(ground.null_case("null server", HEADERS)?);
    let large = section.yardstick(ground.null_case("null server, 80 headers", LARGE)?);
    let session = section.held(null, ground.session_case("session, memory", HEADERS)?, 0.65);
    let gates = [
        ("session, memory, log `warn`", &ground.warn, 0.62),
        ("session, memory, log into a pipe", &ground.piped, 0.75),
        ("session, Redis, remembered", &ground.cached, 0.70),
        ("session, Redis, read each time", &ground.stored, 1.1),
    ];
    for (name, gate, most) in gates {
        section.held(null, gate.server.case(name, &gate.asked(HEADERS), Kind::Asserted, messages)?, most);
    }
    let token = quiet.server.case("ServiceAccount token, cached", &ground.token_asked(), Kind::Asserted, messages)?;
    section.held(null, token, 0.65);
    let public = quiet.server.case("public path", &cookieless(PUBLIC_PATH), Kind::Anonymous, messages)?;
    section.held(null, public, 0.55);
    section.held(null, quiet.server.case("401", &cookieless(PATH), Kind::Refused(401), messages)?, 0.6);
    let page = Asked::page(PATH, Shown::Nothing, HEADERS);
    section.held(null, quiet.server.case("302 to sign in", &page, Kind::Refused(302), messages)?, 1.1);
    section.held(large, ground.session_case("session, memory, 80 headers", LARGE)?, 0.65);
    let mut found = section.measure(plan, say).await?;
    let slowest = ratio(found.case(session), found.case(null), |sample| sample.latencies.p99);
    found.goals.push(Goal::ratio("session, memory: p99 ÷ null's", slowest, 1.0));
    Ok(found)
}

/// From few headers to many.
pub(super) async fn headers(ground: &Ground, plan: &Plan, say: fn(&str)) -> Result<Found> {
    let mut section =
        Section::new("Headers", "A session in memory, beside the null server, for requests of so many headers.");
    let at = vec![10, HEADERS, 40, 60, LARGE];
    for headers in at.clone() {
        let null = section.yardstick(ground.null_case(&format!("null server, {headers} headers"), headers)?);
        section.row(null, ground.session_case(&format!("session, {headers} headers"), headers)?);
    }
    section.axis = Some(Axis { of: "headers", at });
    section.measure(plan, say).await
}

/// From one connection to many.
pub(super) async fn connections(ground: &Ground, plan: &Plan, say: fn(&str)) -> Result<Found> {
    let mut section =
        Section::new("Connections", "A session in memory, beside the null server: 128 checks under way in all.");
    let at = vec![1, 4, 16, 64];
    for connections in at.clone() {
        let width = Width { connections, streams: 128 / connections };
        let plural = if connections == 1 { "" } else { "s" };
        let name = |of: &str| format!("{of}, {connections} connection{plural}");
        let null = section.yardstick(ground.null_case(&name("null server"), HEADERS)?.width(width));
        section.row(null, ground.session_case(&name("session"), HEADERS)?.width(width));
    }
    section.axis = Some(Axis { of: "connections", at });
    section.measure(plan, say).await
}

/// One at a time.
pub(super) async fn one_at_a_time(ground: &Ground, plan: &Plan, say: fn(&str)) -> Result<Found> {
    let mut section =
        Section::new("One at a time", "One connection with one check under way (`-c1 -m1`): what one waits for it.");
    let messages = ground.messages();
    let null = section.yardstick(ground.null_case("null server", HEADERS)?.width(Width::ONE));
    section.row(null, ground.session_case("session, memory", HEADERS)?.width(Width::ONE));
    let stored = &ground.stored;
    let case =
        stored.server.case("session, Redis, read each time", &stored.asked(HEADERS), Kind::Asserted, messages)?;
    section.row(null, case.width(Width::ONE));
    let token =
        ground.quiet.server.case("ServiceAccount token, cached", &ground.token_asked(), Kind::Asserted, messages)?;
    section.row(null, token.width(Width::ONE));
    section.measure(plan, say).await
}
