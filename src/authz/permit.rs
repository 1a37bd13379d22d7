//! The permit: the proof that a rule lets a principal pass.

use super::{login_met::LoginMet, rule::Rule};
use crate::{principal::Principal, reason::Reason};

/// The proof that a rule lets a principal pass. Only [`Rule::permit`] makes one, for a login that is what the rule asks for,
/// and only with one does a principal's name go on to a service.
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

impl Rule {
    /// Whether the principal is one that the rule's lists permit: without lists everyone is, else who is on one of them.
    /// `login` is the proof that the principal's login is what the rule asks for.
    ///
    /// # Errors
    /// [`Reason::NotPermitted`] where the principal is on none; [`Reason::InsufficientUserAuthentication`] where another
    /// rule judged the login.
    pub fn permit<'a>(&self, principal: &'a Principal, login: LoginMet<'_>) -> Result<Permit<'a>, Reason> {
        if !login.is_of(self) {
            return Err(Reason::InsufficientUserAuthentication);
        }
        let config = self.config();
        let by_group = || config.groups.iter().any(|group| principal.groups().contains(group.as_str()));
        let by_email = || principal.email().is_some_and(|email| config.emails.contains(email));
        let by_account = || match principal {
            Principal::ServiceAccount(account) => {
                config.service_accounts.iter().any(|pattern| pattern.matches(account))
            }
            Principal::User(_) => false,
        };
        if config.permits_everyone() || by_group() || by_email() || by_account() {
            Ok(Permit { principal })
        } else {
            Err(Reason::NotPermitted)
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
        }))
    }

    fn permits(config: RuleConfig, principal: &Principal) -> bool {
        let rules = RuleSet::new(Config { hosts: vec![], rules: vec![config], ..Config::default() });
        let rule = &rules.rules[0];
        let login = rule.judge_login(None, || unreachable!("no login is asked for")).unwrap();
        rule.permit(principal, login).is_ok()
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
    fn what_one_rule_judged_is_no_permit_of_another() {
        let rules = ["one", "other"].map(|name| Rule::new(RuleConfig::named(name)));
        let alice = user("alice@example.com", &[]);
        let login = || rules[0].judge_login(None, || unreachable!("no login is asked for")).unwrap();
        assert!(rules[0].permit(&alice, login()).is_ok());
        assert_eq!(rules[1].permit(&alice, login()).map(drop), Err(Reason::InsufficientUserAuthentication));
    }

    #[test]
    fn service_account_patterns_are_strict() {
        assert!(ServiceAccountPattern::parse("ns/a.b-c").is_ok());
        for bad in ["", "ns", "/a", "ns/", "*/a", "ns/a*", "ns/a/b", "Ns/a"] {
            assert_eq!(ServiceAccountPattern::parse(bad), Err(ServiceAccountPatternError), "{bad}");
        }
    }
}
