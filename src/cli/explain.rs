//! The request that `explain` asks about. Credentials come from files or the standard input: the list of processes shows
//! the command line to everybody.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};
use thiserror::Error;
use tonic::{Status, transport::Channel};
use url::Url;

use crate::{
    admin::{ExplainRequest, ExplainResponse, Header, decision_service_client::DecisionServiceClient},
    principal::escape_unseen,
};

/// The names of headers that hold credentials.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// A request.
#[derive(Args, Debug)]
#[group(id = "request")]
pub(super) struct Explain {
    /// Its URL, such as `https://kubeflow.example.com/pipeline/`.
    url: Url,
    /// Its method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// A header, `NAME: VALUE`; may be given several times. Credentials have options of their own.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The file of a bearer token; `-` is the standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The file of a Cookie header's value; `-` is the standard input.
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
}

/// Why there is no request to ask about.
#[derive(Debug, Error)]
pub(super) enum ExplainError {
    #[error("{0}: this URL names no host")]
    Host(Url),
    #[error("--header {0}: write it as `NAME: VALUE`")]
    Header(String),
    #[error("--header {0}: a credential does not belong on the command line; use --token-file or --cookie-file")]
    Credential(String),
    #[error("--token-file and --cookie-file cannot both be the standard input")]
    BothFromInput,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
}

impl Explain {
    /// The request. Reads the files.
    pub(super) fn request(&self) -> Result<ExplainRequest, ExplainError> {
        let host = self.url.host_str().ok_or_else(|| ExplainError::Host(self.url.clone()))?;
        let host = self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path = match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        };
        let mut headers = self.header.iter().map(|line| plain_header(line)).collect::<Result<Vec<_>, _>>()?;
        let from_input = |file: &Option<PathBuf>| file.as_deref() == Some(Path::new("-"));
        if from_input(&self.token_file) && from_input(&self.cookie_file) {
            return Err(ExplainError::BothFromInput);
        }
        if let Some(file) = &self.token_file {
            headers.push(Header { name: "authorization".to_owned(), value: format!("Bearer {}", read(file)?) });
        }
        if let Some(file) = &self.cookie_file {
            headers.push(Header { name: "cookie".to_owned(), value: read(file)? });
        }
        Ok(ExplainRequest { method: self.method.clone(), host, path, headers })
    }

    /// Asks the running process.
    pub(super) async fn ask(&self, channel: Channel, request: ExplainRequest) -> Result<Explained, Status> {
        let answer = DecisionServiceClient::new(channel).explain(request).await?;
        Ok(Explained(answer.into_inner()))
    }
}

fn plain_header(line: &str) -> Result<Header, ExplainError> {
    let (name, value) = line.split_once(':').ok_or_else(|| ExplainError::Header(line.to_owned()))?;
    let name = name.trim().to_ascii_lowercase();
    if CREDENTIALS.contains(&name.as_str()) {
        return Err(ExplainError::Credential(name));
    }
    Ok(Header { name, value: value.trim().to_owned() })
}

fn read(path: &Path) -> Result<String, ExplainError> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = read.map_err(|source| ExplainError::File { path: path.to_path_buf(), source })?;
    Ok(text.trim().to_owned())
}

/// What a check would be decided as.
pub(super) struct Explained(ExplainResponse);

impl Explained {
    pub(super) fn document(&self) -> Value {
        let Self(answer) = self;
        let some = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        json!({
            "verdict": answer.verdict,
            "reason": answer.reason,
            "summary": answer.summary,
            "rule": some(&answer.rule),
            "authenticator": some(&answer.authenticator),
            "userid": some(&answer.userid),
            "groups": answer.groups,
            "wanted_groups": answer.wanted_groups,
            "hints": answer.hints,
            "reviews": answer.reviews.iter().map(|review| json!({
                "question": review.question,
                "answer": review.answer,
                "age_ms": review.age_ms,
                "advice": some(&review.advice),
            })).collect::<Vec<_>>(),
        })
    }

