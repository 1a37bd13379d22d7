//! What a configured provider lacks or will refuse, found before anybody signs in.
//!
//! It is asked what sign-ins ask: its document and its keys; for each origin the authorization request, and the sign-out, as
//! a browser without a session brings them; the token endpoint, with a made-up code; and where `strict` asks, with a made-up
//! token. Nobody is signed in by that, and nothing is kept here.

mod document;
mod probes;
mod report;

pub use report::{Finding, Level, Registered, Report};

use crate::{
    authz::LoginRequirement,
    clock::SharedClock,
    origin::LoginOrigin,
    providers::{AskedOnce, ConfigError, Known, ProviderConfig, Published},
};

/// What is asked of a provider.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The origins that sign in at it.
    pub origins: &'a [&'a LoginOrigin],
    /// What rules there ask of logins, each with its rule's name.
    pub logins: &'a [(&'a str, &'a LoginRequirement)],
}

/// Asks a provider on behalf of the origins that sign in at it.
///
/// # Errors
/// Where its configuration cannot be used.
pub async fn check(config: &ProviderConfig, wanted: Wanted<'_>, clock: &SharedClock) -> Result<Report, ConfigError> {
    let AskedOnce { http, url, published } = AskedOnce::ask(config).await?;
    let Wanted { origins, logins } = wanted;
    let mut report = Report::new(config, origins);
    let read = published.and_then(|Published { members, date, discovered }| {
        document::clock(&mut report, date, clock.now());
        Ok((members, discovered?))
    });
    let (members, discovered) = match read {
        Ok(read) => read,
        Err(error) => {
            report.fault("discovery", format!("{url}: {error}"));
            return Ok(report);
        }
    };
    report.fine("discovery", url);
    document::found(&mut report, config, &members, &discovered);
    document::logins(&mut report, logins, &members);
    let known = Known::new(config, discovered, http.clone(), clock.clone());
    let probes = probes::Probes { config, known: &known, http: &http, now: clock.now() };
    for origin in origins {
        probes.sign_in(&mut report, origin).await;
        probes.sign_out(&mut report, origin).await;
    }
    if let Some(origin) = origins.first() {
        probes.code(&mut report, origin).await;
    }
    probes.strict(&mut report).await;
    Ok(report)
}
