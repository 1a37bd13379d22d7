//! A login's state: sealed into the `state` parameter (RFC 6749 section 4.1.1), so that strangers who begin logins cost
//! no memory and no store.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    login_cookie::{Binding, LOGIN_LIFETIME},
    return_target::ReturnTarget,
};
use crate::{
    authz::LoginRequirement,
    clock::Timestamp,
    principal::ProviderName,
    secret::{Label, RootKeyRing, SecretString, decode, encode, random_bytes},
    session::Registration,
};

/// How far ahead of our clock a state's date may lie: another replica's clock may run fast.
const SKEW: Duration = Duration::from_mins(1);
/// The longest `state` parameter that is looked at, in bytes: a target of 2 KiB, all of it escaped, and the rest.
const MAX_PARAMETER_BYTES: usize = 8 * 1024;

/// What a login must remember until the browser comes back.
pub(super) struct LoginState {
    /// Names this login: the spent mark is made of it.
    pub(super) id: [u8; 16],
    /// The ID token must carry it (OpenID Connect Core section 3.1.2.1).
    pub(super) nonce: SecretString,
    /// The PKCE verifier (RFC 7636 section 4.1).
    pub(super) pkce_verifier: SecretString,
    /// The provider that was asked.
    pub(super) provider: ProviderName,
    /// Which issuer that was, and for which client: [`Registration::digest`].
    registration: Option<[u8; 32]>,
    /// Where the person wanted to go.
    pub(super) target: ReturnTarget,
    /// How often this login was started again.
    pub(super) attempts: u8,
    /// What the ID token must say of the login, where the browser was sent for that.
    pub(super) required: Option<LoginRequirement>,
    /// When the browser was sent away.
    pub(super) issued_at: Timestamp,
    /// The browser that was sent away.
    pub(super) binding: Binding,
}

/// The sealed form.
#[derive(Serialize, Deserialize)]
struct Record {
    id: String,
    nonce: String,
    pkce: String,
    provider: ProviderName,
    /// Missing in what a release before this one sealed: such a login starts again.
    #[serde(default)]
    registration: String,
    target: ReturnTarget,
    attempts: u8,
    /// Missing where nothing is required, as in what a release before this one sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    required: Option<Required>,
    issued_at: Timestamp,
    binding: String,
}

/// The sealed form of what is required.
#[derive(Serialize, Deserialize)]
struct Required {
    max_age: Option<u64>,
    acr: Vec<String>,
    amr: Vec<String>,
}

impl Required {
    fn of(required: &LoginRequirement) -> Self {
        Self {
            max_age: required.max_age().map(|age| age.as_secs()),
            acr: required.contexts().to_vec(),
            amr: required.methods().to_vec(),
        }
    }

    fn read(self) -> Option<LoginRequirement> {
        LoginRequirement::new(self.max_age.map(Duration::from_secs), self.acr, self.amr).ok()
    }
}

impl LoginState {
    /// A new login. Its id, nonce and verifier are independent random values.
    pub(super) fn begin(
        registration: &Registration,
        target: ReturnTarget,
        attempts: u8,
        required: Option<LoginRequirement>,
        binding: Binding,
        now: Timestamp,
    ) -> Self {
        Self {
            id: random_bytes(),
            nonce: SecretString::new(encode(&random_bytes::<16>())),
            pkce_verifier: SecretString::new(encode(&random_bytes::<32>())),
            provider: registration.provider.clone(),
            registration: Some(registration.digest()),
            target,
            attempts,
            required,
            issued_at: now,
            binding,
        }
    }

    /// The `state` parameter of this login at this origin.
    #[expect(clippy::expect_used, reason = "strings and numbers are JSON")]
    pub(super) fn seal(&self, keys: &RootKeyRing, origin: &str) -> String {
        let record = Record {
            id: encode(&self.id),
            nonce: self.nonce.expose().to_owned(),
            pkce: self.pkce_verifier.expose().to_owned(),
            provider: self.provider.clone(),
            registration: self.registration.map(|digest| encode(&digest)).unwrap_or_default(),
            target: self.target.clone(),
            attempts: self.attempts,
            required: self.required.as_ref().map(Required::of),
            issued_at: self.issued_at,
            binding: encode(&self.binding),
        };
        let plaintext = serde_json::to_vec(&record).expect("strings and numbers are JSON");
        encode(&keys.seal(Label::LoginState, &[origin.as_bytes()], &plaintext))
    }

    /// Opens a `state` parameter that we sealed for this origin; `None` where we did not.
    pub(super) fn open(keys: &RootKeyRing, origin: &str, parameter: &str) -> Option<Self> {
        if parameter.len() > MAX_PARAMETER_BYTES {
            return None;
        }
        let plaintext = keys.open(Label::LoginState, &[origin.as_bytes()], &decode(parameter)?).ok()?;
        let record: Record = serde_json::from_slice(plaintext.expose()).ok()?;
        let required = match record.required {
            // One that cannot be read is not one that asks for nothing.
            Some(required) => Some(required.read()?),
            None => None,
        };
        Some(Self {
            id: decode(&record.id)?.try_into().ok()?,
            nonce: SecretString::new(record.nonce),
            pkce_verifier: SecretString::new(record.pkce),
            provider: record.provider,
            registration: decode(&record.registration).and_then(|digest| digest.try_into().ok()),
            target: record.target,
            attempts: record.attempts,
            required,
            issued_at: record.issued_at,
            binding: decode(&record.binding)?.try_into().ok()?,
        })
    }

