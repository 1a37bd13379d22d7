//! The configuration of the product in a mesh: the manifests', as far as a process can have it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::manifests::Manifests;
use super::manual::written;
use super::names::{CHECK_PORT, KEYS_PORT, OTHER_SERVICE, SECOND_HOST, SECOND_PROVIDER};
use crate::dex::Dex;
use crate::portcullis::{Config, HOST};
use crate::provider::Provider;

/// The configuration of the manifests, with what a pod has and this process has not: its ports, its folders, and Dex's name;
/// with two more origins, the team's models, and rules for [`OTHER_SERVICE`] and logout tokens.
pub(super) fn configure(product: &Manifests, dex: &Dex, second: &Provider) -> Result<Config> {
    let mut config = Config::new()?;
    let mut tree: Value = serde_saphyr::from_str(&product.config()?.replace("kubeflow.example.com", HOST))?;
    for key in ["listeners", "keys", "drain", "logging"] {
        tree[key] = config.tree()[key].take();
    }
    *config.tree() = tree;
    let mut config = config.embedded_store();
    let (registration, second_client) = (dex.registration(), second.client());
    let secret_of = |config: &Config, name: &str, secret: &str| -> Result<PathBuf> {
        let file = config.folder().join(format!("client-secret-of-{name}"));
        fs::write(&file, secret)?;
        Ok(file)
    };
    let secret = secret_of(&config, "dex", &registration.client_secret)?;
    let second_secret = second_client.secret.context("the client has a secret")?;
    let second_secret = secret_of(&config, "second", &second_secret)?;

    let inside = &mut config.tree()["providers"][0];
    inside["issuer"] = json!(registration.issuer);
    inside["client_secret"] = json!({ "file": secret });
    // No user id of the one provider can be one of the other.
    inside["email_domains"] = json!(["example.com"]);
    let provider = json!({
        "name": SECOND_PROVIDER,
        "issuer": second.issuer(),
        "client_id": second_client.id,
        "client_secret": { "file": second_secret },
        "scopes": ["openid", "email"],
        "allow_http": true,
        "email_domains": [SECOND_HOST],
    });
    let origin = json!({ "url": format!("https://{SECOND_HOST}"), "provider": SECOND_PROVIDER });
    let other = json!({
        "name": "other-service", "paths": [{ "prefix": OTHER_SERVICE }], "access": "authenticated", "audience": "other",
    });
    let tokens = json!({
        "name": "logout-tokens", "paths": [{ "prefix": "/backchannel-logout" }], "methods": ["POST"], "access": "public",
    });
    // The canary's, as the manual has it.
    let canary = written("beside the first of `origins` in portcullis/site/portcullis/portcullis.yaml")?;
    let [canary]: [Value; 1] = serde_saphyr::from_str(&canary.replace("kubeflow.example.com", HOST))?;
    // The models of the team, inside the cluster.
    let models = json!("*.team-a.svc.cluster.local");
    let further = [
        ("providers", provider),
        ("origins", origin),
        ("origins", canary),
        ("hosts", models),
        ("rules", other),
        ("rules", tokens),
    ];
    for (list, entry) in further {
        config.tree()[list].as_array_mut().with_context(|| format!("no {list}"))?.push(entry);
    }
    Ok(config)
}

/// Where the process listens, by the ports of the manifests.
pub(super) fn processes(config: &Config) -> Result<[(u16, SocketAddr); 2]> {
    let address = |listener: &str| -> Result<SocketAddr> {
        let bind = config.get(&format!("/listeners/{listener}/bind")).and_then(Value::as_str);
        Ok(bind.with_context(|| format!("listeners.{listener}.bind"))?.parse()?)
    };
    Ok([(CHECK_PORT, address("check")?), (KEYS_PORT, address("http")?)])
}
