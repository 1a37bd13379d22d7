//! Load of checks that differ in what the caller shows: another session, or another token, each time.
//!
//! h2load sends one request again and again. This client is slower than it, so its figures are compared with each other
//! only: what the server used is the server's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::asked::framed;
use super::h2load::Width;
use super::outcome::{Latencies, Outcome};
use envoy_types::ext_authz::v3::pb::CheckRequest;

/// What it sends.
#[derive(Debug, Clone)]
pub(super) struct Rotating {
    address: SocketAddr,
    messages: Arc<Messages>,
}

/// One message, and what is written over a part of it.
#[derive(Debug)]
struct Messages {
    template: Vec<u8>,
    at: usize,
    shown: Vec<String>,
    /// The number of the next one.
    next: AtomicUsize,
    /// Whether each may be used once.
    once: bool,
}

impl Rotating {
    /// Checks like `request`, in which the first of `shown` stands: all are of one length, and follow each other.
    pub(super) fn new(address: SocketAddr, request: &CheckRequest, shown: Vec<String>, once: bool) -> Result<Self> {
        let first = shown.first().context("something is shown")?;
        ensure!(shown.iter().all(|one| one.len() == first.len()), "all that is shown is of one length");
        let template = framed(request)?;
        let at = template.windows(first.len()).position(|part| part == first.as_bytes());
        let at = at.context("the request holds what is shown")?;
        let messages = Messages { template, at, shown, next: AtomicUsize::new(0), once };
        Ok(Self { address, messages: Arc::new(messages) })
    }

    /// Sends so many; fails where one is not answered with a message.
    pub(super) async fn run(&self, width: Width, requests: usize) -> Result<Outcome> {
        let left = Arc::new(AtomicUsize::new(requests));
        let mut streams = JoinSet::new();
        let begun = Instant::now();
        for _ in 0..width.connections {
            let connection = TcpStream::connect(self.address).await?;
            connection.set_nodelay(true)?;
            let (sender, driver) = h2::client::handshake(connection).await?;
            tokio::spawn(driver);
            for _ in 0..width.streams {
                streams.spawn(stream(sender.clone(), self.clone(), Arc::clone(&left)));
            }
        }
        let (mut times, mut bytes) = (Vec::new(), 0);
        while let Some(ended) = streams.join_next().await {
            let (more, length) = ended??;
            times.extend(more);
            bytes += length;
        }
        let elapsed = begun.elapsed();
        ensure!(times.len() == requests, "{} of {requests} were answered", times.len());
        Ok(Outcome { answers: requests, elapsed, bytes, latencies: Latencies::of(times) })
    }

    fn head(&self) -> Result<http::Request<()>> {
        let url = format!("http://{}/envoy.service.auth.v3.Authorization/Check", self.address);
        let head = http::Request::post(url).header("content-type", "application/grpc").header("te", "trailers");
        Ok(head.body(())?)
    }
}

impl Messages {
    fn next(&self) -> Result<Bytes> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        ensure!(!self.once || number < self.shown.len(), "all of {} have been shown", self.shown.len());
        let shown = &self.shown[number % self.shown.len()];
        let mut message = self.template.clone();
        message[self.at..self.at + shown.len()].copy_from_slice(shown.as_bytes());
        Ok(message.into())
    }
}

/// One request after the other, until none is left. Gives their times in microseconds, and the bytes of their answers.
async fn stream(sender: SendRequest<Bytes>, load: Rotating, left: Arc<AtomicUsize>) -> Result<(Vec<u32>, u64)> {
    let (mut sender, mut times, mut bytes) = (sender, Vec::new(), 0);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let (message, head) = (load.messages.next()?, load.head()?);
        let begun = Instant::now();
        sender = sender.ready().await?;
        let (response, mut body) = sender.send_request(head, false)?;
        body.send_data(message, true)?;
        let mut answer = response.await?.into_body();
        let mut length = 0;
        while let Some(data) = answer.data().await {
            let data = data?;
            answer.flow_control().release_capacity(data.len())?;
            length += data.len() as u64;
        }
        ensure!(length > 0, "an error of gRPC: {:?}", answer.trailers().await?);
        bytes += length;
        times.push(u32::try_from(begun.elapsed().as_micros())?);
    }
    Ok((times, bytes))
}
