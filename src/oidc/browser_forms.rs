//! The token of a form for whoever is not signed in: it is good in the browser that was shown the form, and in no other.

use super::login_cookie::{self, LoginCookie};
use crate::{
    clock::SharedClock,
    decision::{CookieError, SetCookie},
    origin::LoginOrigin,
    secret::{KeyId, Label, SharedRootKeyRing, decode, encode},
};

/// Makes and reads the tokens of forms that a browser without a session may send. What binds a form to the browser is its
/// login cookie, which no script can read.
#[derive(Clone, Debug)]
pub struct BrowserForms {
    keys: SharedRootKeyRing,
    clock: SharedClock,
}

/// The token of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserForm {
    /// The token.
    pub token: String,
    /// The login cookie, where the browser has none that serves.
    pub set_cookie: Option<SetCookie>,
}

impl BrowserForms {
    pub(super) const fn new(keys: SharedRootKeyRing, clock: SharedClock) -> Self {
        Self { keys, clock }
    }

    /// The token of the form `what`, for the browser that brought these login cookies. Nothing is written anywhere.
    ///
    /// # Errors
    /// Where the cookie's configured name cannot stand in a cookie.
    ///
    /// # Panics
    /// Never: the sealing key is in its own ring.
    #[expect(clippy::expect_used, reason = "the sealing key is in its own ring")]
    pub fn form(&self, origin: &LoginOrigin, login_cookies: &[&str], what: &str) -> Result<BrowserForm, CookieError> {
        let (keys, now) = (self.keys.load(), self.clock.now());
        let (cookie, set_cookie) = if let Some(cookie) = LoginCookie::read(&keys, &origin.url, login_cookies, now) {
            (cookie, None)
        } else {
            let cookie = LoginCookie::mint(&keys, &origin.url, now);
            let set = SetCookie::new(&origin.login_cookie, cookie.value(), Some(login_cookie::MAX_AGE))?;
            (cookie, Some(set))
        };
        let id = keys.sealing_key();
        let tag = keys.mac(id, Label::BrowserForms, &[&cookie.binding(), what.as_bytes()]);
        let tag = tag.expect("the sealing key is in its own ring");
        Ok(BrowserForm { token: encode(&[id.as_bytes().as_slice(), &tag].concat()), set_cookie })
    }

    /// Whether `token` is that of the form `what` in the browser that brought these login cookies.
    #[must_use]
    pub fn is_form(&self, origin: &LoginOrigin, login_cookies: &[&str], what: &str, token: &str) -> bool {
        let (keys, now) = (self.keys.load(), self.clock.now());
        let Some(cookie) = LoginCookie::read(&keys, &origin.url, login_cookies, now) else { return false };
        let Some(bytes) = decode(token) else { return false };
        let Some((id, tag)) = bytes.split_first_chunk::<{ KeyId::BYTES }>() else { return false };
        let fields: [&[u8]; 2] = [&cookie.binding(), what.as_bytes()];
        keys.verify_mac(KeyId::from_bytes(*id), Label::BrowserForms, &fields, tag)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::{ManualClock, Timestamp},
        oidc::tests::support::key_ring,
        origin::LoginOrigin,
        principal::ProviderName,
    };

    fn origin(url: &str) -> LoginOrigin {
        let at = |path: &str| url::Url::parse(&format!("{url}{path}")).unwrap();
        LoginOrigin {
            redirect_uri: at("/portcullis/callback"),
            post_logout_redirect_uri: at("/portcullis/signed-out"),
            url: url.to_owned(),
            provider: ProviderName::parse("idp").unwrap(),
            login_cookie: "__Host-portcullis-login".into(),
        }
    }

    fn value(form: &BrowserForm) -> String {
        let header = form.set_cookie.as_ref().unwrap().header().as_str().to_owned();
        header.split(['=', ';']).nth(1).unwrap().to_owned()
    }

    #[test]
    fn a_form_is_good_in_its_own_browser_for_what_it_says() {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let forms = BrowserForms::new(key_ring(1).shared(), Arc::clone(&clock) as SharedClock);
        let here = origin("https://kf.example.com");
        let form = forms.form(&here, &[], "a").unwrap();
        let cookie = value(&form);
        assert!(forms.is_form(&here, &[&cookie], "a", &form.token));
        // The cookie that is there serves again.
        assert_eq!(forms.form(&here, &[&cookie], "a").unwrap(), BrowserForm { set_cookie: None, ..form.clone() });
        // Another form, another browser, another origin, none or two cookies, another token, and later.
        assert!(!forms.is_form(&here, &[&cookie], "b", &form.token));
        let attackers = forms.form(&here, &[], "a").unwrap();
        assert!(!forms.is_form(&here, &[&cookie], "a", &attackers.token));
        assert!(!forms.is_form(&here, &[&value(&attackers)], "a", &form.token));
        assert!(!forms.is_form(&origin("https://other.example.com"), &[&cookie], "a", &form.token));
        assert!(!forms.is_form(&here, &[], "a", &form.token));
        assert!(!forms.is_form(&here, &[&cookie, &cookie], "a", &form.token));
        for token in ["", "x", "AAAAAA", &form.token[1..]] {
            assert!(!forms.is_form(&here, &[&cookie], "a", token), "{token}");
        }
        clock.advance(login_cookie::MAX_AGE);
        assert!(!forms.is_form(&here, &[&cookie], "a", &form.token));
    }
}
