//! Load by h2load of nghttp2, from Debian: the same request again and again.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::outcome::{Latencies, Outcome};

/// Where an ext_authz server takes a check.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// How much is asked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Width {
    /// How many connections there are.
    pub connections: usize,
    /// How many requests each has under way.
    pub streams: usize,
}

impl Width {
    /// What nearly all is measured with: 128 at once.
    pub(super) const USUAL: Self = Self { connections: 4, streams: 32 };
    /// One at a time.
    pub(super) const ONE: Self = Self { connections: 1, streams: 1 };
    /// 128 at once where a connection carries one at a time (HTTP/1.1).
    pub(super) const HTTP1: Self = Self { connections: 128, streams: 1 };
}

/// What it sends.
#[derive(Debug, Clone)]
pub(super) struct H2load {
    address: SocketAddr,
    url: String,
    http1: bool,
    lines: Vec<(String, String)>,
    body: Option<PathBuf>,
}

impl H2load {
    /// A check, whose framed message is in a file.
    #[must_use]
    pub(super) fn check(address: SocketAddr, message: PathBuf) -> Self {
        let lines = [("content-type", "application/grpc"), ("te", "trailers")];
        let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { address, url: format!("http://{address}{CHECK}"), http1: false, lines, body: Some(message) }
    }

    /// `GET` of a page, over HTTP/2 or HTTP/1.1.
    #[must_use]
    pub(super) fn get(address: SocketAddr, host: &str, path: &str, lines: Vec<(String, String)>, http1: bool) -> Self {
        Self { address, url: format!("http://{host}{path}"), http1, lines, body: None }
    }

    /// Sends so many; fails where one is not answered with 2xx.
    pub(super) async fn run(&self, width: Width, requests: usize) -> Result<Outcome> {
        let clients = width.connections.min(requests);
        let log = NamedTempFile::with_prefix("portcullis-h2load-")?;
        let mut command = Command::new(crate::parts::path("h2load")?);
        command.arg(format!("--requests={requests}")).arg(format!("--clients={clients}"));
        command.arg(format!("--max-concurrent-streams={}", width.streams));
        command.arg(format!("--connect-to={}", self.address)).arg("--log-file").arg(log.path());
        if self.http1 {
            command.arg("--h1");
        }
        for (name, value) in &self.lines {
            command.arg("--header").arg(format!("{name}: {value}"));
        }
        if let Some(body) = &self.body {
            command.arg("--data").arg(body);
        }
        command.arg(&self.url).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.context("h2load does not start")?;
        let told = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "h2load: {} {told}", String::from_utf8_lossy(&output.stderr));
        read(&told, requests, &fs::read_to_string(log.path())?).with_context(|| format!("h2load told: {told}"))
    }
}

/// Reads what h2load told, and its log: `start time, status, microseconds`, a line for each request.
fn read(told: &str, requests: usize, log: &str) -> Result<Outcome> {
    let line = |begin: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(begin));
        line.with_context(|| format!("no line {begin:?}"))
    };
    let answered = number_before(line("requests: ")?, " succeeded")?;
    let good = number_before(line("status codes: ")?, " 2xx")?;
    ensure!([answered, good] == [requests as u64; 2], "{answered} answered, {good} of them with 2xx, of {requests}");
    let rate: f64 = word_before(line("finished in ")?, " req/s")?.parse().context("the rate")?;
    ensure!(rate > 0.0, "no rate");
    let bytes = word_before(line("traffic: ")?, ") data")?.trim_start_matches('(').parse().context("the bytes")?;
    let times = log.lines().map(|line| line.rsplit('\t').next()?.parse().ok()).collect::<Option<Vec<u32>>>();
    let latencies = Latencies::of(times.context("the log's times")?);
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 of them")]
    let elapsed = Duration::from_secs_f64(requests as f64 / rate);
    Ok(Outcome { answers: requests, elapsed, bytes, latencies })
}

fn number_before(line: &str, end: &str) -> Result<u64> {
    word_before(line, end)?.parse().with_context(|| format!("no number before {end:?}"))
}

fn word_before<'a>(line: &'a str, end: &str) -> Result<&'a str> {
    let (before, _) = line.split_once(end).with_context(|| format!("no {end:?}: {line}"))?;
    Ok(before.rsplit(' ').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "
finished in 1.69s, 59171.60 req/s, 8.52MB/s
requests: 3 total, 3 started, 3 done, 3 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 3 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 14.40MB (15099648) total, 586.39KB (600468) headers (space savings 92.86%), 683.59KB (2100) data
";

    #[test]
    fn what_h2load_tells_is_read() {
        let outcome = read(TOLD, 3, "1\t200\t10\n2\t200\t12\n3\t200\t900\n").unwrap();
        assert_eq!((outcome.answers, outcome.bytes), (3, 2100));
        assert!((outcome.rate() - 59171.6).abs() < 1.0, "{outcome:?}");
        assert!((outcome.latencies.p50 - 12.0).abs() < f64::EPSILON, "{outcome:?}");
    }

    #[test]
    fn an_answer_that_is_missing_or_refused_fails() {
        assert!(read(TOLD, 4, "").is_err());
        let refused = TOLD.replace("3 2xx, 0 3xx, 0 4xx", "2 2xx, 0 3xx, 1 4xx");
        assert!(read(&refused, 3, "").is_err());
    }
}
