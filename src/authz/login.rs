//! How recent, and of which kind, the login must be behind whoever passes a rule.

use std::{fmt, time::Duration};

use thiserror::Error;

use crate::{
    clock::Timestamp,
    decision::{HeaderText, HeaderTextError},
    jose::Expectation,
    memory,
    session::Login,
};

/// How far the provider's clock may be from ours, as for every date of its tokens.
const CLOCKS_APART: Duration = Expectation::DEFAULT_LEEWAY;
/// The most that a requirement can hold, so that it has room in a login's state: values in a list, bytes of one.
const MAX_VALUES: usize = 8;
const MAX_VALUE_BYTES: usize = 96;

/// What a rule asks of the login behind whoever passes it. Each part that is there must hold; there is one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRequirement {
    max_age: Option<Duration>,
    contexts: Vec<String>,
    methods: Vec<String>,
    challenge: HeaderText,
}

/// Why there is no such requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LoginRequirementError {
    /// It would ask for nothing.
    #[error("it asks for nothing")]
    Nothing,
    /// Too many values in a list.
    #[error("a list holds {MAX_VALUES} values at most")]
    TooMany,
    /// A value that cannot be asked for.
    #[error("a value has 1 to {MAX_VALUE_BYTES} visible ASCII characters, without spaces, `\"` and `\\`")]
    Value,
}

impl LoginRequirement {
    /// A login of at most that age, in whole seconds (`auth_time`, OpenID Connect Core section 2), of one of these `contexts`
    /// (`acr`, there), by one of these `methods` (`amr`, RFC 8176); what is not there is not asked.
    ///
    /// # Errors
    /// Where nothing is asked, or a list holds what could not be sent.
    pub fn new(
        max_age: Option<Duration>,
        contexts: Vec<String>,
        methods: Vec<String>,
    ) -> Result<Self, LoginRequirementError> {
        if max_age.is_none() && contexts.is_empty() && methods.is_empty() {
            return Err(LoginRequirementError::Nothing);
        }
        if contexts.len() > MAX_VALUES || methods.len() > MAX_VALUES {
            return Err(LoginRequirementError::TooMany);
        }
        if !contexts.iter().chain(&methods).all(|value| is_value(value)) {
            return Err(LoginRequirementError::Value);
        }
        let max_age = max_age.map(|age| Duration::from_secs(age.as_secs()));
        let challenge = challenge(max_age, &contexts).map_err(|_| LoginRequirementError::Value)?;
        Ok(Self { max_age, contexts, methods, challenge })
    }

    /// How old the login may be.
    #[must_use]
    pub const fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// The authentication context classes, one of which is asked for.
    #[must_use]
    pub fn contexts(&self) -> &[String] {
        &self.contexts
    }

    /// The authentication methods, one of which is asked for.
    #[must_use]
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// The `WWW-Authenticate` challenge (RFC 9470 section 3). It has no word for methods.
    #[must_use]
    pub const fn challenge(&self) -> &HeaderText {
        &self.challenge
    }

    /// About how many bytes it takes in memory, beside its place.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let lists = [&self.contexts, &self.methods];
        let texts = lists.iter().flat_map(|list| list.iter()).map(|text| memory::block(text.capacity())).sum::<usize>();
        let lists = lists.iter().map(|list| memory::block(list.capacity() * size_of::<String>())).sum::<usize>();
        texts + lists + self.challenge.heap_bytes()
    }

    /// What a login lacks at `now`; `None` where it has all that is asked.
    #[must_use]
    pub fn lacking(&self, login: &Login, now: Timestamp) -> Option<Lacking> {
        let age = self.max_age.and_then(|most| too_old(login.authenticated_at(), most, now));
        let context = !self.contexts.is_empty()
            && !login.context().is_some_and(|told| self.contexts.iter().any(|wanted| wanted == told));
        let method =
            !self.methods.is_empty() && !login.methods().any(|told| self.methods.iter().any(|wanted| wanted == told));
        (age.is_some() || context || method).then_some(Lacking { age, context, method })
    }

    /// Whether each login that has what this asks for has what `other` asks for.
    pub(super) fn asks_no_less_than(&self, other: &Self) -> bool {
        let is_within =
            |own: &[String], other: &[String]| !own.is_empty() && own.iter().all(|value| other.contains(value));
        other.max_age.is_none_or(|most| self.max_age.is_some_and(|own| own <= most))
            && (other.contexts.is_empty() || is_within(&self.contexts, &other.contexts))
            && (other.methods.is_empty() || is_within(&self.methods, &other.methods))
    }
}

