//! How a person was authenticated at the provider: what the ID token of the sign-in says of it.

use std::mem::size_of_val;

use super::wire;
use crate::{clock::Timestamp, memory};

/// The longest `acr` that is kept, in bytes. A longer one counts as not told.
const MAX_CONTEXT_BYTES: usize = 256;
/// The longest value of `amr` that is kept, in bytes, and the most values. What is beyond them counts as not told.
const MAX_METHOD_BYTES: usize = 64;
const MAX_METHODS: usize = 16;

/// How a person was authenticated (OpenID Connect Core section 2), as the ID token of the sign-in says it. It stays as it is
/// for as long as the session lives: a refresh authenticates nobody (section 12.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    authenticated_at: Option<Timestamp>,
    context: Option<Box<str>>,
    methods: Box<[Box<str>]>,
}

impl Login {
    /// What a verified ID token tells: `auth_time`, `acr` and `amr`.
    pub fn new<'a>(
        authenticated_at: Option<Timestamp>,
        context: Option<&str>,
        methods: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let fits = |text: &&str, most: usize| (1..=most).contains(&text.len());
        let methods = methods.into_iter().filter(|method| fits(method, MAX_METHOD_BYTES)).take(MAX_METHODS);
        Self {
            authenticated_at,
            context: context.filter(|context| fits(context, MAX_CONTEXT_BYTES)).map(Into::into),
            methods: methods.map(Into::into).collect(),
        }
    }

    /// When that was (`auth_time`), where the provider says so.
    #[must_use]
    pub const fn authenticated_at(&self) -> Option<Timestamp> {
        self.authenticated_at
    }

    /// The authentication context class (`acr`), where the provider says it.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// The authentication methods (`amr`, RFC 8176); none where the provider does not say.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.iter().map(|method| &**method)
    }

    /// About how many bytes it takes in memory, beside its place.
    pub(super) fn heap_bytes(&self) -> usize {
        let texts = self.methods().chain(self.context()).map(|text| memory::block(text.len())).sum::<usize>();
        texts + memory::block(size_of_val(&*self.methods))
    }

    /// Writes it into a record.
    pub(super) fn write(&self, record: &mut wire::Record) {
        record.authenticated_at_ms = self.authenticated_at.map(Timestamp::as_unix_millis);
        record.acr = self.context().map(str::to_owned);
        record.amr = self.methods().map(str::to_owned).collect();
    }

    /// What a record says. One from before `acr` and `amr` were kept says nothing of them.
    pub(super) fn read(record: &wire::Record) -> Self {
        let authenticated_at = record.authenticated_at_ms.map(Timestamp::from_unix_millis);
        Self::new(authenticated_at, record.acr.as_deref(), record.amr.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_counts_as_not_told() {
        let long = "a".repeat(MAX_CONTEXT_BYTES + 1);
        let many: Vec<String> = (0..100).map(|number| format!("method-{number}")).collect();
        let login = Login::new(None, Some(&long), many.iter().map(String::as_str));
        assert_eq!((login.context(), login.methods().count()), (None, MAX_METHODS));
        let login = Login::new(None, Some(&long[1..]), [&*"b".repeat(MAX_METHOD_BYTES + 1), "", "otp"]);
        assert_eq!((login.context(), login.methods().collect::<Vec<_>>()), (Some(&long[1..]), vec!["otp"]));
        assert_eq!(Login::new(None, Some(""), []), Login::default());
    }

    #[test]
    fn a_record_says_the_same_again_and_an_older_one_less() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let login = Login::new(Some(now), Some("urn:example:mfa"), ["pwd", "otp"]);
        let mut record = wire::Record::default();
        login.write(&mut record);
        assert_eq!(Login::read(&record), login);
        let older = wire::Record { authenticated_at_ms: record.authenticated_at_ms, ..wire::Record::default() };
        assert_eq!(Login::read(&older), Login::new(Some(now), None, []));
    }
}
