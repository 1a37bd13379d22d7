//! What of a provider's answers is passed over, because it decides nothing: each is counted, and told once.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, PoisonError},
};

use super::metrics::Metrics;
use crate::principal::ProviderName;

/// What the metric says of a member of another type.
const OTHER_TYPE: &str = "other_type";

/// One kind of oddity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Oddity {
    /// Userinfo refused while only the groups were missing.
    UserinfoRefused,
    /// The provider says that there are groups, and not which.
    GroupsElsewhere,
    /// A group holds a comma, so that the header, which is a list, leaves it out.
    GroupWithComma,
    /// No answer has the claim of the groups.
    NoGroupsClaim,
    /// The claim of the groups holds no text.
    UnreadableGroups,
    /// Introspection calls an access token inactive that was issued a moment ago.
    InactiveAtOnce,
    /// An ID token has no `auth_time`, where a rule asks how old the login is.
    NoAuthTime,
}

impl Oddity {
    /// Every kind there is.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 7] = [
        Self::UserinfoRefused,
        Self::GroupsElsewhere,
        Self::GroupWithComma,
        Self::NoGroupsClaim,
        Self::UnreadableGroups,
        Self::InactiveAtOnce,
        Self::NoAuthTime,
    ];

    /// Its name, as the metric says it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::UserinfoRefused => "userinfo_refused",
            Self::GroupsElsewhere => "groups_elsewhere",
            Self::GroupWithComma => "group_with_comma",
            Self::NoGroupsClaim => "no_groups_claim",
            Self::UnreadableGroups => "unreadable_groups",
            Self::InactiveAtOnce => "inactive_at_once",
            Self::NoAuthTime => "no_auth_time",
        }
    }

    /// What it means, and which setting is about it.
    const fn message(self) -> &'static str {
        match self {
            Self::UserinfoRefused => {
                "userinfo refused to tell the groups: people are signed in without them; `userinfo: never` spares the call"
            }
            Self::GroupsElsewhere => {
                "the provider says that a person is in more groups than it tells (`_claim_names`): rules that want one \
                 refuse, and the assertion says `groups_omitted`; let it tell the groups that are assigned to the client, \
                 or roles"
            }
            Self::GroupWithComma => {
                "a group holds a comma: rules and the assertion take its whole name, and the groups header leaves it out"
            }
            Self::NoGroupsClaim => {
                "no answer has the claim that `groups_claim` names: people are signed in without groups; it may be \
                 nested (`realm_access.roles`), or want a scope"
            }
            Self::UnreadableGroups => {
                "the claim that `groups_claim` names holds no text: people are signed in without groups; write the path to the \
                 list (`realm_access.roles`), or `groups_of_objects: true` where the names of an object's members are groups"
            }
            Self::InactiveAtOnce => {
                "introspection calls a token inactive right after it was issued, so that each session ends or is refreshed \
                 at each question: is this client in the token's audience? `strict.ask: userinfo` needs no audience"
            }
            Self::NoAuthTime => {
                "the provider was asked for `max_age` and its ID token has no `auth_time`: nobody passes a rule with \
                 `login.max_age`; let it tell one (Keycloak: the client scope `basic`), or leave `max_age` out"
            }
        }
    }
}

/// The oddities of one provider.
pub(crate) struct Oddities {
    provider: ProviderName,
    metrics: Metrics,
    told: Mutex<BTreeSet<(&'static str, &'static str)>>,
}

impl fmt::Debug for Oddities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Oddities").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Oddities {
    pub(super) fn new(provider: &ProviderName, metrics: &Metrics) -> Self {
        Self { provider: provider.clone(), metrics: metrics.clone(), told: Mutex::default() }
    }

    /// Counts one; the first of its kind is told.
    pub(crate) fn note(&self, oddity: Oddity) {
        self.metrics.passed_over(&self.provider, oddity.name());
        if self.is_first((oddity.name(), "")) {
            tracing::warn!(provider = self.provider.as_str(), oddity = oddity.name(), "{}", oddity.message());
        }
    }

    /// Counts a member that is of another type than it should be, in an answer; the first of its kind is told.
    pub(super) fn note_type(&self, answer: &'static str, member: &'static str) {
        self.metrics.passed_over(&self.provider, OTHER_TYPE);
        if self.is_first((answer, member)) {
            tracing::warn!(
                provider = self.provider.as_str(),
                oddity = OTHER_TYPE,
                answer,
                member,
                "a member of an answer is of another type than it should be, and counts as not told"
            );
        }
    }

    fn is_first(&self, told: (&'static str, &'static str)) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_oddity_has_its_line_in_the_documents() {
        let documents = include_str!("../../docs/operations.md");
        for name in Oddity::ALL.map(Oddity::name).into_iter().chain([OTHER_TYPE]) {
            assert!(documents.contains(&format!("`{name}`")), "{name}");
        }
    }
}
