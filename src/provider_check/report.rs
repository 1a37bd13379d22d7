//! What was found of a provider, and what is to be registered there.

use crate::{
    origin::LoginOrigin,
    providers::{ProviderConfig, for_log},
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Fine,
    /// Worth knowing.
    Note,
    /// May fail for some, or could not be found out from here.
    Warning,
    /// People cannot sign in, or what is configured cannot work.
    Fault,
}

impl Level {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "FAULT",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is about.
    pub about: &'static str,
    /// What was found, and the setting that is about it.
    pub text: String,
}

/// What has to be registered at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// What it is called there.
    pub what: &'static str,
    /// The URL.
    pub url: String,
}

/// All that was found of one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its name with us.
    pub provider: String,
    /// Its issuer.
    pub issuer: String,
    /// What was found, in the order of a sign-in.
    pub findings: Vec<Finding>,
    /// What has to be registered there.
    pub to_register: Vec<Registered>,
}

impl Report {
    pub(super) fn new(config: &ProviderConfig, origins: &[&LoginOrigin]) -> Self {
        let mut to_register = Vec::new();
        for origin in origins {
            let mut add = |what, url: &str| to_register.push(Registered { what, url: url.to_owned() });
            add("redirect URI", origin.redirect_uri.as_str());
            if config.logout.at_provider {
                add("post-logout redirect URI", origin.post_logout_redirect_uri.as_str());
            }
        }
        if config.logout.back_channel {
            let url =
                format!("https://HOST/backchannel-logout/{} (a route to the http listener)", config.name.as_str());
            to_register.push(Registered { what: "back-channel logout URI", url });
        }
        let mut report = Self {
            provider: config.name.as_str().to_owned(),
            issuer: config.issuer.clone(),
            findings: Vec::new(),
            to_register,
        };
        if origins.is_empty() {
            report.note("origins", "no origin signs in at this provider".to_owned());
        }
        report
    }

    pub(super) fn fine(&mut self, about: &'static str, text: String) {
        self.add(Level::Fine, about, text);
    }

    pub(super) fn note(&mut self, about: &'static str, text: String) {
        self.add(Level::Note, about, text);
    }

    pub(super) fn warning(&mut self, about: &'static str, text: String) {
        self.add(Level::Warning, about, text);
    }

    pub(super) fn fault(&mut self, about: &'static str, text: String) {
        self.add(Level::Fault, about, text);
    }

    fn add(&mut self, level: Level, about: &'static str, text: String) {
        self.findings.push(Finding { level, about, text });
    }

    /// The worst of what was found.
    #[must_use]
    pub fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Fine)
    }
}

/// A provider's list of names, bounded and fit for a terminal.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    for_log(&names.into_iter().collect::<Vec<_>>().join(" "))
}
