//! The gate that Kubeflow has without Portcullis: oauth2-proxy, as the distribution sets it up.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::json;
use tempfile::TempDir;
use url::Url;

use super::sign_in::{redirect, walk};
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

        self.cluster.create_namespace("oauth2-proxy").await?;
        let keys = self.cluster.kubectl(&["get", "--raw", "/openid/v1/jwks"]).await?;
        let objects = include_str!("before.yaml")
            .replace("${DEX}", issuer)
            .replace("${CLUSTER_KEYS}", keys.trim())
            .replace("${OAUTH2_PROXY}", &port.address().ip().to_string())
            .replace("${OAUTH2_PROXY_PORT}", &port.number().to_string());
        let checkout = TempDir::with_prefix("portcullis-checkout-")?;
        kustomization(&checkout.path().join(OVERLAY), "before.yaml")?;
        fs::write(checkout.path().join(OVERLAY).join("before.yaml"), objects)?;
        let gateway = checkout.path().join("portcullis/site/gateway");
        let up: String = gateway.components().skip(1).map(|_| "../").collect();
        let ours = of_an_operator("gateway").canonicalize()?;
        kustomization(&gateway, &format!("{up}{}", ours.strip_prefix("/")?.display()))?;
        Ok(Before { process, checkout, _port: port })
    }
}

/// A kustomization of one resource.
fn kustomization(folder: &Path, resource: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("kustomization.yaml"), json!({ "resources": [resource] }).to_string())?;
    Ok(())
}

impl Before {
    /// Where the manual's commands run.
    #[must_use]
    pub fn checkout(&self) -> &Path {
        self.checkout.path()
    }

    /// Lets a visitor sign in by oauth2-proxy's page, and gives the answer of the page that was wanted.
    pub async fn sign_in(&self, visitor: &mut Visitor, user: &str, path: &str) -> Result<Response> {
        let page = visitor.navigate(path).await?;
        ensure!(page.status == 403 && page.text().contains("/oauth2/start"), "{} {}", page.status, page.text());
        let start = Url::parse_with_params(&format!("{ORIGIN}/oauth2/start"), [("rd", path)])?;
        let dex = redirect(&start, &visitor.navigate(&path_and_query(&start)).await?)?;
        let callback = walk(visitor, dex, user).await?;
        let landing = visitor.come_back(&callback).await?;
        visitor.navigate(&landing).await
    }

    /// The last lines of oauth2-proxy's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}
