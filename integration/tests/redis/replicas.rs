//! Replicas that are asked directly, and the browsers that ask them.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use portcullis_integration::check_client::{Answer, CheckClient};
use portcullis_integration::check_visitor::{CheckVisitor, location};
use portcullis_integration::portcullis::{Config, HOST, Portcullis, SESSION_COOKIE};
use portcullis_integration::provider::{Provider, Settings};
use portcullis_integration::visitor::{log_in, path_and_query};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

/// How a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    /// It reached the service.
    Allowed,
    /// Nobody is signed in.
    Refused,
    /// 503 with `Retry-After`.
    Unavailable,
}

/// Keys that processes share.
pub(crate) struct Keys {
    folder: TempDir,
}

impl Keys {
    pub(crate) fn new() -> Result<Self> {
        let folder = TempDir::with_prefix("portcullis-keys-")?;
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok().context("random bytes")?;
        fs::write(folder.path().join("root"), bytes)?;
        fs::write(folder.path().join("assertion.pem"), rcgen::KeyPair::generate()?.serialize_pem())?;
        Ok(Self { folder })
    }

    /// The configuration of a process with these keys, whose sessions are in Redis.
    pub(crate) fn shared_with(&self, redis: &Value) -> Result<Config> {
        let (root, assertion) = (self.folder.path().join("root"), self.folder.path().join("assertion.pem"));
        Ok(Config::new()?
            .set("/keys", json!({ "root": [root], "assertion": [assertion] }))
            .set("/logging/level", "info")
            .set("/sessions/store", json!({ "type": "redis", "redis": redis })))
    }
}

/// Processes that share keys, a provider and a Redis.
pub(crate) struct Replicas {
    processes: Vec<Portcullis>,
    clients: Vec<CheckClient>,
    /// Where people sign in.
    pub(crate) provider: Provider,
    _keys: Keys,
}

/// What people did, and what failed.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) signed_in: Vec<CheckVisitor>,
    pub(crate) signed_out: Vec<CheckVisitor>,
    pub(crate) acknowledged_sign_ins: usize,
    pub(crate) acknowledged_logouts: usize,
    /// When, and how.
    pub(crate) failures: Vec<(Instant, String)>,
}

impl Replicas {
    /// The deadline of a call of Redis.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

    pub(crate) async fn start(count: usize, redis: &Value) -> Result<Self> {
        Self::start_with(count, redis, Settings::default(), |config| config).await
    }

    /// Like [`Replicas::start`], with another provider and more configuration.
    pub(crate) async fn start_with(
        count: usize,
        redis: &Value,
        settings: Settings,
        configure: impl Fn(Config) -> Config,
    ) -> Result<Self> {
        let keys = Keys::new()?;
        let provider = Provider::start(settings).await?;
        let (mut processes, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let config = keys.shared_with(redis)?.provider(&provider)?;
            let process = configure(config).start().await?;
            clients.push(CheckClient::connect(&process.check_address()).await?);
            processes.push(process);
        }
        Ok(Self { processes, clients, provider, _keys: keys })
    }

    /// Signs somebody in at a replica; their browser.
    pub(crate) async fn sign_in(&self, replica: usize) -> Result<CheckVisitor> {
        let mut visitor = CheckVisitor::new(&self.clients[replica], HOST);
        let to_provider = self.redirect(replica, &visitor.navigate("/").await?)?;
        let back = log_in(&to_provider, "alice").await?;
        self.redirect(replica, &visitor.navigate(&path_and_query(&back)).await?)?;
        ensure!(visitor.cookies.contains_key(SESSION_COOKIE), "there is no session");
        Ok(visitor)
    }

    /// Where an answer redirects.
    fn redirect(&self, replica: usize, answer: &Answer) -> Result<Url> {
        if is_unavailable(answer)? {
            bail!("503");
        }
        location(answer).with_context(|| self.processes[replica].log_tail())
    }

