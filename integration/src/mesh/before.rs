//! The gate that Kubeflow has without Portcullis: oauth2-proxy, as the distribution sets it up.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::json;
use tempfile::TempDir;
use url::Url;

use super::manual::written;
use super::sign_in::{redirect, through_dex};
use super::{Mesh, of_an_operator};
use crate::dex::BEFORE;
use crate::portcullis::ORIGIN;
use crate::ports::Port;
use crate::process::{Launch, Process};
use crate::raw_client::Response;
use crate::registration::CLIENT_SECRET;
use crate::visitor::{Visitor, path_and_query};

/// A loaded machine may take this long where 0.1 s is usual.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// The overlay of the distribution that the manual names.
const OVERLAY: &str = "common/oauth2-proxy/overlays/m2m-dex-only";

/// A running oauth2-proxy, and a checkout of the distribution with all that the manual's commands name.
#[derive(Debug)]
pub struct Before {
    process: Process,
    checkout: TempDir,
    _port: Port,
}

impl Mesh {
    /// Starts oauth2-proxy, which nobody asks yet, and lays the checkout out.
    pub async fn before(&self) -> Result<Before> {
        let port = Port::take()?;
        let issuer = &self.dex.registration().issuer;
        let mut process = Launch::new("oauth2-proxy-before", crate::parts::path("oauth2-proxy")?)
            .arg(format!("--http-address={}", port.address()))
            .args(["--provider=oidc", "--email-domain=*", "--scope=profile email groups openid"])
            .arg(format!("--oidc-issuer-url={issuer}"))
            .args(["--skip-oidc-discovery", "--login-url=/dex/auth"])
            .arg(format!("--redeem-url={issuer}/token"))
            .arg(format!("--oidc-jwks-url={issuer}/keys"))
            .arg(format!("--client-id={BEFORE}"))
            .arg(format!("--client-secret={CLIENT_SECRET}"))
            .arg(format!("--cookie-secret={}", URL_SAFE.encode([7; 32])))
            .args(["--cookie-name=oauth2_proxy_kubeflow", "--cookie-expire=24h", "--cookie-secure=false"])
            .args(["--upstream=static://200", "--set-authorization-header", "--set-xauthrequest"])
            .args(["--skip-auth-route=^/dex/", "--api-route=/api/", "--prompt=none", "--code-challenge-method=S256"])
            .args(["--redirect-url=/oauth2/callback", "--relative-redirect-url"])
            .start()?;
        process.wait_for_ok(&format!("http://{}/ping", port.address()), READY_WITHIN).await?;

        self.cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: oauth2-proxy}}").await?;
        let keys = self.cluster.kubectl(&["get", "--raw", "/openid/v1/jwks"]).await?;
        let objects = include_str!("before.yaml")
            .replace("${DEX}", issuer)
            .replace("${CLUSTER_KEYS}", keys.trim())
            .replace("${OAUTH2_PROXY}", &port.address().ip().to_string())
            .replace("${OAUTH2_PROXY_PORT}", &port.number().to_string());
        let checkout = TempDir::with_prefix("portcullis-checkout-")?;
        let [overlay, site] = [OVERLAY, "portcullis/site"].map(|name| checkout.path().join(name));
        fs::create_dir_all(&overlay)?;
        fs::write(overlay.join("kustomization.yaml"), json!({ "resources": ["before.yaml"] }).to_string())?;
        fs::write(overlay.join("before.yaml"), objects)?;
        fs::create_dir_all(&site)?;
        symlink(of_an_operator("gateway"), site.join("gateway"))?;
        fs::create_dir_all(site.join("canary"))?;
        for file in ["canary/gateway.yaml", "canary/kustomization.yaml"] {
            fs::write(site.join(file), written(&format!("portcullis/site/{file}"))?)?;
        }
        symlink(crate::project::root().join("manifests"), checkout.path().join("portcullis/manifests"))?;
        Ok(Before { process, checkout, _port: port })
    }
}

impl Before {
    /// Where the manual's commands run.
    #[must_use]
    pub fn checkout(&self) -> &Path {
        self.checkout.path()
    }

    /// Whether an answer is oauth2-proxy's page for whoever is not signed in.
    #[must_use]
    pub fn is_its_page(answer: &Response) -> bool {
        answer.status == 403 && answer.text().contains("/oauth2/start")
    }

    /// Lets a visitor sign in by oauth2-proxy's page, and gives the answer of the page that was wanted.
    pub async fn sign_in(&self, visitor: &mut Visitor, user: &str, path: &str) -> Result<Response> {
        let page = visitor.navigate(path).await?;
        ensure!(Self::is_its_page(&page), "{} {}", page.status, page.text());
        let start = Url::parse_with_params(&format!("{ORIGIN}/oauth2/start"), [("rd", path)])?;
        let dex = redirect(&start, &visitor.navigate(&path_and_query(&start)).await?)?;
        through_dex(visitor, dex, user).await
    }

    /// The last lines of oauth2-proxy's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}
