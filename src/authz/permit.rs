//! The permit: the proof that a rule lets a principal pass.

use std::{fmt, sync::Arc};

use futures::future::try_join_all;

use super::{
    review::{self, Review},
    rule::Rule,
};
use crate::{
    decision::Refusal,
    kubernetes::{AccessAttributes, AccessQuestion, AccessReviewer},
    principal::Principal,
    reason::Reason,
    request::Request,
};

/// The proof that a rule lets a principal pass. Only [`Rule::permit`] and [`Unreviewed::review`] make one, and only with
/// one does a principal's name go on to a service.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Permit<'a> {
    principal: &'a Principal,
}

impl<'a> Permit<'a> {
    /// Who may pass.
    #[must_use]
    pub const fn principal(self) -> &'a Principal {
        self.principal
    }
}

/// Why a principal may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpermitted {
    /// The refusal.
    pub refusal: Refusal,
    /// What Kubernetes does not permit, or could not be asked about.
    pub missing: Option<Box<Missing>>,
}

impl From<Reason> for Unpermitted {
    fn from(reason: Reason) -> Self {
        Self { refusal: reason.into(), missing: None }
    }
}

/// What Kubernetes would have to permit, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    attributes: AccessAttributes,
    role: Option<String>,
}

impl Missing {
    /// What a question of a rule asks for.
    #[must_use]
    pub fn of(review: &Review, question: &AccessQuestion) -> Self {
        Self { attributes: question.attributes.clone(), role: review.role.clone() }
    }

    /// What would be done: `create pods/exec notebook-0 -n team-a`.
    #[must_use]
    pub const fn attributes(&self) -> &AccessAttributes {
        &self.attributes
    }
}

/// One sentence: what to ask for, and where.
impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.attributes.namespace.as_str() {
            "" => "in the whole cluster".to_owned(),
            namespace => format!("in the namespace {namespace}"),
        };
        match &self.role {
            Some(role) => write!(formatter, "It needs `{}`: ask for the role {role} {place}.", self.attributes),
            None => write!(formatter, "It needs `{}`: ask for a role that permits this {place}.", self.attributes),
        }
    }
}

/// Whether a principal may pass, as far as the rule itself can tell.
#[derive(Debug)]
#[must_use]
pub enum Permission<'a> {
    /// It may.
    Granted(Permit<'a>),
    /// It may where Kubernetes says so.
    Asks(Unreviewed<'a>),
}

/// A principal that the rule's lists permit, and about whom it asks Kubernetes.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Unreviewed<'a> {
    rule: &'a Rule,
    principal: &'a Principal,
}

impl<'a> Unreviewed<'a> {
    /// Asks Kubernetes whether the principal may do what the request would: all at once, and each must be allowed.
    ///
    /// # Errors
    /// Where the request does not name what is asked about, where an answer is no, and where there is none.
    pub async fn review(self, request: &Request, reviewer: &AccessReviewer) -> Result<Permit<'a>, Unpermitted> {
        let questions = self.questions(request, reviewer)?;
        let each = questions.iter().map(async |(review, question)| {
            let missing = |refusal| Unpermitted { refusal, missing: Some(Missing::of(review, question).into()) };
            reviewer.review(question).await.map_err(missing)
        });
        let allowed = try_join_all(each).await?;
        // Nothing was asked where the rule's questions are none of this request's business.
        drop(allowed);
        Ok(Permit { principal: self.principal })
    }

    /// What is asked, with where that is written.
    ///
    /// # Errors
    /// Where the request does not name what is asked about.
    pub fn questions(
        &self,
        request: &Request,
        reviewer: &AccessReviewer,
    ) -> Result<Vec<(&'a Review, AccessQuestion)>, Reason> {
        let subject = Arc::new(review::subject(self.principal, reviewer.asks_for_groups_of_people()));
        self.rule.config().reviews.questions(request, &subject)
    }
}

