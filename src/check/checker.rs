//! What decides checks, and what it is made of.

use super::{metrics::Metrics, shadow::Reminders};
use crate::{
    authn::Authenticators, authz::RuleSet, clock::SharedClock, endpoints::Endpoints, identity::Identity,
    kubernetes::AccessReviewer, logging::Log, origin::Origins,
};

/// Decides checks. A reload makes a new one; checks that run keep the one that they began with.
#[derive(Debug)]
pub struct Checker(pub(super) Parts, pub(super) Reminders);

/// What a checker is made of.
#[derive(Debug)]
pub struct Parts {
    /// The public origins.
    pub origins: Origins,
    /// The rules.
    pub rules: RuleSet,
    /// Who judges credentials, in order.
    pub authenticators: Authenticators,
    /// Who is asked what somebody may do, where any rule wants to know.
    pub access_reviewer: Option<AccessReviewer>,
    /// Whether gateways may ask in shadow.
    pub gateways_in_shadow: bool,
    /// What services are told.
    pub identity: Identity,
    /// Our own endpoints.
    pub endpoints: Endpoints,
    /// The time.
    pub clock: SharedClock,
    /// The counters.
    pub metrics: Metrics,
    /// Where the records of checks are written.
    pub log: Log,
}

impl Checker {
    /// A checker of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(parts, Reminders::new())
    }
}
