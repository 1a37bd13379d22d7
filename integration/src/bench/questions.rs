//! Rules that ask Kubernetes: a question that was answered a moment ago, and questions that were never asked.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::asked::{Asked, HEADERS, Shown};
use super::case::{Case, Load};
use super::ground::{Gate, Ground, config};
use super::h2load::Width;
use super::plan::Plan;
use super::probe::Kind;
use super::rotating::Rotating;
use super::section::{Found, Section};

/// How many questions one round asks.
const QUESTIONS: usize = 2000;

/// Questions before an API server that answers at once.
pub(super) async fn ask(ground: &Ground, plan: &Plan, say: fn(&str)) -> Result<Found> {
    let each = if plan.rounds == 1 { 100 } else { QUESTIONS };
    let rules = json!([{
        "name": "notebooks",
        "paths": [{ "prefix": "/notebook" }],
        "captures": [{ "path": ["/notebook/{namespace}/{name}/**"] }],
        "reviews": [{
            "verb": "create", "resource": "pods", "subresource": "exec", "namespace": "{namespace}", "name": "{name}-0",
        }],
    }]);
    let config =
        config(&ground.provider, &ground.api)?.rules(rules).set("/access_reviews", json!({ "cache_ttl": "5m" }));
    let gate = Gate::start(config).await?;
    let mut section = Section::new(
        "Questions to Kubernetes",
        "A rule that asks whether somebody may do something (SubjectAccessReview), before a played API server that answers at \
         once: one question that is remembered, by h2load, and questions that were never asked, each asked once, by a client \
         of ours with 32 checks under way. The CPU time is the product's alone.",
    );
    let null = section.yardstick(ground.null_case("null server", HEADERS)?);
    let asked = Asked::script("/notebook/team-a/remembered/api/kernels", Shown::Cookie(&gate.cookie), HEADERS);
    section.row(null, gate.server.case("session, the answer remembered", &asked, Kind::Asserted, ground.messages())?);

    let names: Vec<String> = (0..=each * plan.rounds).map(|number| format!("nb{number:06}")).collect();
    let first = names.first().context("there is a name")?;
    let asked = Asked::script(&format!("/notebook/team-a/{first}/api"), Shown::Cookie(&gate.cookie), HEADERS);
    let load = Load::Rotating(Rotating::new(gate.server.address, &asked.check(), names, true)?);
    let probe = gate.server.probe(&asked, Kind::Asserted);
    let name = "session, never asked before";
    let case = Case::new(name, load, gate.server.processes.clone(), probe);
    let row = section.row(null, case.width(Width { connections: 4, streams: 8 }).requests(each));
    let mut found = section.measure(plan, say).await?;
    found.hold_to_calls(name, row);
    Ok(found)
}
