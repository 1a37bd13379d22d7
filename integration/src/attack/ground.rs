//! The ensemble that a case is sent to, and what is seen there.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{Case, Expected, Line, Send, Way, Who, recipes};
use crate::check_client::{Answer, Check, CheckClient};
use crate::envoy::Variant;
use crate::gateway::Gateway;
use crate::portcullis::Config;
use crate::raw_client::{Closed, Response, http1, http2};
use crate::wire::{HeaderLines, text};

/// Lines that Envoy itself adds or that the protocol brings.
const OF_THE_WAY: [&str; 8] = [
    "host",
    "x-forwarded-proto",
    "x-request-id",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-attempt-count",
    "x-envoy-internal",
    "content-length",
    "transfer-encoding",
];

/// A running gateway with rules of every kind, and people who are signed in.
#[derive(Debug)]
pub struct Ground {
    gateway: Gateway,
    check: CheckClient,
    recipes: BTreeMap<&'static str, String>,
}

/// A request that passed, whose reason only the log tells.
#[derive(Debug)]
pub struct Passed {
    what: String,
    request_id: String,
    reason: String,
}

/// What was seen: the answer, and the request at the service behind where it passed.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    reason: Option<String>,
    location: Option<String>,
    /// The path at the service behind, where the request passed.
    path: Option<String>,
    arrived: Vec<String>,
}

impl Ground {
    /// Starts it behind one Envoy.
    pub async fn start(variant: Variant) -> Result<Self> {
        let gateway = Gateway::start(variant, |config: Config| {
            config.rules(rules()).set("/hosts", json!(["strict.test", "*.team-a.models.test"]))
        })
        .await?;
        let check = gateway.check_client().await?;
        let recipes = recipes::prepare(&gateway).await?;
        Ok(Self { gateway, check, recipes })
    }

    /// Runs a case by all of its ways; adds what passed, and gives what went wrong, one text for each way.
    pub async fn run(&self, case: &Case, passed: &mut Vec<Passed>) -> Vec<String> {
        let Some(usual) = &case.expect else { return Vec::new() };
        let hardened = self.gateway.envoy.variant().is_hardened();
        let mut wrong = Vec::new();
        for way in &case.via {
            let expected = match way {
                Way::Direct => case.direct.as_ref().unwrap_or(usual),
                Way::Http1 | Way::Http2 if hardened => case.hardened.as_ref().unwrap_or(usual),
                Way::Http1 | Way::Http2 => usual,
            };
            let what = format!("{case}, {way:?}");
            match self.send(&case.send, *way).await {
                Ok((mut seen, request_id)) => {
                    if let Some(request_id) = request_id {
                        // What passes is told its reason by the log alone: `reasons_differ`.
                        let reason = expected.reason_of_a_pass().to_owned();
                        seen.reason.clone_from(&expected.reason);
                        passed.push(Passed { what: what.clone(), request_id, reason });
                    }
                    wrong.extend(
                        self.compare(&case.send, &seen, expected).err().map(|error| format!("{what}: {error:#}")),
                    );
                }
                Err(error) => wrong.push(format!("{what}: {error:#}")),
            }
        }
        wrong
    }

    /// The requests that passed for another reason than was told, by the log.
    pub async fn reasons_differ(&self, passed: &[Passed]) -> Result<Vec<String>> {
        let records = self.gateway.portcullis.records().await?;
        let reasons: BTreeMap<&str, &str> = records
            .iter()
            .filter_map(|record| Some((record["request_id"].as_str()?, record["reason"].as_str()?)))
            .collect();
        let differs = passed.iter().filter_map(|passed| {
            let seen = reasons.get(passed.request_id.as_str()).copied().unwrap_or("no record");
            (seen != passed.reason).then(|| format!("{}: the log says {seen}, wanted {}", passed.what, passed.reason))
        });
        Ok(differs.collect())
    }

    fn compare(&self, request: &Send, seen: &Seen, expected: &Expected) -> Result<()> {
        let mut arrives: Vec<String> =
            expected.lines.iter().map(|line| self.fill_in(line, 0)).collect::<Result<_>>()?;
        arrives.extend(identity_lines(expected.identity));
        arrives.sort();
        let path = self.fill_in(expected.path.as_ref().unwrap_or(&request.path), 0)?;
        let wanted = Seen {
            status: expected.status,
            reason: expected.reason.clone(),
            location: expected.location.as_ref().map(|location| self.fill_in(location, 0)).transpose()?,
            path: seen.path.is_some().then(|| text(&recipes::unescape(&path))),
            arrived: arrives,
        };
        if *seen != wanted {
            bail!("\n  seen   {seen:?}\n  wanted {wanted:?}");
        }
        Ok(())
    }