    /// A call of a script.
    pub(crate) async fn visit(&self, replica: usize, visitor: &CheckVisitor) -> Result<Visit> {
        let answer = visitor.at(&self.clients[replica]).fetch("GET", "/page").await?;
        match answer.status() {
            200 => Ok(Visit::Allowed),
            401 => Ok(Visit::Refused),
            _ if is_unavailable(&answer)? => Ok(Visit::Unavailable),
            _ => bail!("{answer:?}"),
        }
    }

    /// Signs out at a replica; fails where that is not acknowledged. The visitor keeps the dead cookie.
    pub(crate) async fn log_out(&self, replica: usize, visitor: &CheckVisitor) -> Result<()> {
        let answer = visitor.at(&self.clients[replica]).fetch("POST", "/portcullis/logout").await?;
        match answer.status() {
            201 | 303 => Ok(()),
            _ if is_unavailable(&answer)? => bail!("503"),
            _ => bail!("{answer:?}"),
        }
    }

    /// A process.
    pub(crate) fn process(&self, replica: usize) -> &Portcullis {
        &self.processes[replica]
    }

    /// How long after `begun` a session is refused at a replica.
    pub(crate) async fn until_refused(&self, replica: usize, visitor: &CheckVisitor, begun: Instant) -> Duration {
        loop {
            match self.visit(replica, visitor).await.expect("an answer") {
                Visit::Refused => return begun.elapsed(),
                Visit::Allowed | Visit::Unavailable => {
                    assert!(begun.elapsed() < Duration::from_mins(1), "a dead session lives at replica {replica}");
                }
            }
        }
    }

    /// People sign in at one replica, and every second one out at the other.
    pub(crate) async fn sign_in_and_out_for(&self, lasts: Duration) -> Load {
        let (begun, mut load) = (Instant::now(), Load::default());
        let mut number = 0;
        while begun.elapsed() < lasts {
            number += 1;
            let visitor = match self.sign_in(number % 2).await {
                Ok(visitor) => visitor,
                Err(error) => {
                    load.failures.push((Instant::now(), format!("{error:#}")));
                    continue;
                }
            };
            load.acknowledged_sign_ins += 1;
            if number % 3 != 0 {
                load.signed_in.push(visitor);
                // No person has more than a hundred sessions.
                if load.signed_in.len() > 60 {
                    let oldest = load.signed_in.remove(0);
                    if let Err(error) = self.log_out(0, &oldest).await {
                        load.failures.push((Instant::now(), format!("{error:#}")));
                    }
                }
                continue;
            }
            match self.log_out((number + 1) % 2, &visitor).await {
                Ok(()) => {
                    load.acknowledged_logouts += 1;
                    load.signed_out.push(visitor);
                }
                // Nobody knows then whether the session lives.
                Err(error) => load.failures.push((Instant::now(), format!("{error:#}"))),
            }
        }
        load
    }
}

/// Whether an answer is 503; fails where it does not say when to come back.
fn is_unavailable(answer: &Answer) -> Result<bool> {
    let unavailable = answer.status() == 503;
    ensure!(!unavailable || answer.told("retry-after").len() == 1, "503 without Retry-After");
    Ok(unavailable)
}

/// A timer that notes how late it wakes: what this machine adds to every time that is measured beside it.
pub(crate) struct Control {
    ended: Arc<AtomicBool>,
    timer: JoinHandle<Vec<Duration>>,
}

impl Control {
    pub(crate) fn start() -> Self {
        const NAP: Duration = Duration::from_millis(5);
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let timer = tokio::spawn(async move {
            let mut late = Vec::new();
            while !end.load(Ordering::Relaxed) {
                let begun = Instant::now();
                tokio::time::sleep(NAP).await;
                late.push(begun.elapsed().saturating_sub(NAP));
            }
            late
        });
        Self { ended, timer }
    }

    pub(crate) async fn p99(self) -> Duration {
        self.ended.store(true, Ordering::Relaxed);
        let mut late = self.timer.await.expect("the timer ends");
        late.sort_unstable();
        late.get(late.len() * 99 / 100).copied().unwrap_or_default()
    }
}
