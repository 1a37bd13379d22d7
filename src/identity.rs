//! The trusted headers: what is set about a principal, and everything that is taken away.
//!
//! A protected header is always either set or removed, on every request that goes on, with every spelling of it that was
//! received.

mod assertion;
mod protected;

pub use assertion::{AssertionConfig, Proof};
pub use protected::{HeaderConfig, HeaderConfigError, identity_header_name};

use std::collections::HashSet;

use assertion::Assertions;
use protected::Protected;

use crate::{
    clock::SharedClock,
    decision::{FurtherHeaders, HeaderName, HeaderText, Mutations},
    jose::SharedAssertionKeyRing,
    principal::{Group, Groups, Principal},
    request::{Authorization, CookieNames, Request, Stripped},
    told::Statement,
};

/// The most bytes that the groups header may take. Envoy answers 500 where a request's headers grow past 60 KiB.
const MAX_GROUPS_BYTES: usize = 8 * 1024;

/// What a service is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The headers' names.
    pub headers: HeaderConfig,
    /// The names of every cookie of ours, on any origin, with those that were migrated from.
    pub cookie_names: Vec<String>,
    /// Groups that rules or the configuration name: these alone go on where all would be too many.
    pub named_groups: Vec<String>,
    /// Whether headers that override the method behind us are removed from every request. From one that passes because of
    /// its method they always are ([`Identity::hold_to_method`]).
    pub remove_method_overrides: bool,
    /// The assertion.
    pub assertion: AssertionConfig,
}

/// What one service is told beside the usual, and for whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct Service<'a> {
    /// The assertion's audience, where it is not the configured one.
    pub audience: Option<&'a str>,
    /// Further names of the headers. Each is among those that the [`Config`] protects.
    pub further_headers: Option<&'a FurtherHeaders>,
}

/// What becomes of a bearer token in the `authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// It is ours to judge and is removed.
    Remove,
    /// It travels on: it is the application's own, or the rule keeps it.
    Keep,
}

/// Sets and strips headers.
#[derive(Debug)]
pub struct Identity {
    protected: Protected,
    cookie_names: CookieNames,
    named_groups: HashSet<String>,
    assertions: Assertions,
}

impl Identity {
    /// What tells services who calls.
    #[must_use]
    pub fn new(config: Config, keys: SharedAssertionKeyRing, clock: SharedClock) -> Self {
        Self {
            protected: Protected::new(config.headers, config.remove_method_overrides),
            cookie_names: CookieNames::new(config.cookie_names),
            named_groups: config.named_groups.into_iter().collect(),
            assertions: Assertions::new(config.assertion, keys, clock),
        }
    }

    /// The header that tells services who calls.
    #[must_use]
    pub fn userid_header(&self) -> &str {
        self.protected.headers().user.as_str()
    }

    /// Whether the `Connection` header names a protected header: a proxy behind us would remove ours.
    #[must_use]
    pub fn is_hidden(&self, request: &Request) -> bool {
        request.headers().connection_options().any(|option| self.protected.covers(option))
    }

    /// The changes for a request that goes on without a name.
    #[must_use]
    pub fn strip(&self, request: &Request, bearer: Bearer) -> Mutations {
        // With one more for a cookie, and one for a bearer.
        let mut mutations = Mutations::with_room_for(self.protected.always() + 2);
        self.protected.remove_from(request, &mut mutations);
        self.strip_credentials(request, bearer, &mut mutations);
        mutations
    }

    /// Further changes for a request that passes because of its method: nothing may make another one of it behind us.
    pub fn hold_to_method(request: &Request, mutations: &mut Mutations) {
        protected::remove_method_overrides(request, mutations);
    }

    /// The changes for a request that goes on in a principal's name.
    #[must_use]
    pub fn inject(
        &self,
        request: &Request,
        principal: &Principal,
        proof: Proof<'_>,
        service: Service<'_>,
        bearer: Bearer,
    ) -> Mutations {
        let mut mutations = self.strip(request, bearer);
        let headers = self.protected.headers();
        let groups = || self.groups_to_tell(principal.groups());
        let statement = self.assertions.statement(principal, proof, service.audience, groups);
        let Statement { userid, groups, assertion, .. } = &*statement;
        mutations.set(&headers.method, HeaderText::from_static(proof.method.header()));
        // What there is nothing to say of stays removed: an empty value means different things to different proxies.
        for (name, value) in [(&headers.user, userid), (&headers.groups, groups), (&headers.assertion, assertion)] {
            tell(&mut mutations, name, value.as_ref());
        }
        if let Some(further) = service.further_headers {
            set_further(&mut mutations, further, principal, &statement);
        }
        mutations
    }

    /// Our cookies and a consumed bearer never reach a service: whoever runs it could be its visitors otherwise.
    fn strip_credentials(&self, request: &Request, bearer: Bearer, mutations: &mut Mutations) {
        match request.cookies().without(&self.cookie_names) {
            Stripped::Unchanged => {}
            Stripped::Removed => mutations.remove_known(&http::header::COOKIE),
            Stripped::Replaced(rest) => match HeaderText::parse(rest) {
                Ok(rest) => mutations.set(&http::header::COOKIE, rest),
                Err(_) => mutations.remove_known(&http::header::COOKIE),
            },
        }
        if bearer == Bearer::Remove && request.authorization() != Authorization::Absent {
            mutations.remove_known(&http::header::AUTHORIZATION);
        }
    }

    /// All groups where they fit, else those that were named, else none: never a list that was cut short.
    fn groups_to_tell<'a>(&self, groups: &'a Groups) -> Option<Vec<&'a Group>> {
        let all: Vec<&Group> = groups.names().iter().collect();
        if fits(&all) {
            return Some(all);
        }
        let named: Vec<&Group> = all.into_iter().filter(|group| self.named_groups.contains(group.as_str())).collect();
        fits(&named).then_some(named)
    }
}

/// What the usual headers tell, under further names, and the address.
fn set_further(mutations: &mut Mutations, headers: &FurtherHeaders, principal: &Principal, told: &Statement) {
    for (name, value) in [(&headers.user, &told.userid), (&headers.groups, &told.groups)] {
        if let Some(name) = name {
            tell(mutations, name, value.as_ref());
        }
    }
    if let Some(name) = &headers.email {
        let address = principal.email().and_then(|email| HeaderText::parse(email.as_str()).ok());
        tell(mutations, name, address.as_ref());
    }
}

/// Sets a header where there is something to say.
fn tell(mutations: &mut Mutations, name: &HeaderName, value: Option<&HeaderText>) {
    if let Some(value) = value {
        mutations.set(name, value.clone());
    }
}

fn fits(groups: &[&Group]) -> bool {
    groups.iter().map(|group| group.as_str().len() + 1).sum::<usize>() <= MAX_GROUPS_BYTES
}

#[cfg(test)]
mod tests;
