//! The search for every secret of a run in everything that must hold none.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use aho_corasick::AhoCorasick;
use anyhow::{Context, Result};

use super::forms::forms;
use super::kinds::{Kind, Place, SECRETS, Secret};

/// So many findings of a file are told; the first one is enough to fail.
const MOST_FINDINGS: usize = 5;

/// What a run of all suites makes at the least, far below what it does make: less means that it was not collected.
const LEAST: [(Kind, usize); 13] = [
    (Kind::Ticket, 20),
    (Kind::LoginCookie, 20),
    (Kind::State, 20),
    (Kind::Code, 20),
    (Kind::Verifier, 20),
    (Kind::AccessToken, 10),
    (Kind::IdToken, 10),
    (Kind::ClientSecret, 2),
    (Kind::ServiceAccountToken, 20),
    (Kind::Assertion, 20),
    (Kind::Bearer, 100),
    (Kind::RootKey, 20),
    (Kind::PrivateKey, 20),
];
/// How many files, likewise.
const LEAST_FILES: [(Place, usize); 4] =
    [(Place::Logs, 50), (Place::Metrics, 5), (Place::Pages, 5), (Place::Stores, 3)];
/// What the log holds only at the level at which it shows most.
const DETAIL: &[u8] = br#""level":"DEBUG""#;

impl Place {
    /// Whether a secret of this kind may stand here: the `state` is part of a page's link to the provider.
    const fn may_hold(self, kind: Kind) -> bool {
        matches!((self, kind), (Self::Pages, Kind::State))
    }
}

/// A secret where none may stand. It does not tell the secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, below the folder of the evidence.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What the secret is for.
    pub kind: Kind,
    /// How it is spelled there.
    pub form: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, kind, form } = self;
        write!(formatter, "{}:{line}: {kind:?} {form}", file.display())
    }
}

/// What a search has looked at, and what it found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many secrets of each kind were looked for.
    pub secrets: BTreeMap<Kind, usize>,
    /// How many files, and how many bytes, were searched in each place.
    pub searched: BTreeMap<Place, (usize, u64)>,
    /// The files that hold a secret, and the first secrets in each.
    pub findings: Vec<Finding>,
    /// Whether some log shows all that the product can tell.
    pub shows_detail: bool,
}

impl Report {
    /// Why this is too little evidence to say anything.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let secrets = LEAST.iter().filter_map(|(kind, least)| {
            let found = self.secrets.get(kind).copied().unwrap_or_default();
            (found < *least).then(|| format!("{found} secrets of the kind {kind:?}, expected {least} or more"))
        });
        let files = LEAST_FILES.iter().filter_map(|(place, least)| {
            let found = self.searched.get(place).map_or(0, |(files, _)| *files);
            (found < *least).then(|| format!("{found} files in {}, expected {least} or more", place.folder()))
        });
        let detail = (!self.shows_detail).then(|| "no log shows what is only told at level trace".to_owned());
        secrets.chain(files).chain(detail).collect()
    }

    /// How many files hold a secret.
    #[must_use]
    pub fn leaking_files(&self) -> usize {
        let mut files: Vec<&PathBuf> = self.findings.iter().map(|finding| &finding.file).collect();
        files.dedup();
        files.len()
    }

    /// How many files hold none.
    #[must_use]
    pub fn clean_files(&self) -> usize {
        self.searched.values().map(|(files, _)| files).sum::<usize>() - self.leaking_files()
    }
}

/// Searches a folder of evidence.
pub fn search(folder: &Path) -> Result<Report> {
    let patterns = Patterns::of(&read_secrets(&folder.join(SECRETS))?)?;
    let mut files = Vec::new();
    for place in Place::ALL {
        let listed = fs::read_dir(folder.join(place.folder()));
        for entry in listed.with_context(|| format!("no {} in {}", place.folder(), folder.display()))? {
            files.push((place, entry?.path()));
        }
    }
    let report = Mutex::new(Report { secrets: patterns.secrets.clone(), ..Report::default() });
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some((place, path)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let contents = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let file = path.strip_prefix(folder).unwrap_or(path);
            let findings = patterns.find(*place, file, &contents);
            let shows_detail = *place == Place::Logs && contents.windows(DETAIL.len()).any(|part| part == DETAIL);

            let mut report = report.lock().expect("no holder of this lock panics");
            report.findings.extend(findings);
            report.shows_detail |= shows_detail;
            let (count, bytes) = report.searched.entry(*place).or_default();
            *count += 1;
            *bytes += contents.len() as u64;
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a search does not panic"))
    })?;
    let mut report = report.into_inner().expect("no holder of this lock panics");
    report.findings.sort();
    Ok(report)
}

fn read_secrets(folder: &Path) -> Result<Vec<Secret>> {
    let mut secrets = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("no ledgers in {}", folder.display()))? {
        let path = entry?.path();
        for line in fs::read_to_string(&path)?.lines() {
            let secret = serde_json::from_str(line);
            secrets.push(secret.with_context(|| format!("a line of {} is no secret", path.display()))?);
        }
    }
    Ok(secrets)
}

/// All spellings of all secrets.
struct Patterns {
    automaton: AhoCorasick,
    /// What each pattern of the automaton is.
    meanings: Vec<(Kind, &'static str)>,
    secrets: BTreeMap<Kind, usize>,
}

impl Patterns {
    fn of(secrets: &[Secret]) -> Result<Self> {
        let mut spelled: BTreeMap<Vec<u8>, (Kind, &'static str)> = BTreeMap::new();
        let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
        for secret in secrets {
            let forms = forms(secret);
            *counts.entry(secret.kind).or_default() += usize::from(!forms.is_empty());
            spelled.extend(forms.into_iter().map(|form| (form.needle, (secret.kind, form.name))));
        }
        let (needles, meanings): (Vec<_>, Vec<_>) = spelled.into_iter().unzip();
        Ok(Self { automaton: AhoCorasick::new(needles)?, meanings, secrets: counts })
    }

    fn find(&self, place: Place, file: &Path, contents: &[u8]) -> Vec<Finding> {
        let matches = self.automaton.find_overlapping_iter(contents).filter_map(|found| {
            let (kind, form) = self.meanings[found.pattern().as_usize()];
            (!place.may_hold(kind)).then_some((found.start(), kind, form))
        });
        let mut findings: Vec<Finding> = Vec::new();
        let (mut line, mut counted) = (1, 0);
        for (start, kind, form) in matches.take(MOST_FINDINGS) {
            // Overlapping matches come in the order of their ends.
            let from = counted.min(start);
            line += contents[from..start].split(|byte| *byte == b'\n').count() - 1;
            counted = counted.max(start);
            findings.push(Finding { file: file.to_owned(), line, kind, form });
        }
        findings
    }
}
