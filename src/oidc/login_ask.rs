//! What a sign-in asks the provider for beside who somebody is.

use std::time::Duration;

use crate::authz::{Lacking, LoginRequirement};

/// The parameters of an authorization request that say how somebody is to be authenticated (OpenID Connect Core section
/// 3.1.2.1). The first two are those of a link to sign in, too: a challenge names them the same (RFC 9470 section 3).
pub const MAX_AGE: &str = "max_age";
/// See [`MAX_AGE`].
pub const ACR_VALUES: &str = "acr_values";
const PROMPT: &str = "prompt";

/// The longest age that a link may ask for, in seconds: there is no use in more.
const LONGEST_AGE: u64 = 30 * 24 * 3600;

/// What a sign-in asks for: how recent the login is to be, and of which kind. What the browser carries to the provider it can
/// change on its way, so what must hold is kept in the login's state too, and looked for in the ID token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginAsk {
    max_age: Option<Duration>,
    contexts: Vec<String>,
    /// Whether the person is to be authenticated whoever the provider remembers.
    again: bool,
    required: Option<LoginRequirement>,
}

impl LoginAsk {
    /// Nothing beside who somebody is.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// On the way to a rule that may ask something of the login: a first sign-in, or another one since the login lacks
    /// something.
    #[must_use]
    pub fn on_the_way_to(wanted: Option<&LoginRequirement>, lacking: Option<Lacking>) -> Self {
        match (wanted, lacking) {
            (Some(wanted), Some(lacking)) => Self::stepping_up(wanted, lacking),
            (wanted, _) => Self::foreseeing(wanted),
        }
    }

    /// A first sign-in, on the way to a rule that may ask something of the login: the provider hears of it, so that one way
    /// there may be enough. What comes of it the rule judges.
    #[must_use]
    fn foreseeing(wanted: Option<&LoginRequirement>) -> Self {
        wanted.map_or_else(Self::nothing, |wanted| Self {
            max_age: wanted.max_age(),
            contexts: wanted.contexts().to_vec(),
            ..Self::nothing()
        })
    }

    /// Another sign-in, since a login lacks something: nobody is signed in by it who does not bring all that is wanted.
    #[must_use]
    pub fn stepping_up(wanted: &LoginRequirement, lacking: Lacking) -> Self {
        Self { again: lacking.age.is_some() || lacking.method, ..Self::once_more(wanted) }
    }

    /// The same, where that came to nothing before.
    #[must_use]
    pub fn once_more(wanted: &LoginRequirement) -> Self {
        Self { again: true, required: Some(wanted.clone()), ..Self::foreseeing(Some(wanted)) }
    }

    /// What a link to sign in asks for. What cannot be asked for is not.
    #[must_use]
    pub fn of_link(max_age: Option<&str>, acr_values: Option<&str>) -> Self {
        let seconds = max_age.and_then(|text| text.parse().ok()).filter(|seconds| *seconds <= LONGEST_AGE);
        let contexts = acr_values.map(|values| values.split(' ').map(str::to_owned).collect()).unwrap_or_default();
        let wanted = LoginRequirement::new(seconds.map(Duration::from_secs), contexts, Vec::new());
        // Whoever follows it has a reason: a login that is there was not enough.
        Self { again: seconds.is_some(), ..Self::foreseeing(wanted.ok().as_ref()) }
    }

    /// The parameters of a link to sign in that asks for the same, where it is for a login that lacks something.
    #[must_use]
    pub fn link_parameters(&self) -> Vec<(&'static str, String)> {
        if self.required.is_none() {
            return Vec::new();
        }
        // Zero is "now" (OpenID Connect Core section 3.1.2.1).
        let max_age = self.max_age.or_else(|| self.again.then_some(Duration::ZERO));
        let max_age = max_age.map(|age| (MAX_AGE, age.as_secs().to_string()));
        let contexts = (!self.contexts.is_empty()).then(|| (ACR_VALUES, self.contexts.join(" ")));
        max_age.into_iter().chain(contexts).collect()
    }

    /// What the ID token must say.
    pub(super) const fn required(&self) -> Option<&LoginRequirement> {
        self.required.as_ref()
    }

