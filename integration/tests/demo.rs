//! The demonstration does what it prints.

use std::process::Command;
use std::time::Duration;

use portcullis_integration::demo::{Demo, Store};
use portcullis_integration::process::{Launch, Signal};

#[tokio::test(flavor = "multi_thread")]
async fn every_line_that_the_demo_prints_shows_what_it_says() {
    shows_what_it_prints(&Demo::start(Store::default()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_the_demo_keeps_its_sessions_there() {
    let mut demo = Demo::start(Store::Redis).await.unwrap();
    shows_what_it_prints(&demo);
    let records = |demo: &Demo| demo.redis().unwrap().count("{portcullis}:r:*");
    assert_eq!(records(&demo), 0);
    let mut alice = demo.visitor().unwrap();
    assert_eq!(alice.sign_in("alice", "/").await.unwrap().status, 200);
    assert_eq!(records(&demo), 1, "{}", demo.portcullis().log_tail());
    demo.portcullis().restart().await.unwrap();
    // Envoy may first find the old connection broken.
    for _ in 0..100 {
        let status = alice.fetch("GET", "/").await.unwrap().status;
        if status == 200 {
            return;
        }
        assert!(status == 503 || status == 403, "status {status}: the session is lost");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the session did not survive: {}", demo.portcullis().log_tail());
}

#[tokio::test]
async fn a_store_that_is_not_there_is_named() {
    let postgres = (["--store", "postgres"].as_slice(), "memory, embedded or redis");
    for (arguments, says) in [postgres, (&["--stores"], "usage: demo [--store memory|embedded|redis]")] {
        let output = Command::new(env!("CARGO_BIN_EXE_demo")).args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(says), "{told}");
    }
}

fn shows_what_it_prints(demo: &Demo) {
    let printed = demo.to_string();
    for line in demo.lines() {
        assert!(printed.contains(&line.command), "the line is printed: {}", line.title);
        let output = Command::new("sh").args(["-c", &line.command]).output().expect("sh runs");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = answer.trim_end().rsplit_once('\n').expect("curl writes the status last");
        assert_eq!(status, line.status.to_string(), "{}: {answer}", line.title);
        assert!(body.contains(line.shows), "{}: {answer}", line.title);
        assert!(!body.contains("admin@example.com"), "{}: a forged name arrived: {answer}", line.title);
    }
}

#[tokio::test]
async fn the_command_is_ready_within_5_s_and_stops_all_it_started() {
    let binary = env!("CARGO_BIN_EXE_demo");
    let mut demo = Launch::new("demo", binary).start().unwrap();
    // How late a timer wakes on this machine now is the slack of the bound.
    let control = tokio::spawn(async {
        let mut worst = Duration::ZERO;
        for _ in 0..50 {
            let started = std::time::Instant::now();
            tokio::time::sleep(Duration::from_millis(20)).await;
            worst = worst.max(started.elapsed().saturating_sub(Duration::from_millis(20)));
        }
        worst
    });
    let started = std::time::Instant::now();
    demo.wait_for_line("Ctrl-C stops everything", Duration::from_mins(1)).await.unwrap();
    let ready = started.elapsed();
    let slack = control.await.unwrap();
    assert!(ready <= Duration::from_secs(5) + slack, "ready after {ready:?}, slack {slack:?}");

    let children = || {
        let id = demo.id().to_string();
        let output = Command::new("ps").args(["-o", "pid=", "--ppid", &id]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let started = children();
    assert!(started.len() >= 2, "Envoy and Portcullis run: {started:?}");
    demo.signal(Signal::INT).unwrap();
    demo.wait_exit(Duration::from_secs(20)).await.unwrap();
    for child in started {
        let alive = std::path::Path::new("/proc").join(&child).join("exe").exists();
        assert!(!alive, "process {child} still runs");
    }
}
