//! The demonstration: a whole gateway with everything embedded, to sign in to with a browser.
//!
//! Envoy and the product are the real ones; the provider and the token issuer are the scripted ones in their honest
//! mode.

mod page;

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::envoy::{Envoy, Variant};
use crate::pki::Authority;
use crate::portcullis::{Config, Portcullis, TOKEN_AUDIENCE};
use crate::provider::{Provider, Settings, User};
use crate::redis::RedisServer;
use crate::review_api::ReviewApi;
use crate::upstream::Protocol;
use crate::visitor::Visitor;

/// Where the demonstration keeps its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Store {
    /// In the process's memory.
    Memory,
    /// In a file.
    #[default]
    Embedded,
    /// In a Redis of its own.
    Redis,
}

impl FromStr for Store {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "memory" => Ok(Self::Memory),
            "embedded" => Ok(Self::Embedded),
            "redis" => Ok(Self::Redis),
            _ => bail!("{word:?} is no store: memory, embedded or redis"),
        }
    }
}

/// A running demonstration. All of it stops when it is dropped.
#[derive(Debug)]
pub struct Demo {
    origin: String,
    authority: PathBuf,
    token: PathBuf,
    provider: String,
    // Dropped in this order: the gateway first.
    envoy: Envoy,
    portcullis: Portcullis,
    _provider: Provider,
    _review_api: ReviewApi,
    redis: Option<RedisServer>,
}

/// A line to try, and what it should show.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is for.
    pub title: &'static str,
    /// The command.
    pub command: String,
    /// The status that the gateway answers with.
    pub status: u16,
    /// What the answer holds.
    pub shows: &'static str,
}

impl Demo {
    /// Starts all of it.
    pub async fn start(store: Store) -> Result<Self> {
        let redis = if store == Store::Redis { Some(start_redis()?) } else { None };
        let users = vec![User::new("alice", &["team-a", "everyone"]), User::new("bob", &["team-b", "everyone"])];
        let provider = Provider::start(Settings { users, ..Settings::default() }).await?;
        let review_api = ReviewApi::start().await?;
        let upstream = page::serve().await?;

        let authority = Authority::new("Portcullis demonstration")?;
        let envoy = Envoy::builder(Variant::NEWEST)?
            .upstream_at(Protocol::Http1, upstream)
            .tls(authority.server(&["localhost"])?);
        let origin = format!("https://localhost:{}", envoy.tls_address().port());

        let config = Config::new()?.provider(&provider)?.service_accounts(&review_api)?;
        let config = match &redis {
            Some(redis) => config.redis_store(redis)?,
            None if store == Store::Embedded => config.embedded_store(),
            None => config,
        };
        let config = config
            .set("/origins", json!([{ "url": origin, "provider": "test" }]))
            .set("/logging/level", "info")
            .rules(json!([
                { "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" },
                { "name": "team-b", "paths": [{ "prefix": "/team-b" }], "access": "authenticated", "groups": ["team-b"] },
            ]));
        let (authority_file, token_file) = (config.folder().join("ca.pem"), config.folder().join("token"));
        fs::write(&authority_file, authority.pem())?;
        let token = review_api.token("team-a", "pipeline-runner").audience(TOKEN_AUDIENCE).issue();
        fs::write(&token_file, token)?;

        let portcullis = config.start().await?;
        let envoy = envoy.check(portcullis.check_address()).start().await?;
        Ok(Self {
            origin,
            authority: authority_file,
            token: token_file,
            provider: provider.issuer().to_owned(),
            envoy,
            portcullis,
            _provider: provider,
            _review_api: review_api,
            redis,
        })
    }

    /// The Redis that holds the sessions, where one does.
    #[must_use]
    pub const fn redis(&self) -> Option<&RedisServer> {
        self.redis.as_ref()
    }

    /// The product's process.
    pub const fn portcullis(&mut self) -> &mut Portcullis {
        &mut self.portcullis
    }

    /// A browser before the gateway.
    pub fn visitor(&self) -> Result<Visitor> {
        Visitor::new(self.envoy.to_http1(), &self.origin)
    }

    /// Where to go with a browser.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The lines to try from a shell.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let curl = format!("curl -s -w '\\n%{{http_code}}\\n' --cacert {}", self.authority.display());
        let token = format!("-H \"Authorization: Bearer $(cat {})\"", self.token.display());
        let forged = "-H 'kubeflow-userid: admin@example.com' -H 'kubeflow_userid: admin@example.com'";
        let accept = "-H 'Accept: application/json'";
        vec![
            Line {
                title: "A script with a ServiceAccount token: the service sees who calls, and never the token.",
                command: format!("{curl} {accept} {token} {}/", self.origin),
                status: 200,
                shows: "system:serviceaccount:team-a:pipeline-runner",
            },
            Line {
                title: "The same script forges a name: the service still sees the true one, once.",
                command: format!("{curl} {accept} {token} {forged} {}/", self.origin),
                status: 200,
                shows: "system:serviceaccount:team-a:pipeline-runner",
            },
            Line {
                title: "A forged name without a credential: refused, with the reason and the request's id.",
                command: format!("{curl} {accept} {forged} {}/", self.origin),
                status: 401,
                shows: "not_signed_in",
            },
            Line {
                title: "A forged name on a public path: passes, and the service sees no name at all.",
                command: format!("{curl} {accept} {forged} {}/public", self.origin),
                status: 200,
                shows: "\"identity\":[]",
            },
            Line {
                title: "Another team's path: refused.",
                command: format!("{curl} {accept} {token} {}/team-b/", self.origin),
                status: 403,
                shows: "not_permitted",
            },
        ]
    }
}

/// Starts a Redis, or says what is missing.
fn start_redis() -> Result<RedisServer> {
    for program in ["redis-server", "redis-cli"] {
        let missing = || format!("{program} is missing: get it with `make parts PARTS=redis`");
        let status = Command::new(program).arg("--version").stdout(Stdio::null()).status().with_context(missing)?;
        ensure!(status.success(), "{program} does not run: {status}");
    }
    Ok(RedisServer::start(&[]))
}

impl fmt::Display for Demo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "\nPortcullis stands before a demonstration service.\n")?;
        writeln!(formatter, "  Open       {}/", self.origin)?;
        writeln!(formatter, "             (your browser warns once: the certificate is this demonstration's own)")?;
        writeln!(formatter, "  Sign in    as alice or bob; there is no password")?;
        writeln!(formatter, "  Then       {}/portcullis/whoami shows who you are, and signs you out\n", self.origin)?;
        for line in self.lines() {
            writeln!(formatter, "{}\n  $ {}\n  expect {} and {}\n", line.title, line.command, line.status, line.shows)?;
        }
        if let Some(redis) = &self.redis {
            let port = redis.port();
            writeln!(
                formatter,
                "The sessions are in Redis, sealed: redis-cli -p {port} monitor shows what is asked of it.\n"
            )?;
        }
        writeln!(formatter, "The identity provider is at {}. Ctrl-C stops everything.", self.provider)
    }
}