    /// The parameters of the authorization request, with those that are configured: ours stand in the place of configured
    /// ones, but that a `prompt` is asked for beside the configured one.
    pub(super) fn parameters(&self, configured: &[(String, String)]) -> Vec<(String, String)> {
        let mut parameters = Vec::new();
        let mut say = |name: &str, value: String| parameters.push((name.to_owned(), value));
        if let Some(max_age) = self.max_age {
            say(MAX_AGE, max_age.as_secs().to_string());
        }
        if !self.contexts.is_empty() {
            say(ACR_VALUES, self.contexts.join(" "));
        }
        if self.again {
            let words = configured.iter().filter(|(name, _)| name == PROMPT);
            let words = words.flat_map(|(_, words)| words.split(' '));
            let others = words.filter(|word| !matches!(*word, "" | "none" | "login"));
            say(PROMPT, ["login"].into_iter().chain(others).collect::<Vec<_>>().join(" "));
        }
        let further = configured.iter();
        let further: Vec<_> =
            further.filter(|(name, _)| parameters.iter().all(|(ours, _)| ours != name)).cloned().collect();
        parameters.extend(further);
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::TooOld;

    fn wanted(max_age: Option<u64>, acr: &[&str], amr: &[&str]) -> LoginRequirement {
        let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        LoginRequirement::new(max_age.map(Duration::from_secs), texts(acr), texts(amr)).unwrap()
    }

    const LACKING: Lacking = Lacking { age: None, context: false, method: false };

    fn parameters(ask: &LoginAsk, configured: &[(&str, &str)]) -> String {
        let pairs = configured.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let configured: Vec<_> = pairs.collect();
        let pairs: Vec<_> = ask.parameters(&configured).iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }

    #[test]
    fn each_lack_asks_for_what_may_help() {
        let all = wanted(Some(900), &["gold", "silver"], &["otp"]);
        let ask = |lacking| parameters(&LoginAsk::stepping_up(&all, lacking), &[]);
        let usual = "max_age=900&acr_values=gold silver";
        assert_eq!(ask(Lacking { context: true, ..LACKING }), usual);
        assert_eq!(ask(Lacking { method: true, ..LACKING }), format!("{usual}&prompt=login"));
        assert_eq!(ask(Lacking { age: Some(TooOld::NotTold), ..LACKING }), format!("{usual}&prompt=login"));
        let methods = wanted(None, &[], &["otp"]);
        let lacking = Lacking { method: true, ..LACKING };
        assert_eq!(parameters(&LoginAsk::stepping_up(&methods, lacking), &[]), "prompt=login");
    }

    #[test]
    fn a_first_sign_in_asks_and_requires_nothing() {
        let all = wanted(Some(900), &["gold"], &["otp"]);
        let ask = LoginAsk::foreseeing(Some(&all));
        assert_eq!(parameters(&ask, &[]), "max_age=900&acr_values=gold");
        assert_eq!(ask.link_parameters(), []);
        assert_eq!(ask.required(), None);
        assert_eq!(LoginAsk::once_more(&all).required(), Some(&all));
    }

    #[test]
    fn configured_parameters_give_way_but_for_a_prompt() {
        let ask = LoginAsk::once_more(&wanted(Some(900), &[], &[]));
        let configured = [("max_age", "5"), ("acr_values", "1"), ("prompt", "consent login none"), ("hd", "x")];
        assert_eq!(parameters(&ask, &configured), "max_age=900&prompt=login consent&acr_values=1&hd=x");
        assert_eq!(parameters(&LoginAsk::nothing(), &[("prompt", "consent")]), "prompt=consent");
    }

    #[test]
    fn a_link_asks_for_what_a_challenge_says_and_for_nothing_else() {
        let of = |max_age, acr| parameters(&LoginAsk::of_link(max_age, acr), &[]);
        assert_eq!(of(Some("900"), Some("gold silver")), "max_age=900&acr_values=gold silver&prompt=login");
        assert_eq!(of(Some("0"), None), "max_age=0&prompt=login");
        assert_eq!(of(None, Some("gold")), "acr_values=gold");
        for bad in ["", "-1", "1 2", "1.5", "99999999999999999999", "2592001", "x"] {
            assert_eq!(of(Some(bad), None), "", "{bad}");
        }
        for bad in ["", " ", "a  b", "a\"b", "a\nb", &"a ".repeat(20)] {
            assert_eq!(of(None, Some(bad)), "", "{bad:?}");
        }
        let all = wanted(Some(60), &["gold"], &[]);
        let link = LoginAsk::once_more(&all).link_parameters();
        assert_eq!(link, [("max_age", "60".to_owned()), ("acr_values", "gold".to_owned())]);
        assert_eq!(LoginAsk::once_more(&wanted(None, &[], &["otp"])).link_parameters(), [("max_age", "0".to_owned())]);
        assert_eq!(LoginAsk::of_link(Some("60"), Some("gold")).required(), None, "the rule judges");
    }
}