/// A value that can stand in `acr_values` and in a challenge.
fn is_value(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (1..=MAX_VALUE_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

fn challenge(max_age: Option<Duration>, contexts: &[String]) -> Result<HeaderText, HeaderTextError> {
    let description = if max_age.is_some() && contexts.is_empty() {
        "More recent authentication is required"
    } else {
        "A different authentication level is required"
    };
    let mut text = format!(
        "Bearer realm=\"portcullis\", error=\"insufficient_user_authentication\", error_description=\"{description}\""
    );
    if !contexts.is_empty() {
        text = format!("{text}, acr_values=\"{}\"", contexts.join(" "));
    }
    if let Some(max_age) = max_age {
        text = format!("{text}, max_age=\"{}\"", max_age.as_secs());
    }
    HeaderText::parse_shared(&text)
}

/// What is wrong with the age of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooOld {
    /// It is that old.
    By(Duration),
    /// It lies in the future: a clock went back since.
    Ahead,
    /// The provider did not tell `auth_time`.
    NotTold,
}

fn too_old(authenticated_at: Option<Timestamp>, most: Duration, now: Timestamp) -> Option<TooOld> {
    let Some(at) = authenticated_at else { return Some(TooOld::NotTold) };
    let age = now.since(at);
    if at > now.plus(CLOCKS_APART) {
        Some(TooOld::Ahead)
    } else if age > most.saturating_add(CLOCKS_APART) {
        Some(TooOld::By(age))
    } else {
        None
    }
}

/// What a login lacks of what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// It is too old, or nobody knows how old.
    pub age: Option<TooOld>,
    /// It has none of the authentication context classes.
    pub context: bool,
    /// None of the methods was used.
    pub method: bool,
}

impl Lacking {
    /// Whether only the authentication context class is another one.
    #[must_use]
    pub const fn is_of_context_alone(self) -> bool {
        self.context && self.age.is_none() && !self.method
    }

    /// The same in sentences for the operator.
    pub fn sentences(self, login: &Login, wanted: &LoginRequirement) -> impl Iterator<Item = String> {
        let most = humantime::format_duration(wanted.max_age.unwrap_or_default());
        let age = self.age.map(|age| match age {
            TooOld::By(age) => {
                let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
                format!("the login is {age} old, the rule asks for at most {most}")
            }
            TooOld::Ahead => "the login lies in the future of our clock".to_owned(),
            TooOld::NotTold => format!(
                "the provider told no `auth_time` at the sign-in, the rule asks for a login at most {most} old: a sign-in that \
                 asks for `max_age` may bring one"
            ),
        });
        let context = self.context.then(|| {
            let told = login.context().map_or_else(|| "no `acr`".to_owned(), |told| format!("the `acr` {told:?}"));
            format!("the login has {told}, the rule asks for one of {}", Quoted(&wanted.contexts))
        });
        let method = self.method.then(|| {
            let told: Vec<String> = login.methods().map(|method| format!("{method:?}")).collect();
            let told = if told.is_empty() { "no `amr`".to_owned() } else { format!("the `amr` {}", told.join(", ")) };
            format!("the login has {told}, the rule asks for one of {}", Quoted(&wanted.methods))
        });
        [age, context, method].into_iter().flatten()
    }
}

