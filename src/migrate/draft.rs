//! Our configuration while it is put together.

use super::tree::{Entry, Fields};

/// Where the manifests mount the client's secret.
pub(super) const CLIENT_SECRET: &str = "/secrets/provider/client-secret";
/// Where a file of the provider's authorities is expected: `/etc/portcullis` is the configuration's own folder.
pub(super) const PROVIDER_CA: &str = "/etc/portcullis/provider-ca.pem";
/// The name of the rule that holds where no other does.
const EVERYBODY: &str = "signed-in";

/// The parts of the file, in which each step writes its own.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) keys: Fields,
    pub(super) sessions: Fields,
    pub(super) store: Fields,
    pub(super) redis: Fields,
    pub(super) origin: Fields,
    pub(super) aliases: Fields,
    pub(super) provider: Fields,
    pub(super) endpoints: Fields,
    pub(super) parameters: Fields,
    pub(super) service_accounts: Fields,
    pub(super) headers: Fields,
    pub(super) logging: Fields,
    /// Rules that open paths.
    pub(super) rules: Vec<Fields>,
    pub(super) everybody: Everybody,
}

/// What is asked where no path is named: the rule behind all others, where more is asked than a sign-in.
#[derive(Debug, Default)]
pub(super) struct Everybody {
    /// Any of these groups, each with where it was found.
    pub(super) groups: Vec<String>,
    /// Any of these addresses.
    pub(super) emails: Vec<String>,
    /// Further names of headers.
    pub(super) headers: Fields,
    /// Whether CORS preflights pass.
    pub(super) preflight: bool,
    /// Where all this was found.
    pub(super) comment: Vec<String>,
    /// What was asked and could not be carried over. Nobody passes until the operator has decided.
    pub(super) closed: Vec<String>,
}

impl Draft {
    /// The whole file.
    pub(super) fn tree(&self) -> Fields {
        let mut file = Fields::default();
        file.set("listeners", listeners(), "");
        file.set("keys", self.keys.clone(), "");
        file.set("sessions", self.sessions(), "");
        file.set("origins", vec![self.origin()], "");
        file.set("providers", vec![self.provider()], "");
        if !self.service_accounts.is_empty() {
            file.set("service_accounts", self.service_accounts.clone(), "");
        }
        if !self.headers.is_empty() {
            file.set("identity", Fields::one("headers", self.headers.clone()), "");
        }
        file.set("assertion", assertion(), "");
        let mut rules = self.rules.clone();
        rules.extend(self.everybody.rule());
        if !rules.is_empty() {
            file.set("rules", rules, "The first match decides.");
        }
        file.set("default", Fields::one("access", "authenticated"), "");
        if !self.logging.is_empty() {
            file.set("logging", self.logging.clone(), "");
        }
        file
    }

    fn sessions(&self) -> Fields {
        let mut store = self.store.clone();
        if !self.redis.is_empty() {
            store.set("redis", self.redis.clone(), "");
        }
        let mut sessions = Fields::one("store", store);
        sessions.0.extend(self.sessions.0.clone());
        sessions
    }

    fn origin(&self) -> Fields {
        let mut origin = self.origin.clone();
        if !self.aliases.is_empty() {
            origin.set("aliases", self.aliases.clone(), "The old addresses, which dashboards and bookmarks know.");
        }
        origin
    }

    fn provider(&self) -> Fields {
        let mut provider = self.provider.clone();
        if !self.endpoints.is_empty() {
            provider.set("endpoints", self.endpoints.clone(), "Instead of what its discovery document says.");
        }
        if !self.parameters.is_empty() {
            provider.set("authorization_parameters", self.parameters.clone(), "");
        }
        provider
    }
}

impl Everybody {
    /// The rule, where there is something to say.
    fn rule(&self) -> Option<Fields> {
        let says = !self.groups.is_empty() || !self.emails.is_empty() || !self.headers.is_empty() || self.preflight;
        if self.closed.is_empty() && !says {
            return None;
        }
        if !self.closed.is_empty() {
            return Some(closed_rule(&self.closed));
        }
        let mut rule = Fields::default();
        rule.put("name", Entry { comment: self.comment.clone(), node: EVERYBODY.into() });
        rule.set("access", "authenticated", "");
        if !self.groups.is_empty() {
            rule.set("groups", self.groups.clone(), "");
        }
        if !self.emails.is_empty() {
            rule.set("emails", self.emails.clone(), "");
        }
        if !self.headers.is_empty() {
            rule.set("headers", self.headers.clone(), "");
        }
        if self.preflight {
            rule.set("preflight", "allow", "");
        }
        Some(rule)
    }
}

/// The rule that nobody passes until the operator has decided what takes the place of what is told.
pub(super) fn closed_rule(what: &[String]) -> Fields {
    let why = what.iter().map(|what| format!("CLOSED: {what} could not be carried over."));
    let todo = "Write who may pass (`groups` or `emails`), then `access: authenticated`.".to_owned();
    let mut rule = Fields::default();
    rule.put("name", Entry { comment: why.chain([todo]).collect(), node: EVERYBODY.into() });
    rule.set("access", "deny", "");
    rule
}

/// As the manifests have them.
fn listeners() -> Fields {
    let mut listeners = Fields::default();
    let check = "Loopback: the sidecar leads the gateway's checks here, and nobody else's.";
    listeners.set("check", Fields::one("bind", "127.0.0.1:9001"), check);
    listeners.set("http", Fields::one("bind", "0.0.0.0:9002"), "");
    listeners.set("operations", Fields::one("bind", "0.0.0.0:9003"), "");
    listeners.set("admin", Fields::one("bind", "unix:/run/portcullis/admin.sock"), "");
    listeners
}

fn assertion() -> Fields {
    let mut assertion = Fields::default();
    assertion.set("issuer", "https://portcullis.portcullis.svc.cluster.local", "Who signs: here a name only.");
    assertion.set("audience", "kubeflow", "");
    assertion
}
