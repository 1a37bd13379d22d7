//! The login behind whoever passes, judged by what the rule asks of it.

use super::{
    login::{Lacking, LoginRequirement},
    rule::Rule,
};
use crate::{clock::Timestamp, session::Login};

/// The proof that a login has what a rule asks for, where it asks for anything. Only [`Rule::judge_login`] makes one, and
/// without one there is no [`Permit`](super::Permit).
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LoginMet<'r> {
    rule: &'r Rule,
}

impl LoginMet<'_> {
    /// Whether it was this rule that asked.
    pub(super) fn is_of(self, rule: &Rule) -> bool {
        std::ptr::eq(self.rule, rule)
    }
}

/// A login that is not enough for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginInsufficient<'r> {
    /// What the rule asks for.
    pub wanted: &'r LoginRequirement,
    /// What the login lacks; `None` where nobody signed in at all: a token is no login.
    pub lacking: Option<Lacking>,
}

impl Rule {
    /// What the rule asks of the login behind whoever passes, where it asks for anything.
    #[must_use]
    pub const fn login(&self) -> Option<&LoginRequirement> {
        self.config().login.as_ref()
    }

    /// Whether a credential's login is what the rule asks for. `login` is none where nobody signed in for it. The clock is
    /// read where the rule asks.
    ///
    /// # Errors
    /// Where it is not.
    pub fn judge_login(
        &self,
        login: Option<&Login>,
        now: impl FnOnce() -> Timestamp,
    ) -> Result<LoginMet<'_>, LoginInsufficient<'_>> {
        let Some(wanted) = self.login() else { return Ok(LoginMet { rule: self }) };
        let Some(login) = login else { return Err(LoginInsufficient { wanted, lacking: None }) };
        match wanted.lacking(login, now()) {
            None => Ok(LoginMet { rule: self }),
            lacking @ Some(_) => Err(LoginInsufficient { wanted, lacking }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::authz::RuleConfig;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn recent() -> LoginRequirement {
        LoginRequirement::new(Some(Duration::from_mins(5)), Vec::new(), Vec::new()).unwrap()
    }

    #[test]
    fn a_rule_that_asks_for_nothing_reads_no_clock() {
        let rule = Rule::new(RuleConfig::named("open"));
        assert!(rule.judge_login(None, || panic!("the clock was read")).is_ok());
    }

    #[test]
    fn a_proof_is_for_the_rule_that_asked() {
        let open = Rule::new(RuleConfig::named("open"));
        let strict = Rule::new(RuleConfig { login: Some(recent()), ..RuleConfig::named("strict") });
        let met = open.judge_login(None, || NOW).unwrap();
        assert!(met.is_of(&open) && !met.is_of(&strict));
        assert_eq!(strict.judge_login(None, || NOW).unwrap_err().lacking, None, "a token is no login");
        assert!(strict.judge_login(Some(&Login::new(Some(NOW), None, [])), || NOW).is_ok());
    }
}