    async fn send(&self, request: &Send, way: Way) -> Result<(Seen, Option<String>)> {
        let lines = self.lines(request)?;
        let path = self.fill_in(&request.path, 0)?;
        match way {
            Way::Direct => {
                let id = crate::jwt::random_id().replace('_', "-");
                let check = check(request, &path, &lines).header("x-request-id", &id);
                let answer = self.check.check(check.build()).await?;
                let id = answer.is_allowed().then_some(id);
                Ok((seen_of_check(answer, &recipes::unescape(&path), &lines)?, id))
            }
            Way::Http1 => {
                let bytes = match &request.bytes {
                    Some(bytes) => recipes::unescape(&self.fill_in(bytes, 0)?),
                    None => http1_bytes(request, &path, &lines),
                };
                seen_at_gateway(http1::exchange(&self.gateway.target(), &bytes).await)
            }
            Way::Http2 => {
                let mut message = http2::Request::get(&request.host, "/")
                    .pseudo(":method", &request.method)
                    .pseudo(":path", recipes::unescape(&path));
                for (name, value) in &lines {
                    message = message.header(&name.to_ascii_lowercase(), value);
                }
                seen_at_gateway(http2::exchange(&self.gateway.target(), &message).await)
            }
        }
    }

    fn lines(&self, request: &Send) -> Result<Vec<(String, Vec<u8>)>> {
        let mut lines = Vec::new();
        match request.credential {
            Who::Nobody => {}
            Who::Alice => lines.push("cookie: ${ALICE_COOKIE}".to_owned()),
            Who::Robot => lines.push("authorization: Bearer ${ROBOT_TOKEN}".to_owned()),
        }
        for line in &request.lines {
            match line {
                Line::Once(line) => lines.push(line.clone()),
                Line::Often { line, times } => {
                    lines.extend((0..*times).map(|n| line.replace("${N}", &n.to_string())));
                }
            }
        }
        lines
            .iter()
            .map(|line| {
                let line = self.fill_in(line, 0)?;
                let (name, value) = line.split_once(':').with_context(|| format!("no header line: {line}"))?;
                Ok((name.to_owned(), recipes::unescape(value.strip_prefix(' ').unwrap_or(value))))
            })
            .collect()
    }

    fn fill_in(&self, template: &str, depth: usize) -> Result<String> {
        let Some(start) = template.find("${") else { return Ok(template.to_owned()) };
        let end = template[start..].find('}').context("an open ${")? + start;
        let name = &template[start + 2..end];
        let value = match name.split_once('*') {
            Some((unit, times)) => unit.repeat(times.parse()?),
            None => self.recipes.get(name).with_context(|| format!("no recipe {name}"))?.clone(),
        };
        anyhow::ensure!(depth < 50, "recipes without end");
        Ok(format!("{}{value}{}", &template[..start], self.fill_in(&template[end + 1..], depth + 1)?))
    }
}

fn rules() -> serde_json::Value {
    json!([
        { "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" },
        { "name": "optional", "paths": [{ "prefix": "/optional" }], "access": "optional" },
        { "name": "keep", "paths": [{ "prefix": "/keep" }], "access": "authenticated", "keep_bearer": true },
        { "name": "application", "paths": [{ "prefix": "/application" }], "bearer": "application" },
        { "name": "told", "paths": [{ "prefix": "/told" }],
          "headers": { "user": "X-WEBAUTH-USER", "email": "X-WEBAUTH-EMAIL", "groups": "X-WEBAUTH-GROUPS" } },
        { "name": "closed", "paths": [{ "prefix": "/closed" }], "access": "deny" },
        { "name": "team", "paths": [{ "prefix": "/team" }], "access": "authenticated", "groups": ["team-a"] },
        { "name": "admin", "paths": [{ "prefix": "/admin" }], "access": "authenticated", "groups": ["admins"] },
        { "name": "only", "paths": [{ "exact": "/only" }], "access": "authenticated", "groups": ["admins"] },
        { "name": "cors", "paths": [{ "prefix": "/cors" }], "access": "authenticated", "preflight": "allow" },
        { "name": "models", "hosts": ["*.team-a.models.test"], "service_accounts": ["ns/robot"] },
        { "name": "strict", "hosts": ["strict.test"], "access": "authenticated", "groups": ["admins"] },
    ])
}