    /// Whether it was this issuer that was asked, for this client.
    pub(super) fn is_of(&self, registration: &Registration) -> bool {
        self.provider == registration.provider && self.registration == Some(registration.digest())
    }

    /// Whether the login may still be completed.
    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        self.issued_at <= now.plus(SKEW) && now < self.expires_at()
    }

    /// From when on the login cannot be completed, so that its spent mark may go.
    pub(super) fn expires_at(&self) -> Timestamp {
        self.issued_at.plus(LOGIN_LIFETIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::tests::support::key_ring;

    const ORIGIN: &str = "https://kf.example.com";
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn registration(issuer: &str, client_id: &str) -> Registration {
        let provider = ProviderName::parse("dex").unwrap();
        Registration { provider, issuer: issuer.to_owned(), client_id: client_id.to_owned() }
    }

    fn state(target: &str) -> LoginState {
        let target = ReturnTarget::parse(target, |_| false);
        LoginState::begin(&registration("https://idp.example.com", "portcullis"), target, 1, None, [7; 32], NOW)
    }

    #[test]
    fn a_state_is_of_one_issuer_and_one_client() {
        let keys = key_ring(1);
        let opened = LoginState::open(&keys, ORIGIN, &state("/").seal(&keys, ORIGIN)).unwrap();
        assert!(opened.is_of(&registration("https://idp.example.com", "portcullis")));
        for other in [
            registration("https://other.example.com", "portcullis"),
            registration("https://idp.example.com", "other"),
            registration("https://idp.example.comp", "ortcullis"),
        ] {
            assert!(!opened.is_of(&other), "{other:?}");
        }
    }

    #[test]
    fn a_state_opens_at_its_origin_with_what_was_sealed() {
        let keys = key_ring(1);
        let state = state("/notebook?x=1");
        let opened = LoginState::open(&keys, ORIGIN, &state.seal(&keys, ORIGIN)).unwrap();
        assert_eq!((opened.id, opened.binding, opened.attempts), (state.id, [7; 32], 1));
        assert_eq!((opened.nonce, opened.pkce_verifier), (state.nonce, state.pkce_verifier));
        assert_eq!((opened.target.as_str(), opened.issued_at), ("/notebook?x=1", NOW));
    }

    #[test]
    fn another_origin_key_or_byte_does_not_open() {
        let keys = key_ring(1);
        let parameter = state("/").seal(&keys, ORIGIN);
        assert!(LoginState::open(&keys, "https://other.example.com", &parameter).is_none());
        assert!(LoginState::open(&key_ring(2), ORIGIN, &parameter).is_none());
        let mut bytes = decode(&parameter).unwrap();
        for index in 0..bytes.len() {
            bytes[index] ^= 1;
            assert!(LoginState::open(&keys, ORIGIN, &encode(&bytes)).is_none(), "byte {index}");
            bytes[index] ^= 1;
        }
        for bad in ["", "x", &format!("{parameter}="), &format!(" {parameter}"), &"A".repeat(100_000)] {
            assert!(LoginState::open(&keys, ORIGIN, bad).is_none());
        }
    }

    #[test]
    fn the_longest_target_still_fits_with_all_that_can_be_required() {
        let keys = key_ring(1);
        let target = format!("/?{}", "\\".repeat(2046));
        let values = || vec!["a".repeat(96); 8];
        let required = LoginRequirement::new(Some(Duration::from_hours(24)), values(), values()).unwrap();
        let state_of = |required| LoginState { required, ..state(&target) };
        let parameter = state_of(Some(required.clone())).seal(&keys, ORIGIN);
        let opened = LoginState::open(&keys, ORIGIN, &parameter).unwrap();
        assert_eq!((opened.target.as_str(), opened.required), (target.as_str(), Some(required)));
        assert!(parameter.len() < MAX_PARAMETER_BYTES);
        let usual = state(&format!("/{}", "a".repeat(100))).seal(&keys, ORIGIN);
        assert!(usual.len() < 700, "{}", usual.len());
    }

    #[test]
    fn a_state_lives_ten_minutes() {
        let state = state("/");
        assert!(state.is_alive(NOW) && state.is_alive(NOW.minus(SKEW)));
        assert!(!state.is_alive(NOW.minus(Duration::from_secs(61))));
        assert!(state.is_alive(NOW.plus(Duration::from_secs(599))));
        assert!(!state.is_alive(NOW.plus(LOGIN_LIFETIME)));
    }
}
