//! The revocations in force, as checks ask for them: by name, without a copy.

use std::collections::{HashMap, HashSet};

use super::{
    entry::Revocation,
    limits::ISSUE_MARGIN,
    target::{PodUid, Target, TokenId},
};
use crate::{clock::Timestamp, principal::ServiceAccount};

/// What refuses the tokens of an account or of a namespace.
#[derive(Clone, Copy, Debug, Default)]
struct Measure {
    not_before: Option<Timestamp>,
    denied: bool,
}

#[derive(Debug, Default)]
struct OfNamespace {
    all: Measure,
    accounts: HashMap<String, Measure>,
}

/// The revocations in force.
#[derive(Debug, Default)]
pub(super) struct InForce {
    namespaces: HashMap<String, OfNamespace>,
    pods: HashSet<String>,
    tokens: HashSet<String>,
}

impl InForce {
    pub(super) fn of<'a>(revocations: impl Iterator<Item = &'a Revocation>) -> Self {
        let mut list = Self::default();
        for revocation in revocations.filter(|revocation| revocation.is_in_force()) {
            let measure = Measure { not_before: revocation.not_before, denied: revocation.denied };
            match &revocation.target {
                Target::Namespace(namespace) => list.namespace(namespace.as_str()).all = measure,
                Target::ServiceAccount(account) => {
                    let of_namespace = list.namespace(account.namespace().as_str());
                    of_namespace.accounts.insert(account.name().to_owned(), measure);
                }
                Target::Pod(uid) => drop(list.pods.insert(PodUid::as_str(uid).to_owned())),
                Target::Token(id) => drop(list.tokens.insert(TokenId::as_str(id).to_owned())),
            }
        }
        list
    }

    fn namespace(&mut self, name: &str) -> &mut OfNamespace {
        self.namespaces.entry(name.to_owned()).or_default()
    }

    /// Whether a token of this account, issued then, is revoked. One that does not say when it was issued may be as old
    /// as any.
    pub(super) fn refuses(&self, account: &ServiceAccount, issued_at: Option<Timestamp>) -> bool {
        let by_name = self.namespaces.get(&account.namespace).is_some_and(|namespace| {
            let of_account = namespace.accounts.get(&account.name);
            namespace.all.refuses(issued_at) || of_account.is_some_and(|measure| measure.refuses(issued_at))
        });
        by_name
            || account.pod.as_ref().is_some_and(|pod| self.pods.contains(&pod.uid))
            || account.credential_id.as_ref().is_some_and(|id| self.tokens.contains(id))
    }
}

impl Measure {
    fn refuses(self, issued_at: Option<Timestamp>) -> bool {
        let too_old = |not_before: Timestamp| issued_at.is_none_or(|at| at <= not_before.plus(ISSUE_MARGIN));
        self.denied || self.not_before.is_some_and(too_old)
    }
}