fn http1_bytes(request: &Send, path: &str, lines: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = format!("{} ", request.method).into_bytes();
    bytes.extend(recipes::unescape(path));
    bytes.extend(format!(" HTTP/1.1\r\nHost: {}\r\n", request.host).bytes());
    for (name, value) in lines {
        bytes.extend(name.bytes());
        bytes.extend(b": ");
        bytes.extend(value);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    bytes
}

fn check(request: &Send, path: &str, lines: &[(String, Vec<u8>)]) -> Check {
    let path = String::from_utf8_lossy(&recipes::unescape(path)).into_owned();
    let check = Check::new(&request.method, &request.host, &path);
    lines.iter().fold(check, |check, (name, value)| check.header(name, value))
}

/// What came back through Envoy, and the request's id where it passed.
fn seen_at_gateway(outcome: Result<Response>) -> Result<(Seen, Option<String>)> {
    let response = match outcome {
        Ok(response) => response,
        // Refused without an answer, which is as good as 400.
        Err(error) if error.is::<Closed>() || error.is::<http2::Reset>() => {
            return Ok((Seen { status: 400, reason: None, location: None, path: None, arrived: Vec::new() }, None));
        }
        Err(error) => return Err(error),
    };
    let echo = if response.is_from_upstream() { Some(response.echo()?) } else { None };
    let seen = Seen {
        status: response.status,
        reason: crate::check_client::reason_of(&response.text()),
        location: response.headers.only("location").map(shortened),
        path: echo.as_ref().map(|echo| echo.target.clone()),
        arrived: echo.as_ref().map(|echo| arrived(&echo.headers)).transpose()?.unwrap_or_default(),
    };
    let id = echo.and_then(|echo| echo.headers.only("x-request-id").map(str::to_owned));
    Ok((seen, id))
}

/// What Envoy would make of an answer of the check port.
fn seen_of_check(answer: Answer, path: &[u8], lines: &[(String, Vec<u8>)]) -> Result<Seen> {
    let status = u16::try_from(answer.status())?;
    let (reason, location) = (answer.reason(), answer.told("location").first().map(|location| shortened(location)));
    let path = answer.is_allowed().then(|| text(path));
    let arrived = match answer {
        Answer::Deny { .. } => Vec::new(),
        Answer::Allow { set, remove, .. } => {
            let gone = |name: &str| {
                remove.iter().chain(set.0.iter().map(|(name, _)| name)).any(|other| other.eq_ignore_ascii_case(name))
            };
            let kept = lines
                .iter()
                .filter(|(name, _)| !gone(name))
                .map(|(name, value)| (name.to_ascii_lowercase(), text(value)));
            arrived(&HeaderLines(kept.chain(set.0.iter().cloned()).collect()))?
        }
    };
    Ok(Seen { status, reason, location, path, arrived })
}

/// The lines that arrived, sorted, with a mark in the place of the assertion, whose claims must agree with the headers.
fn arrived(headers: &HeaderLines) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (name, value) in &headers.0 {
        let name = name.to_ascii_lowercase();
        if OF_THE_WAY.contains(&name.as_str()) {
            continue;
        }
        if name == "portcullis-assertion" {
            let claims = crate::jwt::claims(value).context("the assertion is no JWT")?;
            let user = headers.only("kubeflow-userid").context("an assertion, and not one user")?;
            lines.push(if claims["userid"] == user || claims["sub"] == user {
                format!("{name}: <of {user}>")
            } else {
                format!("{name}: {claims}")
            });
            continue;
        }
        lines.push(format!("{name}: {value}"));
    }
    lines.sort();
    Ok(lines)
}

fn identity_lines(who: Who) -> Vec<String> {
    let lines: &[&str] = match who {
        Who::Nobody => &[],
        Who::Alice => &[
            "kubeflow-userid: alice@example.com",
            "kubeflow-groups: team-a,everyone",
            "auth-method: cookie",
            "portcullis-assertion: <of alice@example.com>",
        ],
        Who::Robot => &[
            "kubeflow-userid: system:serviceaccount:ns:robot",
            "kubeflow-groups: system:serviceaccounts,system:serviceaccounts:ns,system:authenticated",
            "auth-method: header",
            "portcullis-assertion: <of system:serviceaccount:ns:robot>",
        ],
    };
    lines.iter().map(|&line| line.to_owned()).collect()
}

fn shortened(location: &str) -> String {
    location.split('?').next().unwrap_or_default().to_owned()
}
