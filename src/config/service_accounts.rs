//! ServiceAccount tokens: what `kubernetes` says of its own configuration is told at the fields.

use std::{collections::BTreeSet, time::Duration};

use super::issuers::Issuers;
use crate::{
    config_file::{FieldError, FieldPath, forms},
    config_values::{Context, context::MINUTE},
    kubernetes::{self, ConfigError},
};

pub(super) fn resolve(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::ServiceAccounts,
    known: &Issuers,
) -> Option<kubernetes::Config> {
    let before = context.errors();
    let kubeconfig_at = at.key("kubeconfig");
    let kubeconfig = written.kubeconfig.as_ref().filter(|path| context.file(&kubeconfig_at, path).is_some());
    let cache_ttl = context.duration(&at.key("cache_ttl"), &written.cache_ttl, Duration::ZERO..=5 * MINUTE);
    let negative_cache_ttl =
        context.duration(&at.key("negative_cache_ttl"), &written.negative_cache_ttl, kubernetes::NEGATIVE_CACHE_TTL);
    let timeout = context.duration(&at.key("timeout"), &written.timeout, Duration::from_millis(100)..=MINUTE);
    // What is wrong was told above; the rest is judged all the same.
    let config = kubernetes::Config {
        kubeconfig: kubeconfig.cloned(),
        audiences: written.audiences.clone(),
        further_audiences: Vec::new(),
        issuers: written.issuers.clone(),
        cache_ttl: cache_ttl.unwrap_or_default(),
        negative_cache_ttl: negative_cache_ttl.unwrap_or_default(),
        max_concurrent_reviews: usize::from(written.max_concurrent_reviews),
        timeout: timeout.unwrap_or(MINUTE),
        revoke_with_role_bindings: written.revoke_with_role_bindings.clone(),
        verify_signatures: written.verify_signatures,
    };
    for problem in config.problems() {
        report(context, at, written, &problem);
    }
    refuse_shared_audiences(context, at, written, known);
    refuse_shared_issuers(context, &at.key("issuers"), &written.issuers, known);
    (context.errors() == before).then_some(config)
}

/// Tells a problem at its field, or at the item of it that is wrong.
fn report(context: &mut Context<'_>, at: &FieldPath, written: &forms::ServiceAccounts, problem: &ConfigError) {
    let at = at.key(problem.field());
    let error = match problem {
        ConfigError::ApiServerAudience(audience) => {
            let index = written.audiences.iter().position(|written| written == audience).unwrap_or_default();
            FieldError::new(&at.index(index), problem.problem()).found(audience)
        }
        ConfigError::NoReviews => FieldError::new(&at, problem.problem()).found("0"),
        _ => FieldError::new(&at, problem.problem()),
    };
    context.report(error.write(problem.advice()));
}

/// An ID token's audience is no provider's issuer, and a token is not meant twice.
fn refuse_shared_audiences(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::ServiceAccounts,
    known: &Issuers,
) {
    let mut seen = BTreeSet::new();
    for (index, audience) in written.audiences.iter().enumerate() {
        let is_providers = known.providers.iter().any(|issuer| kubernetes::is_same_audience(issuer, audience));
        let problem = ConfigError::ApiServerAudience(audience.clone());
        let told = if audience.trim() != audience {
            "it has spaces around it"
        } else if is_providers {
            problem.problem()
        } else if !seen.insert(audience) {
            "it is named twice"
        } else {
            continue;
        };
        let at = at.key("audiences").index(index);
        context.report(FieldError::new(&at, told).found(audience).write(problem.advice()));
    }
}

fn refuse_shared_issuers(context: &mut Context<'_>, at: &FieldPath, written: &[String], known: &Issuers) {
    let mut seen = BTreeSet::new();
    for (index, issuer) in written.iter().enumerate() {
        let problem = if !issuer.bytes().all(|byte| byte.is_ascii_graphic()) {
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
}
