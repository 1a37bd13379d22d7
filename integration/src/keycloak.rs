//! Keycloak, over TLS: one server for many tests, each with a realm of its own.

mod admin_api;
mod plan;
mod realm;
mod representation;

pub use plan::{Plan, mapper};
pub use realm::Realm;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::pki::Authority;
use crate::ports::Port;
use crate::process::{Launch, Process};
use crate::registration::Registration;
use admin_api::AdminApi;

/// A loaded machine may take this long where 8 s are usual.
const READY_WITHIN: Duration = Duration::from_mins(3);

/// As the distribution's own script has them, but for what makes a short life of a server quick.
const JVM: [&str; 12] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xmx512m",
    "-Dfile.encoding=UTF-8",
    "-Duser.language=en",
    "-Duser.country=US",
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
];

/// A running Keycloak. It is killed when it is dropped.
#[derive(Debug)]
pub struct Keycloak {
    process: Process,
    origin: String,
    authority: String,
    api: AdminApi,
    /// What realms sign with at first, PKCS#8 in base64.
    key: String,
    /// How many realms there are.
    realms: Mutex<u32>,
    _port: Port,
    _home: TempDir,
}

impl Keycloak {
    /// Starts Keycloak on the database that the part brings along, and waits until it answers.
    pub async fn start() -> Result<Self> {
        let authority = Authority::new("Keycloak's authority")?;
        let port = Port::take()?;
        let origin = format!("https://{}", port.address());
        let home = home()?;
        let (certificate, key) = authority.server(&[])?.write(home.path(), "keycloak")?;
        let path = |path: &Path| path.display().to_string();
        let option = |name: &str, value: &str| format!("--{name}={value}");

        // The distribution's script would leave Java behind where it is killed.
        let mut process = Launch::new("keycloak", java()?)
            .clear_env()
            .args(JVM)
            .arg(format!("-Dkc.home.dir={}", path(home.path())))
            .arg(format!("-Djava.io.tmpdir={}", path(home.path())))
            .args(["-cp", &path(&home.path().join("lib/quarkus-run.jar"))])
            .args(["io.quarkus.bootstrap.runner.QuarkusEntryPoint", "start", "--optimized", "--cache=local"])
            .args([
                option("hostname", &origin),
                option("http-host", &port.address().ip().to_string()),
                option("https-port", &port.address().port().to_string()),
                option("https-certificate-file", &path(&certificate)),
                option("https-certificate-key-file", &path(&key)),
            ])
            .start()?;
        let discovery = format!("{origin}/realms/master/.well-known/openid-configuration");
        process.wait_for_ok_over_tls(&discovery, &authority.pem(), READY_WITHIN).await?;
        let api = AdminApi::new(&origin, &authority.pem())?;
        let (authority, key, realms) = (authority.pem(), rsa_key()?, Mutex::default());
        Ok(Self { process, origin, authority, api, key, realms, _port: port, _home: home })
    }

    /// Makes a realm that nobody else uses.
    pub async fn realm(&self, plan: Plan) -> Result<Realm> {
        // One after the other: made at once, each of them takes longer than all in turn.
        let mut realms = self.realms.lock().await;
        *realms += 1;
        let name = format!("realm-{realms}");
        let mut representation = plan.into_representation();
        representation["realm"] = json!(name);
        representation["components"] = json!({ "org.keycloak.keys.KeyProvider": keys(&self.key) });
        self.api.post("", &representation).await?;
        let issuer = format!("{}/realms/{name}", self.origin);
        let registration = Registration::new("keycloak", &issuer, self.authority.clone());
        Ok(Realm::new(self.api.clone(), name, registration))
    }

    /// The last lines of its log, for messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

/// A home of this server's own: the part's programs, and a copy of its database.
fn home() -> Result<TempDir> {
    let script = crate::parts::path("kc.sh")?;
    let part = script.ancestors().nth(2).context("the script lies in the part's folder `bin`")?;
    let home = TempDir::with_prefix("portcullis-keycloak-home-")?;
    for name in ["lib", "conf", "providers", "themes"] {
        symlink(part.join(name), home.path().join(name))?;
    }
    let database = home.path().join("data/h2");
    fs::create_dir_all(&database)?;
    fs::copy(crate::parts::path("keycloakdb.mv.db")?, database.join("keycloakdb.mv.db"))?;
    Ok(home)
}

fn rsa_key() -> Result<String> {
    let key: Pkcs8V1Der<'_> = KeyPair::generate(KeySize::Rsa2048)?.as_der()?;
    Ok(STANDARD.encode(key.as_ref()))
}

/// The keys of a realm, as Keycloak makes them, but for the one that takes it longer to make than all of the rest: RS256.
fn keys(rsa: &str) -> Value {
    let key = |kind: &str, algorithm: &str| json!({ "name": kind, "providerId": kind, "config": { "algorithm": [algorithm] } });
    let mut signing = key("rsa", "RS256");
    signing["config"]["privateKey"] = json!([rsa]);
    json!([signing, key("hmac-generated", "HS512"), key("aes-generated", "AES")])
}

/// The machine's Java: that of `JAVA_HOME`, else the first on the `PATH`.
fn java() -> Result<PathBuf> {
    let named = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let named = named.map(|home| Path::new(&home).join("bin/java"));
    named.or_else(|| crate::process::on_path("java")).context("java is missing: install Java 17 or newer")
}
