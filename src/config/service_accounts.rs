//! ServiceAccount tokens: which audiences are ours.

use std::{collections::BTreeSet, time::Duration};

use super::{
    context::{Context, MINUTE, SECOND},
    issuers::Issuers,
    settings::ServiceAccounts,
};
use crate::{
    config_file::{FieldError, FieldPath, forms},
    kubernetes,
};

pub(super) fn resolve(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::ServiceAccounts,
    known: &Issuers,
) -> Option<ServiceAccounts> {
    let audiences = audiences(context, &at.key("audiences"), written, known);
    let issuers = issuers(context, &at.key("issuers"), &written.issuers, known);
    let kubeconfig = match &written.kubeconfig {
        Some(path) => {
            let at = at.key("kubeconfig");
            context.file(&at, path).map(|_| Some(path.clone()))
        }
        None => Some(None),
    };
    let cache_ttl = context.duration(&at.key("cache_ttl"), &written.cache_ttl, Duration::ZERO..=5 * MINUTE);
    let negative_cache_ttl =
        context.duration(&at.key("negative_cache_ttl"), &written.negative_cache_ttl, Duration::ZERO..=10 * SECOND);
    let timeout = context.duration(&at.key("timeout"), &written.timeout, Duration::from_millis(100)..=MINUTE);
    let max_concurrent_reviews = match written.max_concurrent_reviews {
        0 => context.refuse(
            FieldError::new(&at.key("max_concurrent_reviews"), "with none, no token could be reviewed")
                .found("0")
                .write("write a number from 1 to 65535"),
        ),
        number => Some(usize::from(number)),
    };
    let kubeconfig = kubeconfig?;
    let judge = kubernetes::Config {
        audiences: audiences?,
        issuers: issuers?,
        cache_ttl: cache_ttl?,
        negative_cache_ttl: negative_cache_ttl?,
        max_concurrent_reviews: max_concurrent_reviews?,
        timeout: timeout?,
        verify_signatures: written.verify_signatures,
    };
    match judge.validate() {
        Ok(()) => Some(ServiceAccounts { judge, kubeconfig }),
        Err(error) => context.refuse(FieldError::new(at, error.to_string())),
    }
}

/// With the API server's own audience, or none, every pod's default token would pass.
fn audiences(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::ServiceAccounts,
    known: &Issuers,
) -> Option<Vec<String>> {
    const WRITE: &str = "write a name of this service's own, such as `portcullis.example.com`, \
                         and ask for tokens with it (`kubectl create token --audience`)";
    let before = context.errors();
    if written.audiences.is_empty() {
        context.report(FieldError::new(at, "none is named: the token of every pod would pass").write(WRITE));
    }
    let mut seen = BTreeSet::new();
    for (index, audience) in written.audiences.iter().enumerate() {
        let mut issuers = known.clusters.iter().chain(&known.providers);
        let issuer = issuers.any(|issuer| kubernetes::is_same_audience(issuer, audience));
        let problem = if audience.trim() != audience || audience.is_empty() {
            "it is empty, or has spaces around it"
        } else if issuer || kubernetes::is_another_services_audience(audience) {
            "it is the API server's own audience or another service's: tokens that are not meant for us would pass"
        } else if !seen.insert(audience) {
            "it is named twice"
        } else {
            continue;
        };
        context.report(FieldError::new(&at.index(index), problem).found(audience).write(WRITE));
    }
    (context.errors() == before).then(|| written.audiences.clone())
}

fn issuers(context: &mut Context<'_>, at: &FieldPath, written: &[String], known: &Issuers) -> Option<Vec<String>> {
    let before = context.errors();
    if written.is_empty() {
        context.report(FieldError::new(at, "none is named").write(
            "write the API server's issuer (`kubectl get --written /.well-known/openid-configuration` shows it)",
        ));
    }
    let mut seen = BTreeSet::new();
    for (index, issuer) in written.iter().enumerate() {
        let problem = if issuer.is_empty() || !issuer.bytes().all(|byte| byte.is_ascii_graphic()) {
            "it is no issuer"
        } else if known.providers.contains(issuer) || *issuer == known.assertion {
            "it is an identity provider's issuer or our own: each must stand for one thing"
        } else if !seen.insert(issuer) {
            "it is named twice"
        } else {
            continue;
        };
        context.report(
            FieldError::new(&at.index(index), problem)
                .found(issuer)
                .write("write the API server's issuer, byte for byte"),
        );
    }
    (context.errors() == before).then(|| written.to_vec())
}