impl Rule {
    /// Whether the principal is one that the rule's lists permit: without lists everyone is, else who is on one of them.
    ///
    /// # Errors
    /// [`Reason::NotPermitted`] where the principal is on none.
    pub fn permit<'a>(&'a self, principal: &'a Principal) -> Result<Permission<'a>, Reason> {
        let config = self.config();
        let by_group = || config.groups.iter().any(|group| principal.groups().contains(group.as_str()));
        let by_email = || principal.email().is_some_and(|email| config.emails.contains(email));
        let by_account = || match principal {
            Principal::ServiceAccount(account) => {
                config.service_accounts.iter().any(|pattern| pattern.matches(account))
            }
            Principal::User(_) => false,
        };
        if !(config.permits_everyone() || by_group() || by_email() || by_account()) {
            Err(Reason::NotPermitted)
        } else if config.reviews.is_empty() {
            Ok(Permission::Granted(Permit { principal }))
        } else {
            Ok(Permission::Asks(Unreviewed { rule: self, principal }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        authz::{Config, RuleConfig, RuleSet, ServiceAccountPattern, ServiceAccountPatternError},
        principal::{Email, Group, Groups, ProviderName, ServiceAccount, User, Userid},
    };

    fn user(email: &str, groups: &[&str]) -> Principal {
        Principal::User(Arc::new(User {
            provider: ProviderName::parse("dex").unwrap(),
            issuer: "https://idp".into(),
            subject: "1".into(),
            userid: Userid::parse(email).unwrap(),
            email: Email::parse(email).ok(),
            groups: Groups::from_provider(groups.iter().copied()),
        }))
    }

    fn account(namespace: &str, name: &str) -> Principal {
        Principal::ServiceAccount(Arc::new(ServiceAccount {
            namespace: namespace.into(),
            name: name.into(),
            uid: "u".into(),
            pod: None,
            credential_id: None,
            groups: Groups::from_kubernetes(["system:serviceaccounts"]),
            extra: std::collections::BTreeMap::new(),
        }))
    }

    fn permits(config: RuleConfig, principal: &Principal) -> bool {
        let rules = RuleSet::new(Config { hosts: vec![], rules: vec![config], ..Config::default() });
        rules.rules[0].permit(principal).is_ok()
    }

    #[test]
    fn lists_permit_who_is_on_one_of_them() {
        let strict = || RuleConfig {
            groups: vec![Group::parse_kubernetes("admins").unwrap()],
            emails: vec![Email::parse("boss@example.com").unwrap()],
            service_accounts: vec![ServiceAccountPattern::parse("ci/*").unwrap()],
            ..RuleConfig::named("strict")
        };
        assert!(permits(RuleConfig::named("open"), &user("a@example.com", &[])));
        assert!(permits(strict(), &user("a@example.com", &["dev", "admins"])));
        assert!(permits(strict(), &user("Boss@Example.com", &[])));
        assert!(permits(strict(), &account("ci", "runner")));
        assert!(!permits(strict(), &user("a@example.com", &["dev", "Admins"])));
        assert!(!permits(strict(), &account("prod", "runner")));
        let dotted = || RuleConfig {
            service_accounts: vec![ServiceAccountPattern::parse("ci/cert-manager.io").unwrap()],
            ..RuleConfig::named("dotted")
        };
        assert!(permits(dotted(), &account("ci", "cert-manager.io")));
        assert!(!permits(dotted(), &account("ci", "cert-manager-io")), "a dot is a dot");
    }

    #[test]
    fn service_account_patterns_are_strict() {
        assert!(ServiceAccountPattern::parse("ns/a.b-c").is_ok());
        for bad in ["", "ns", "/a", "ns/", "*/a", "ns/a*", "ns/a/b", "Ns/a"] {
            assert_eq!(ServiceAccountPattern::parse(bad), Err(ServiceAccountPatternError), "{bad}");
        }
    }
}
