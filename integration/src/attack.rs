//! Attacks as data: what is sent, and what the visitor and the service behind must see.
//!
//! A case is sent through an Envoy, over HTTP/1.1 and HTTP/2, and to the check port itself, where the answer is applied
//! to the request as Envoy would apply it. So one table says for all of them what arrives.

mod ground;
mod recipes;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

pub use ground::{Ground, Passed};

/// One class of attacks: a file of `integration/attacks`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Its name, as the threat model's heading spells it.
    pub class: String,
    /// Its cases.
    pub cases: Vec<Case>,
}

/// One attack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A name of its own among all cases.
    pub name: String,
    /// What the attacker hopes for.
    pub why: String,
    /// Where the vector comes from.
    pub origin: Origin,
    /// The test that shows it, where it is a dialogue and no single request: `path/of/file.rs::name`.
    #[serde(default)]
    pub shown_by: Option<String>,
    /// What is sent.
    #[serde(default)]
    pub send: Send,
    /// By which ways.
    #[serde(default = "Way::all")]
    pub via: Vec<Way>,
    /// What must come of it.
    #[serde(default)]
    pub expect: Option<Expected>,
    /// What comes of it behind a hardened Envoy, where that differs.
    #[serde(default)]
    pub hardened: Option<Expected>,
    /// What comes of it at the check port, where that differs.
    #[serde(default)]
    pub direct: Option<Expected>,
}

/// Where a vector comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// From what is known of such gatekeepers.
    Known,
    /// Thought of here.
    Own,
}

/// How a case is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Over HTTP/1.1 through Envoy.
    Http1,
    /// Over HTTP/2 through Envoy.
    Http2,
    /// To the check port, without an Envoy.
    Direct,
}

impl Way {
    fn all() -> Vec<Self> {
        vec![Self::Http1, Self::Http2, Self::Direct]
    }
}

/// Whose true credential the request carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// Nobody's.
    #[default]
    Nobody,
    /// The session cookie of alice, of the group `team-a`.
    Alice,
    /// The token of the ServiceAccount `ns/robot`.
    Robot,
}

/// A request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Send {
    /// Whose true credential goes with it, before the other lines.
    pub credential: Who,
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path with its query.
    pub path: String,
    /// Header lines, `Name: value`; `\xNN` is a byte, `${NAME}` is a recipe's.
    pub lines: Vec<Line>,
    /// Instead of all that: the bytes that an HTTP/1 client writes.
    pub bytes: Option<String>,
}

impl Default for Send {
    fn default() -> Self {
        Self {
            credential: Who::Nobody,
            method: "GET".to_owned(),
            host: crate::gateway::HOST.to_owned(),
            path: "/private/page".to_owned(),
            lines: Vec::new(),
            bytes: None,
        }
    }
}

/// A header line, once or often.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// Once.
    Once(String),
    /// Several times; `${N}` counts.
    Often {
        /// The line.
        line: String,
        /// How often.
        times: usize,
    },
}

/// What must come of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The status; 200 and 101 mean that the request passed.
    pub status: u16,
    /// The reason that the refusal tells, none where Envoy itself refuses; or the log of what passes, where that is not
    /// `session`, `service_account` or `public`.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whom the service behind sees.
    #[serde(default)]
    pub identity: Who,
    /// Every other header line that the service behind sees, in any order.
    #[serde(default)]
    pub lines: Vec<String>,
    /// The path that the service behind sees, where it is another than was sent.
    #[serde(default)]
    pub path: Option<String>,
    /// Where a redirect leads, up to the question mark.
    #[serde(default)]
    pub location: Option<String>,
}

impl Expected {
    /// The reason that the log tells of a request that passes.
    fn reason_of_a_pass(&self) -> &str {
        match (&self.reason, self.identity) {
            (Some(reason), _) => reason,
            (None, Who::Alice) => "session",
            (None, Who::Robot) => "service_account",
            (None, Who::Nobody) => "public",
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.why)
    }
}

/// The folder of all classes.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("attacks")
}

/// Reads all classes.
pub fn read_all() -> Result<Vec<Class>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| {
        file.extension().is_some_and(|extension| extension == "yaml")
            && file.file_name().is_some_and(|name| name != "advisories.yaml")
    });
    files.sort();
    ensure!(!files.is_empty(), "no classes in {}", folder().display());
    files.iter().map(|file| read(file).with_context(|| file.display().to_string())).collect()
}

fn read(file: &Path) -> Result<Class> {
    let class: Class = serde_saphyr::from_str(&std::fs::read_to_string(file)?)?;
    for case in &class.cases {
        let is_dialogue = case.shown_by.is_some();
        ensure!(is_dialogue != case.expect.is_some(), "{case}: it is either shown by a test or expects something");
    }
    Ok(class)
}
