//! Keeps what a process of tests makes or learns.

use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result};

use super::kinds::{Kind, Place, SECRETS, Secret, Value};

/// The environment variable that names the folder, absolute and existing. It is meant to be fresh.
pub const FOLDER: &str = "PORTCULLIS_EVIDENCE";

/// Enters a secret text into the ledger.
pub fn secret(kind: Kind, text: &str) {
    if let Some(collector) = Collector::of_this_process() {
        collector.secret(kind, Value::Text(text.to_owned()));
    }
}

/// Keeps a copy of a store: its file, or a dump of it.
pub fn store(copy: &[u8]) {
    if let Some(collector) = Collector::of_this_process() {
        collector.keep_apart(Place::Stores, "copy", copy);
    }
}

/// Keeps an answer of `/metrics`.
pub fn metrics(text: &str) {
    if let Some(collector) = Collector::of_this_process() {
        collector.keep(Place::Metrics, text.as_bytes());
    }
}

/// Keeps the body of an answer of ours.
pub fn page(body: &[u8]) {
    if let Some(collector) = Collector::of_this_process() {
        collector.keep(Place::Pages, body);
    }
}

/// Keeps what one run of the product's command wrote.
pub fn output(written: &[u8]) {
    if let Some(collector) = Collector::of_this_process() {
        collector.keep(Place::Logs, written);
    }
}

/// The file that a new child writes to, where it is the product; else it is the child's own.
#[must_use]
pub fn log_file(program: &Path) -> Option<PathBuf> {
    let is_product = program.file_name().is_some_and(|name| name == "portcullis");
    Collector::of_this_process().filter(|_| is_product).map(|collector| collector.path(Place::Logs, "log"))
}

/// Writes evidence for one process of tests.
#[derive(Debug)]
pub(super) struct Collector {
    folder: PathBuf,
    ledger: Mutex<Ledger>,
}

#[derive(Debug)]
struct Ledger {
    file: File,
    /// Hashes of all that was entered or kept.
    known: HashSet<u64>,
}

impl Collector {
    pub(super) fn of_this_process() -> Option<&'static Self> {
        static COLLECTOR: OnceLock<Option<Collector>> = OnceLock::new();

        let open = || {
            let folder = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty())?;
            Some(Self::open(Path::new(&folder)).unwrap_or_else(|error| panic!("{FOLDER}: {error:#}")))
        };
        COLLECTOR.get_or_init(open).as_ref()
    }

    pub(super) fn open(folder: &Path) -> Result<Self> {
        let secrets = folder.join(SECRETS);
        for folder in Place::ALL.map(|place| folder.join(place.folder())).iter().chain([&secrets]) {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let path = secrets.join(format!("{}.jsonl", std::process::id()));
        let file = File::options().create(true).append(true).open(&path)?;
        Ok(Self { folder: folder.to_owned(), ledger: Mutex::new(Ledger { file, known: HashSet::new() }) })
    }

    pub(super) fn secret(&self, kind: Kind, value: Value) {
        let mut ledger = self.ledger.lock().expect("no holder of this lock panics");
        if !ledger.is_new(&(kind as u8, &value)) {
            return;
        }
        let mut line = serde_json::to_vec(&Secret { kind, value }).expect("a secret can be written as JSON");
        line.push(b'\n');
        // A secret that is not in the ledger would never be looked for.
        ledger.file.write_all(&line).expect("the ledger of secrets can be written");
    }

    /// Keeps something once, in the one file that this process has for its kind.
    pub(super) fn keep(&self, place: Place, text: &[u8]) {
        let mut ledger = self.ledger.lock().expect("no holder of this lock panics");
        if text.is_empty() || !ledger.is_new(&(place as u8, text)) {
            return;
        }
        let path = self.folder.join(place.folder()).join(format!("{}.txt", std::process::id()));
        let file = File::options().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(&[text, b"\n"].concat())).expect("evidence can be kept");
    }

    /// Keeps something in a file of its own.
    pub(super) fn keep_apart(&self, place: Place, extension: &str, contents: &[u8]) {
        fs::write(self.path(place, extension), contents).expect("evidence can be kept");
    }

    /// A path that nothing else has.
    pub(super) fn path(&self, place: Place, extension: &str) -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);

        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.folder.join(place.folder()).join(format!("{}-{number}.{extension}", std::process::id()))
    }
}

impl Ledger {
    fn is_new(&mut self, entry: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        entry.hash(&mut hasher);
        self.known.insert(hasher.finish())
    }
}
