//! The providers of a configuration, asked before anybody signs in.

use std::{io, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use thiserror::Error;

use super::{administration::Output, table};
use crate::{
    clock::SystemClock,
    config::{self, Settings},
    config_file,
    principal::escape_unseen,
    provider_check::{self, Level, Report, Wanted},
    providers::ConfigError,
};

/// What is done with providers.
#[derive(Debug, Subcommand)]
pub(super) enum ProviderCommand {
    /// Ask the configured providers what sign-ins will ask them, and tell what they lack or refuse: discovery, issuer, keys,
    /// scopes, redirect URIs, the client's secret, sign-out, clocks. A made-up code and a made-up token are sent; nobody is
    /// signed in.
    Check(Check),
}

#[derive(Args, Debug)]
pub(super) struct Check {
    /// The configuration file (YAML).
    file: PathBuf,
    /// One provider, by its name in the configuration; each of them where none is told.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Why nothing was asked.
#[derive(Debug, Error)]
pub(super) enum ProviderError {
    #[error("{0}")]
    Config(#[from] config_file::ConfigError),
    #[error("{0}")]
    Provider(#[from] ConfigError),
    #[error("portcullis: --provider {0}: the configuration has no provider of this name, but {1}")]
    Unknown(String, String),
    #[error("portcullis: the configuration has no providers")]
    None,
    #[error("portcullis: the command cannot run: {0}")]
    System(#[from] io::Error),
}

impl ProviderError {
    pub(super) const fn is_usage(&self) -> bool {
        !matches!(self, Self::System(_))
    }
}

/// What the command prints, and whether people cannot sign in.
pub(super) struct Checked {
    pub(super) text: String,
    pub(super) has_fault: bool,
}

impl ProviderCommand {
    pub(super) fn run(self) -> Result<Checked, ProviderError> {
        let Self::Check(check) = self;
        let settings = config::load(&check.file)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let reports = runtime.block_on(check.ask(&settings))?;
        let text = match check.output {
            Output::Table => reports.iter().map(told).collect::<Vec<_>>().join("\n\n"),
            Output::Json => format!("{:#}", json!({ "providers": reports.iter().map(document).collect::<Vec<_>>() })),
        };
        Ok(Checked { text, has_fault: reports.iter().any(|report| report.worst() == Level::Fault) })
    }
}

impl Check {
    async fn ask(&self, settings: &Settings) -> Result<Vec<Report>, ProviderError> {
        let names = || settings.providers.iter().map(|provider| provider.name.as_str());
        if let Some(wanted) = &self.provider
            && !names().any(|name| name == wanted)
        {
            return Err(ProviderError::Unknown(wanted.clone(), names().collect::<Vec<_>>().join(", ")));
        }
        let wanted = |name: &str| self.provider.as_deref().is_none_or(|wanted| wanted == name);
        let clock = SystemClock::shared();
        let mut reports = Vec::new();
        for provider in settings.providers.iter().filter(|provider| wanted(provider.name.as_str())) {
            let theirs: Vec<_> = settings.origins.iter().filter(|it| it.login.provider == provider.name).collect();
            let origins: Vec<_> = theirs.iter().map(|origin| &origin.login).collect();
            let hosts: Vec<_> = theirs.iter().map(|origin| &origin.host).collect();
            let logins: Vec<_> = settings.rules.logins_at(&hosts).collect();
            let wanted = Wanted { origins: &origins, logins: &logins };
            reports.push(provider_check::check(provider, wanted, &clock).await?);
        }
        if reports.is_empty() { Err(ProviderError::None) } else { Ok(reports) }
    }
}

fn told(report: &Report) -> String {
    let findings = report
        .findings
        .iter()
        .map(|finding| [format!("  {}", finding.level.name()), finding.about.to_owned(), finding.text.clone()]);
    let mut text = format!("{}: {}\n", report.provider, escape_unseen(&report.issuer));
    text.push_str(&table::aligned(findings));
    let to_register = report.to_register.iter().map(|place| [format!("    {}", place.what), place.url.clone()]);
    if !report.to_register.is_empty() {
        text.push_str("\n  to be registered there for this client:\n");
        text.push_str(&table::aligned(to_register));
    }
    text
}

fn document(report: &Report) -> Value {
    let finding = |finding: &provider_check::Finding| json!({ "level": finding.level.name().to_lowercase(), "about": finding.about, "text": finding.text });
    json!({
        "provider": report.provider,
        "issuer": report.issuer,
        "worst": report.worst().name().to_lowercase(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "to_register": report.to_register.iter().map(|place| json!({ "what": place.what, "url": place.url })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider_check::{Finding, Registered};

    #[test]
    fn a_report_is_told_as_the_snapshot_says() {
        let finding = |level, about, text: &str| Finding { level, about, text: text.to_owned() };
        let report = Report {
            provider: "dex".to_owned(),
            issuer: "https://dex.example.com/dex".to_owned(),
            findings: vec![
                finding(Level::Fine, "discovery", "https://dex.example.com/dex/.well-known/openid-configuration"),
                finding(Level::Warning, "scopes", "it says \u{1b}[31m"),
                finding(Level::Fault, "client", "the token endpoint says error `invalid_client`"),
            ],
            to_register: vec![Registered {
                what: "redirect URI",
                url: "https://kubeflow.example.com/portcullis/callback".to_owned(),
            }],
        };
        insta::assert_snapshot!("report", format!("{}\n\n{:#}", told(&report), document(&report)));
    }
}
