//! The end: told first, then nothing is lost.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::*;
use crate::{app::drain::Draining, config::Drain, http::Readiness};

async fn health(channel: Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel).check(request).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn gateways_are_told_then_answered_then_closed() {
    let running = Running::start("127.0.0.1:0", None).await;
    let readiness = Readiness::default();
    readiness.set(true);
    running.health.serve().await;
    let channel = running.connect().await.unwrap();
    assert_eq!(health(channel.clone(), "").await, ServingStatus::Serving);

    // One check is under way when the process is asked to end.
    let slow = tokio::spawn(check(channel.clone()));
    soon("a check's arrival", running.service.arrived.acquire()).await.unwrap().forget();
    let (end_delay, delay_ends) = oneshot::channel::<()>();
    let http_stop = CancellationToken::new();
    let draining = Draining {
        config: Drain { delay: PATIENCE, timeout: PATIENCE },
        readiness: readiness.clone(),
        health: running.health.clone(),
        check_stop: running.stop.clone(),
        http_stop: http_stop.clone(),
    };
    let other = || tokio::spawn(http_stop.clone().cancelled_owned());
    let others = [other(), other()];
    let drained = tokio::spawn(draining.run(running.task, others, async {
        let _ = delay_ends.await;
    }));

    // At once: whoever asks is told; whoever comes all the same is answered, on old connections and new ones.
    soon("NOT_SERVING", async {
        while health(channel.clone(), "").await != ServingStatus::NotServing {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(health(channel.clone(), "envoy.service.auth.v3.Authorization").await, ServingStatus::NotServing);
    assert!(!readiness.is_ready());
    let newcomer = Endpoint::from_shared(format!("http://{}", running.address)).unwrap().connect().await.unwrap();
    let during = tokio::spawn(check(newcomer));
    soon("a second check's arrival", running.service.arrived.acquire()).await.unwrap().forget();

    // After the delay: the listener closes, and what runs may finish.
    end_delay.send(()).unwrap();
    soon("the listener's end", async {
        while TcpStream::connect(&running.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(!drained.is_finished(), "a check still runs");
    running.service.may_answer.add_permits(2);
    assert!(soon("the slow check's answer", slow).await.unwrap().is_ok());
    assert!(soon("the second check's answer", during).await.unwrap().is_ok());
    soon("the end", drained).await.unwrap();
    assert!(http_stop.is_cancelled(), "the other listeners end last");
}

#[tokio::test]
async fn checks_that_never_end_do_not_keep_the_process() {
    let running = Running::start("127.0.0.1:0", None).await;
    let stuck = tokio::spawn(check(running.connect().await.unwrap()));
    soon("a check's arrival", running.service.arrived.acquire()).await.unwrap().forget();
    let draining = Draining {
        config: Drain { delay: Duration::ZERO, timeout: Duration::from_millis(20) },
        readiness: Readiness::default(),
        health: running.health.clone(),
        check_stop: running.stop.clone(),
        http_stop: CancellationToken::new(),
    };
    let others = [tokio::spawn(async {}), tokio::spawn(async {})];
    soon("the end", draining.run(running.task, others, std::future::pending())).await;
    assert!(!stuck.is_finished());
    stuck.abort();
}

/// An HTTP/2 frame (RFC 9113 section 4.1): type, flags and payload.
async fn frame(stream: &mut TcpStream) -> Option<(u8, u8, Vec<u8>)> {
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.ok()?;
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    Some((header[3], header[4], payload))
}

/// The next frame of a type; others are passed over.
async fn frame_of(stream: &mut TcpStream, wanted: u8) -> Option<(u8, Vec<u8>)> {
    loop {
        let (kind, flags, payload) = soon("a frame", frame(stream)).await?;
        // Not the acknowledgement of a PING that nobody sent.
        if kind == wanted && !(kind == PING && flags == ACK) {
            return Some((flags, payload));
        }
    }
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

#[tokio::test]
async fn a_connection_is_closed_by_two_goaways() {
    let running = Running::start("127.0.0.1:0", None).await;
    let mut stream = TcpStream::connect(&running.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await.unwrap();
    assert!(frame_of(&mut stream, SETTINGS).await.is_some());

    running.stop.cancel();
    let (_, first) = frame_of(&mut stream, GOAWAY).await.unwrap();
    assert_eq!(&first[..4], [0x7f, 0xff, 0xff, 0xff], "every stream that is on its way is still taken");
    let (_, ping) = frame_of(&mut stream, PING).await.unwrap();
    stream.write_all(&[0, 0, 8, PING, ACK, 0, 0, 0, 0]).await.unwrap();
    stream.write_all(&ping).await.unwrap();
    let (_, second) = frame_of(&mut stream, GOAWAY).await.unwrap();
    assert_eq!(&second[..4], [0, 0, 0, 0], "no stream came");
    assert!(frame_of(&mut stream, GOAWAY).await.is_none(), "the connection is closed");
    soon("the end", running.task).await.unwrap();
}

#[tokio::test]
async fn every_check_that_came_is_answered() {
    const CHECKS: usize = 500;
    let running = Running::start("127.0.0.1:0", None).await;
    running.service.may_answer.add_permits(CHECKS);
    let channel = running.connect().await.unwrap();
    let mut checks = Vec::new();
    for number in 0..CHECKS {
        checks.push(tokio::spawn(check(channel.clone())));
        if number == CHECKS / 2 {
            soon("a first arrival", running.service.arrived.acquire()).await.unwrap().forget();
            running.service.arrived.add_permits(1);
            running.stop.cancel();
        }
    }
    // The others were held back by a client that knew of the GOAWAY.
    let mut answered = 0;
    for check in checks {
        answered += usize::from(soon("an outcome", check).await.unwrap().is_ok());
    }
    assert_eq!(answered, running.service.arrived.available_permits());
    assert!(answered > 0);
    soon("the end", running.task).await.unwrap();
}
