//! What an answer must be: asked and decoded before and after each measurement.

use anyhow::{Context, Result, ensure};
use envoy_types::ext_authz::v3::pb::{CheckRequest, CheckResponse, HttpResponse};
use prost::Message as _;

use crate::check_client::{Answer, CheckClient};

/// Bytes before each message of gRPC.
const FRAME: usize = 5;
/// How much longer or shorter than the decoded answer the others may be: numbers in them have more or fewer digits.
const LENGTH_TOLERANCE: f64 = 0.03;

/// What a check's answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The null server's: nothing in it.
    Empty,
    /// The request may pass, and the service behind is told nothing of who calls.
    Anonymous,
    /// The request may pass, and the service behind is told who calls.
    Named,
    /// The same, signed.
    Asserted,
    /// The caller gets this status.
    Refused(i32),
}

impl Kind {
    fn hold(self, answer: CheckResponse) -> Result<()> {
        if self == Self::Empty {
            let is_empty =
                answer.http_response.is_none() && answer.status.as_ref().is_none_or(|status| status.code == 0);
            ensure!(is_empty, "not empty: {answer:?}");
            return Ok(());
        }
        // Others than the product leave out what Envoy takes from the status's code.
        let is_ok = matches!(answer.http_response, Some(HttpResponse::OkResponse(_)));
        ensure!(is_ok || answer.status.is_some(), "no decision: {answer:?}");
        let answer = Answer::read(answer)?;
        let named = !answer.passed("kubeflow-userid").is_empty();
        let asserted = !answer.passed("portcullis-assertion").is_empty();
        let holds = match self {
            Self::Empty => true,
            Self::Anonymous => answer.is_allowed() && !named,
            Self::Named => answer.is_allowed() && named,
            Self::Asserted => answer.is_allowed() && named && asserted,
            Self::Refused(status) => answer.status() == status,
        };
        ensure!(holds, "{self:?} was expected: {answer:?}");
        Ok(())
    }
}

/// How one answer is got and looked at.
#[derive(Debug, Clone)]
pub(super) enum Probe {
    /// By a check.
    Check {
        /// Who asks.
        client: CheckClient,
        /// What.
        request: Box<CheckRequest>,
        /// What must come.
        kind: Kind,
    },
    /// By HTTP.
    Get {
        /// Who asks.
        client: reqwest::Client,
        /// Where.
        url: String,
        /// With which lines.
        lines: Vec<(String, String)>,
        /// The status that must come.
        status: u16,
    },
}

impl Probe {
    /// Asks once. Gives the length of the body, frame included.
    pub(super) async fn ask(&self) -> Result<usize> {
        match self {
            Self::Check { client, request, kind } => {
                let answer = client.call_in_a_flood((**request).clone()).await?;
                let length = answer.encoded_len() + FRAME;
                kind.hold(answer)?;
                Ok(length)
            }
            Self::Get { client, url, lines, status } => {
                let request = lines.iter().fold(client.get(url), |request, (name, value)| request.header(name, value));
                let response = request.send().await.context("no answer")?;
                ensure!(response.status().as_u16() == *status, "{url}: {}", response.status());
                Ok(response.bytes().await?.len())
            }
        }
    }
}

/// Holds so many answers of so many bytes in all to one that was decoded.
pub(super) fn alike(answers: usize, bytes: u64, decoded: usize) -> Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "these are far below 2^52")]
    let (mean, decoded) = (bytes as f64 / answers as f64, decoded as f64);
    let is_alike = (mean - decoded).abs() <= decoded * LENGTH_TOLERANCE;
    ensure!(is_alike, "answers have {mean:.0} bytes where the one that was decoded has {decoded:.0}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_another_kind_are_told_by_their_length() {
        assert!(alike(100, 70_000, 700).is_ok());
        assert!(alike(100, 71_000, 700).is_ok());
        assert!(alike(100, 65_000, 700).is_err());
    }

    #[test]
    fn an_empty_answer_is_of_the_null_server_only() {
        assert!(Kind::Empty.hold(CheckResponse::default()).is_ok());
        assert!(Kind::Anonymous.hold(CheckResponse::default()).is_err());
    }
}