/// The values of a configured list.
struct Quoted<'a>(&'a [String]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.0.iter().enumerate() {
            write!(formatter, "{}`{value}`", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const MINUTES: fn(u64) -> Duration = Duration::from_mins;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn wanted(max_age: Option<u64>, acr: &[&str], amr: &[&str]) -> LoginRequirement {
        LoginRequirement::new(max_age.map(MINUTES), texts(acr), texts(amr)).unwrap()
    }

    fn sentences(wanted: &LoginRequirement, login: &Login) -> Vec<String> {
        let lacking = wanted.lacking(login, NOW).unwrap();
        lacking.sentences(login, wanted).collect()
    }

    #[test]
    fn a_login_is_as_old_as_auth_time_says() {
        let fifteen = wanted(Some(15), &[], &[]);
        let lacking = |at| fifteen.lacking(&Login::new(at, None, []), NOW).map(|lacking| lacking.age.unwrap());
        assert_eq!(lacking(Some(NOW)), None);
        assert_eq!(lacking(Some(NOW.minus(MINUTES(15)))), None);
        assert_eq!(lacking(Some(NOW.minus(MINUTES(16)))), None, "clocks may be a minute apart");
        let old = MINUTES(16) + Duration::from_millis(1);
        assert_eq!(lacking(Some(NOW.minus(old))), Some(TooOld::By(old)));
        assert_eq!(
            lacking(Some(Timestamp::from_unix_millis(0))),
            Some(TooOld::By(NOW.since(Timestamp::from_unix_millis(0))))
        );
        assert_eq!(lacking(None), Some(TooOld::NotTold));
        assert_eq!(lacking(Some(NOW.plus(MINUTES(1)))), None);
        let ahead = NOW.plus(MINUTES(1) + Duration::from_millis(1));
        assert_eq!(lacking(Some(ahead)), Some(TooOld::Ahead), "it would be fresh for ever");
    }

    #[test]
    fn one_of_each_list_is_enough_and_nothing_that_looks_like_it() {
        let both = wanted(None, &["urn:example:mfa", "gold"], &["otp", "hwk"]);
        let lacking = |acr, amr: &[&str]| {
            let login = Login::new(None, acr, amr.iter().copied());
            both.lacking(&login, NOW).map(|lacking| (lacking.context, lacking.method))
        };
        assert_eq!(lacking(Some("gold"), &["pwd", "hwk"]), None);
        assert_eq!(lacking(Some("urn:example:mfa"), &["otp"]), None);
        for acr in ["Gold", "gol", "goldd", "urn:example:mfa gold", "otp", " gold"] {
            assert_eq!(lacking(Some(acr), &["otp"]), Some((true, false)), "{acr}");
        }
        for amr in [&[][..], &["pwd"], &["OTP"], &["otp hwk"], &["gold"]] {
            assert_eq!(lacking(Some("gold"), amr), Some((false, true)), "{amr:?}");
        }
        assert_eq!(lacking(None, &[]), Some((true, true)));
    }

    #[test]
    fn what_is_asked_for_can_be_sent_and_is_something() {
        let new = |acr: &[&str]| LoginRequirement::new(None, texts(acr), Vec::new()).map(drop);
        assert_eq!(new(&[]), Err(LoginRequirementError::Nothing));
        assert_eq!(new(&["a"; 9]), Err(LoginRequirementError::TooMany));
        for bad in ["", "a b", "a\"b", "a\\", "a\r\nb", "ä", &"a".repeat(97)] {
            assert_eq!(new(&[bad]), Err(LoginRequirementError::Value), "{bad:?}");
            assert_eq!(
                LoginRequirement::new(None, Vec::new(), texts(&[bad])).map(drop),
                Err(LoginRequirementError::Value),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn the_challenge_is_that_of_rfc_9470() {
        assert_eq!(
            wanted(Some(15), &[], &[]).challenge().as_str(),
            "Bearer realm=\"portcullis\", error=\"insufficient_user_authentication\", \
             error_description=\"More recent authentication is required\", max_age=\"900\""
        );
        assert_eq!(
            wanted(Some(5), &["urn:a", "b"], &["otp"]).challenge().as_str(),
            "Bearer realm=\"portcullis\", error=\"insufficient_user_authentication\", \
             error_description=\"A different authentication level is required\", acr_values=\"urn:a b\", max_age=\"300\""
        );
    }

    #[test]
    fn a_requirement_asks_no_less_where_whoever_has_it_has_the_other() {
        let no_less = |own: &LoginRequirement, other: &LoginRequirement| own.asks_no_less_than(other);
        let (five, ten) = (wanted(Some(5), &[], &[]), wanted(Some(10), &[], &[]));
        assert!(no_less(&five, &ten) && no_less(&five, &five) && !no_less(&ten, &five));
        let (gold, metals) = (wanted(None, &["gold"], &[]), wanted(None, &["gold", "silver"], &[]));
        assert!(no_less(&gold, &metals) && !no_less(&metals, &gold));
        let (otp, both) = (wanted(None, &[], &["otp"]), wanted(Some(5), &["gold"], &["otp"]));
        assert!(no_less(&both, &otp) && no_less(&both, &metals) && no_less(&both, &ten));
        assert!(!no_less(&otp, &both) && !no_less(&otp, &gold) && !no_less(&gold, &five));
    }

    #[test]
    fn what_is_missing_is_told() {
        let all = wanted(Some(15), &["urn:example:mfa"], &["otp", "hwk"]);
        let old = Login::new(Some(NOW.minus(MINUTES(42))), Some("0"), ["pwd", "x\ny"]);
        assert_eq!(
            sentences(&all, &old),
            [
                "the login is 42m old, the rule asks for at most 15m",
                "the login has the `acr` \"0\", the rule asks for one of `urn:example:mfa`",
                "the login has the `amr` \"pwd\", \"x\\ny\", the rule asks for one of `otp`, `hwk`",
            ]
        );
        assert_eq!(
            sentences(&all, &Login::default()),
            [
                "the provider told no `auth_time` at the sign-in, the rule asks for a login at most 15m old: a sign-in that \
                 asks for `max_age` may bring one",
                "the login has no `acr`, the rule asks for one of `urn:example:mfa`",
                "the login has no `amr`, the rule asks for one of `otp`, `hwk`",
            ]
        );
    }
}