    pub(super) fn table(&self) -> String {
        let Self(answer) = self;
        let known = |text: &str| if text.is_empty() { "-".to_owned() } else { escape_unseen(text) };
        let groups = |groups: &[String]| known(&groups.join(", "));
        let lines = [
            ("verdict", known(&answer.verdict)),
            ("reason", format!("{} ({})", answer.reason, answer.summary.trim_end_matches('.'))),
            ("rule", known(&answer.rule)),
            ("authenticator", known(&answer.authenticator)),
            ("user", known(&answer.userid)),
            ("groups", groups(&answer.groups)),
            ("wanted groups", groups(&answer.wanted_groups)),
        ];
        let reviews = answer.reviews.iter().flat_map(|review| {
            let age = review.age_ms.map(|age| format!(", {age} ms ago")).unwrap_or_default();
            let asked = ("review", known(&format!("{}: {}{age}", review.question, review.answer)));
            let advice = (!review.advice.is_empty()).then(|| ("", known(&review.advice)));
            std::iter::once(asked).chain(advice)
        });
        let hints = answer.hints.iter().map(|hint| ("hint", known(hint)));
        let lines: Vec<String> =
            lines.into_iter().chain(reviews).chain(hints).map(|(name, value)| format!("{name:15}{value}")).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::admin::AccessReview;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        explain: Explain,
    }

    fn request(arguments: &[&str]) -> Result<ExplainRequest, ExplainError> {
        Line::parse_from(["explain"].iter().chain(arguments)).explain.request()
    }

    #[test]
    fn a_request_is_read_of_its_url_and_options() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "abc\n").unwrap();
        let file = file.to_str().unwrap();
        let url = "https://KF.example.com:8443/a?b=c#d";
        let arguments = ["--method", "POST", "--header", "Accept: text/html", "--token-file", file, url];
        let ExplainRequest { method, host, path, headers } = request(&arguments).unwrap();
        assert_eq!((method.as_str(), host.as_str(), path.as_str()), ("POST", "kf.example.com:8443", "/a?b=c"));
        let headers: Vec<_> = headers.iter().map(|header| (header.name.as_str(), header.value.as_str())).collect();
        assert_eq!(headers, [("accept", "text/html"), ("authorization", "Bearer abc")]);
    }

    #[test]
    fn an_explanation_is_printed_as_its_snapshot_says() {
        let allowed = ExplainResponse {
            verdict: "allowed".to_owned(),
            reason: "session".to_owned(),
            summary: "A browser's session.".to_owned(),
            rule: "pipelines".to_owned(),
            authenticator: "session".to_owned(),
            userid: "ada\u{202e}@example.com".to_owned(),
            groups: vec!["dev".to_owned(), "/ops\u{202e}".to_owned()],
            wanted_groups: vec!["dev".to_owned()],
            hints: Vec::new(),
            reviews: Vec::new(),
        };
        let groups = ExplainResponse {
            verdict: "refused".to_owned(),
            reason: "not_permitted".to_owned(),
            summary: "This account is not permitted here.".to_owned(),
            rule: "admin".to_owned(),
            authenticator: "session".to_owned(),
            userid: "ada@example.com".to_owned(),
            groups: vec!["/admins".to_owned()],
            wanted_groups: vec!["admins".to_owned()],
            hints: vec![
                "the rule wants `admins`, the caller is in `/admins`: they differ by a `/` at the beginning".to_owned(),
            ],
            reviews: vec![
                AccessReview {
                    question: "get notebooks.kubeflow.org -n team-a".to_owned(),
                    answer: "yes".to_owned(),
                    age_ms: Some(1200),
                    advice: String::new(),
                },
                AccessReview {
                    question: "create pods/exec nb-0 -n team-a".to_owned(),
                    answer: "no".to_owned(),
                    age_ms: Some(3),
                    advice:
                        "It needs `create pods/exec nb-0 -n team-a`: ask for the role kubeflow-edit in the namespace \
                             team-a."
                            .to_owned(),
                },
            ],
        };
        let refused = ExplainResponse {
            verdict: "refused".to_owned(),
            reason: "host_unknown".to_owned(),
            summary: "The host is not served.".to_owned(),
            ..ExplainResponse::default()
        };
        for (name, answer) in [("allowed", allowed), ("refused", refused), ("groups", groups)] {
            let explained = Explained(answer);
            insta::assert_snapshot!(name, format!("{}\n\n{:#}", explained.table(), explained.document()));
        }
    }

    #[test]
    fn a_credential_does_not_stand_on_the_command_line() {
        for line in ["Authorization: Bearer x", "cookie: a=b"] {
            let refused = request(&["--header", line, "https://kf.example.com/"]).map(|_| ()).unwrap_err();
            assert!(refused.to_string().contains("use --token-file or --cookie-file"), "{refused}");
            assert!(!refused.to_string().contains("Bearer x"), "{refused}");
        }
    }
}
