//! The log of a process whose reader is quick, late or gone: checks do not wait for it, and nothing is lost untold.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portcullis::memory;
use portcullis_integration::administrator::{Administrator, administered};
use portcullis_integration::check_client::{Answer, Check, CheckClient};
use portcullis_integration::lateness::Lateness;
use portcullis_integration::origin::HOST;
use portcullis_integration::patience::{PATIENCE, until};
use portcullis_integration::portcullis::{Config, Portcullis};
use serde_json::Value;
use tempfile::TempDir;

/// How many checks fill the log's memory, and more.
const MANY: usize = 12_000;
/// How many run at once.
const AT_ONCE: usize = 32;

/// A named pipe, with a reader who can be told to stop.
struct Pipe {
    folder: TempDir,
    stopped: Arc<AtomicBool>,
    read: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Pipe {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = path(&folder);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (stopped, read) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stop, bytes) = (Arc::clone(&stopped), Arc::clone(&read));
        let reader = std::thread::spawn(move || {
            let mut pipe = File::open(path).unwrap();
            let mut some = vec![0; 64 * 1024];
            loop {
                while stop.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                match pipe.read(&mut some).unwrap() {
                    0 => return,
                    count => bytes.lock().unwrap().extend_from_slice(&some[..count]),
                }
            }
        });
        Self { folder, stopped, read, reader }
    }

    fn path(&self) -> PathBuf {
        path(&self.folder)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    fn go_on(&self) {
        self.stopped.store(false, Ordering::SeqCst);
    }

    /// How many records of checks have come.
    fn checks(&self) -> usize {
        let read = self.read.lock().unwrap();
        String::from_utf8_lossy(&read).lines().filter(|line| line.contains("\"target\":\"portcullis::check\"")).count()
    }

    /// All that came of a process that has ended.
    fn records(self) -> Vec<Value> {
        self.go_on();
        self.reader.join().unwrap();
        let text = String::from_utf8(self.read.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

async fn start(pipe: &Pipe) -> (Portcullis, CheckClient) {
    let config = administered(Config::new().unwrap()).set("/logging/level", "info").output(pipe.path());
    let portcullis = config.start().await.unwrap();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    (portcullis, client)
}

/// Makes so many checks, and gives the time of the slowest one.
async fn flood(client: &CheckClient, count: usize) -> Duration {
    let request = Check::get(HOST, "/page").header("sec-fetch-mode", "cors").build();
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (client, request) = (client.clone(), request.clone());
            tokio::spawn(async move {
                let mut slowest = Duration::ZERO;
                for _ in 0..count / AT_ONCE {
                    let begun = Instant::now();
                    let answer = client.call_in_a_flood(request.clone()).await.unwrap();
                    assert_eq!(Answer::read(answer).unwrap().status(), 401);
                    slowest = slowest.max(begun.elapsed());
                }
                slowest
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for task in tasks {
        slowest = slowest.max(task.await.unwrap());
    }
    slowest
}

fn of_target<'a>(records: &'a [Value], target: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["target"] == target).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_stops_costs_no_check_its_time_and_no_act_its_record() {
    const SLOWEST: Duration = Duration::from_secs(1);
    let pipe = Pipe::new();
    let (mut portcullis, client) = start(&pipe).await;
    let lateness = Lateness::watch();
    let while_read = flood(&client, MANY).await;
    pipe.stop();
    let while_stopped = flood(&client, MANY).await;
    let bound = SLOWEST + while_read + lateness.p99();
    assert!(while_stopped <= bound, "{while_stopped:?}, and {while_read:?} while the log is read");

    let dropped = portcullis.metric("portcullis_log_records_dropped_total", &[]).await.unwrap();
    assert!(dropped > 0, "the log's memory has room for more than was told");
    let waiting = portcullis.metric("portcullis_log_waiting_bytes", &[]).await.unwrap();
    assert!((memory::LOG / 2..=memory::LOG).contains(&waiting), "{waiting} bytes wait");

    // An act is done and its record waits; who asked hears of it when that is written.
    let administrator = Administrator::of(&portcullis);
    let list = ["sessions", "list", "--user", "alice@example.com"];
    let act = tokio::spawn(async move { administrator.told(&list).await });
    until("the act", async || {
        let done = portcullis.metric("portcullis_administrative_acts_total", &["outcome=\"done\""]).await.unwrap();
        (done == 1).then_some(())
    })
    .await;
    flood(&client, AT_ONCE * 4).await;
    assert!(!act.is_finished(), "an act is answered before its record is written");
    let dropped = portcullis.metric("portcullis_log_records_dropped_total", &[]).await.unwrap();
    pipe.go_on();
    act.await.unwrap().unwrap();
    flood(&client, AT_ONCE).await;

    assert!(portcullis.stop().await.unwrap().success());
    let records = pipe.records();
    assert_eq!(of_target(&records, "portcullis::audit").len(), 1);
    let told = of_target(&records, "portcullis::log");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["records"], &told[0]["errors"]), (&dropped.into(), &0.into()), "{told:?}");
    let checks = of_target(&records, "portcullis::check").len();
    let made = 2 * (MANY / AT_ONCE * AT_ONCE) + 5 * AT_ONCE;
    assert_eq!(checks + usize::try_from(dropped).unwrap(), made, "each check has its record, or is counted");
    assert!(records.last().unwrap()["message"] == "ended", "{:?}", records.last());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_does_not_wait_for_ever_for_a_reader_who_stopped() {
    /// What the documents say that the log's last words may take, and what everything else takes to end.
    const END: Duration = Duration::from_secs(2 + 8);
    let pipe = Pipe::new();
    let (mut portcullis, client) = start(&pipe).await;
    pipe.stop();
    flood(&client, MANY).await;
    let lateness = Lateness::watch();
    let begun = Instant::now();
    assert!(portcullis.stop().await.unwrap().success());
    let (took, bound) = (begun.elapsed(), END + lateness.p99());
    assert!((Duration::from_secs(2)..bound).contains(&took), "{took:?} to end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_written_within_ten_milliseconds() {
    const WITHIN: Duration = Duration::from_millis(10);
    const ROUNDS: usize = 31;
    let pipe = Pipe::new();
    let (_portcullis, client) = start(&pipe).await;
    let lateness = Lateness::watch();
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        flood(&client, AT_ONCE).await;
        let answered = Instant::now();
        while pipe.checks() < (round + 1) * AT_ONCE {
            assert!(answered.elapsed() < PATIENCE, "no record");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(answered.elapsed());
    }
    times.sort_unstable();
    let (median, late) = (times[ROUNDS / 2], lateness.p99());
    assert!(median <= WITHIN + late, "{median:?}, and a timer woke {late:?} late");
}
