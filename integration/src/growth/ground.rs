//! A Redis full of sessions, and the product's process over it.

use std::fs;
use std::sync::Arc;

use ::portcullis::principal::Userid;
use ::portcullis::session::Sessions;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::figures::info;
use super::operation::{Operation, SESSIONS_PER_PERSON};
use crate::check_client::{Answer, Check, CheckClient};
use crate::portcullis::{Config, HOST, Portcullis, SESSION_COOKIE};
use crate::provider::Provider;
use crate::redis::RedisServer;
use crate::stored_sessions::{email, fill, in_redis, provider_session, service, session};
use crate::{http, jwt};

/// The event of a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// One Redis, one process, and a session service that shares both's sessions.
pub(super) struct Ground<'provider> {
    provider: &'provider Provider,
    redis: RedisServer,
    process: Portcullis,
    client: CheckClient,
    http: reqwest::Client,
    sessions: Arc<Sessions>,
    /// How many people have sessions.
    people: u64,
    /// How many sessions there are.
    stored: u64,
    /// The bytes that Redis used when there were none.
    empty: u64,
    /// The cookies of the samples, whose first is the session of this number.
    samples: (u64, Vec<String>),
}

impl<'provider> Ground<'provider> {
    /// An empty one, for so many sessions.
    pub(super) async fn start(provider: &'provider Provider, sessions: u64) -> Result<Self> {
        let redis = RedisServer::start(&[]);
        let config = Config::new()?.provider(provider)?.redis_store(&redis)?.set("/logging/level", "warn");
        let key = fs::read(config.folder().join("root"))?;
        let process = config.start().await?;
        let client = CheckClient::connect(&process.check_address()).await?;
        let service = Arc::new(service(&in_redis(&redis), &key).await?);
        let (people, http) = (sessions / SESSIONS_PER_PERSON, http::plain_client()?);
        let samples = (0, Vec::new());
        let mut ground =
            Self { provider, redis, process, client, http, sessions: service, people, stored: 0, empty: 0, samples };
        ground.empty = info(&ground.redis, "memory", "used_memory")?;
        Ok(ground)
    }

    pub(super) const fn redis(&self) -> &RedisServer {
        &self.redis
    }

    /// Stores so many more, many at once.
    pub(super) async fn fill(&mut self, count: u64) -> Result<()> {
        let end = self.stored + count;
        fill(&self.sessions, self.stored..end, self.provider.issuer(), self.people).await?;
        self.stored = end;
        Ok(())
    }

    /// Stores so many more, and keeps their tickets.
    pub(super) async fn fill_samples(&mut self, count: usize) -> Result<()> {
        self.samples.0 = self.stored;
        for _ in 0..count {
            let (ticket, _) = self.sessions.create(session(self.provider.issuer(), self.stored, self.people)?).await?;
            self.samples.1.push(ticket.expose().to_owned());
            self.stored += 1;
        }
        Ok(())
    }

    pub(super) fn bytes_per_session(&self) -> Result<u64> {
        Ok(info(&self.redis, "memory", "used_memory")?.saturating_sub(self.empty) / self.stored)
    }

    /// Does once, for nobody, what is only done once.
    pub(super) async fn warm_up(&self, operation: Operation) -> Result<()> {
        if operation == Operation::BackChannelLogout {
            // The provider's keys are fetched.
            self.log_out("nobody").await?;
        }
        Ok(())
    }

    /// Asks an operation of one of the samples.
    pub(super) async fn run(&self, operation: Operation, sample: usize) -> Result<()> {
        let number = self.samples.0 + sample as u64;
        match operation {
            Operation::StoredCheck | Operation::CachedCheck => {
                let answer = self.check(sample).await?;
                ensure!(matches!(answer, Answer::Allow { .. }), "a session is refused: {answer:?}");
                Ok(())
            }
            Operation::List => {
                let userid = Userid::parse(&email(number % self.people))?;
                let listed = self.sessions.list_userid(&userid).await?.len() as u64;
                ensure!(listed == SESSIONS_PER_PERSON, "{listed} sessions are listed");
                Ok(())
            }
            Operation::BackChannelLogout => self.log_out(&provider_session(number)).await,
        }
    }

    async fn check(&self, sample: usize) -> Result<Answer> {
        let cookie = format!("{SESSION_COOKIE}={}", self.samples.1[sample]);
        let check = Check::get(HOST, "/page").scheme("https").header("sec-fetch-site", "same-origin");
        self.client.check(check.header("sec-fetch-mode", "cors").header("cookie", cookie).build()).await
    }

    async fn log_out(&self, sid: &str) -> Result<()> {
        let now = jwt::now();
        let claims: Value = json!({
            "iss": self.provider.issuer(), "aud": "portcullis", "iat": now, "exp": now + 120,
            "jti": jwt::random_id(), "events": { EVENT: {} }, "sid": sid,
        });
        let body = format!("logout_token={}", self.provider.sign(&claims)?);
        let url = format!("http://{}/backchannel-logout/test", self.process.http_address());
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// After all was measured: each check came from where it is said to, and each session that was to end has ended.
    pub(super) async fn has_done_what_was_asked(&self, samples: u64) -> Result<()> {
        for outcome in ["stored", "cached"] {
            let label = format!("outcome=\"{outcome}\"");
            let opened = self.process.metric("portcullis_session_opens_total", &[&label]).await?;
            ensure!(opened == samples, "{opened} of {samples} checks were {outcome}");
        }
        for sample in 0..self.samples.1.len() {
            let answer = self.check(sample).await?;
            ensure!(matches!(answer, Answer::Deny { status: 401, .. }), "a session outlived its logout: {answer:?}");
        }
        Ok(())
    }
}
