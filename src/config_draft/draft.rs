//! Our configuration while it is put together.

use super::tree::{Entry, Fields};

/// Where the manifests mount the client's secret.
pub(crate) const CLIENT_SECRET: &str = "/secrets/provider/client-secret";
/// Where a file of the provider's authorities is expected: `/etc/portcullis` is the configuration's own folder.
pub(crate) const PROVIDER_CA: &str = "/etc/portcullis/provider-ca.pem";
/// The name of the rule that holds where no other does.
const EVERYBODY: &str = "signed-in";

/// The parts of the file, in which each step writes its own.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) keys: Fields,
    pub(crate) sessions: Fields,
    pub(crate) store: Fields,
    pub(crate) redis: Fields,
    pub(crate) origin: Fields,
    pub(crate) aliases: Fields,
    pub(crate) provider: Fields,
    pub(crate) endpoints: Fields,
    pub(crate) parameters: Fields,
    pub(crate) service_accounts: Fields,
    pub(crate) headers: Fields,
    pub(crate) logging: Fields,
    /// Rules that open paths.
    pub(crate) rules: Vec<Fields>,
    pub(crate) everybody: Everybody,
}

/// What is asked where no path is named: the rule behind all others, where more is asked than a sign-in.
#[derive(Debug, Default)]
pub(crate) struct Everybody {
    /// Any of these groups, each with where it was found.
    pub(crate) groups: Vec<String>,
    /// Any of these addresses.
    pub(crate) emails: Vec<String>,
    /// Further names of headers.
    pub(crate) headers: Fields,
    /// Whether CORS preflights pass.
    pub(crate) preflight: bool,
    /// Where all this was found.
    pub(crate) comment: Vec<String>,
    /// What was asked and could not be carried over. Nobody passes until the operator has decided.
    pub(crate) closed: Vec<String>,
}

impl Draft {
    /// The whole file.
    pub(crate) fn tree(mut self) -> Fields {
        self.store.set_unless_empty("redis", self.redis, "");
        let aliases = "The old addresses, which dashboards and bookmarks know.";
        self.origin.set_unless_empty("aliases", self.aliases, aliases);
        self.provider.set_unless_empty("endpoints", self.endpoints, "Instead of what its discovery document says.");
        self.provider.set_unless_empty("authorization_parameters", self.parameters, "");
        let mut sessions = Fields::one("store", self.store);
        sessions.0.extend(self.sessions.0);
        let mut identity = Fields::default();
        identity.set_unless_empty("headers", self.headers, "");
        self.rules.extend(self.everybody.rule());

        let mut file = Fields::default();
        file.set("listeners", listeners(), "");
        file.set("keys", self.keys, "");
        file.set("sessions", sessions, "");
        file.set("origins", vec![self.origin], "");
        file.set("providers", vec![self.provider], "");
        file.set_unless_empty("service_accounts", self.service_accounts, "");
        file.set_unless_empty("identity", identity, "");
        file.set("assertion", assertion(), "");
        file.set_unless_empty("rules", self.rules, "The first match decides.");
        file.set("default", Fields::one("access", "authenticated"), "");
        file.set_unless_empty("logging", self.logging, "");
        file
    }
}

impl Everybody {
    /// The rule, where there is something to say.
    fn rule(self) -> Option<Fields> {
        if !self.closed.is_empty() {
            return Some(closed_rule(&self.closed));
        }
        let mut says = Fields::default();
        says.set_unless_empty("groups", self.groups, "");
        says.set_unless_empty("emails", self.emails, "");
        says.set_unless_empty("headers", self.headers, "");
        if self.preflight {
            says.set("preflight", "allow", "");
        }
        if says.is_empty() {
            return None;
        }
        let mut rule = Fields::default();
        rule.put("name", Entry { comment: self.comment, node: EVERYBODY.into() });
        rule.set("access", "authenticated", "");
        rule.0.extend(says.0);
        Some(rule)
    }
}

/// The rule that nobody passes until the operator has decided what takes the place of what is told.
pub(crate) fn closed_rule(what: &[String]) -> Fields {
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
