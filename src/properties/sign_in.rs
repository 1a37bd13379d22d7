//! The whole way of a sign-in, from where a person wanted to go to where they come.

use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use url::{Url, form_urlencoded};

use super::{
    exchange::{Exchange, Line, message},
    grammar::raw,
    holds::{PROPERTIES, is_authorization_at, is_place_on},
    house::{House, ORIGINS},
    provider,
};
use crate::reason::Reason;

/// Wherever somebody wants to go, by navigating there or by a link to our login, and signs in: they come to a place on the
/// origin that they asked, which is the one that they wanted, byte for byte, or its root.
///
/// # Panics
/// Where it does not hold.
pub fn the_way_back_leads_home(target: &[u8]) {
    let target = String::from_utf8_lossy(target);
    let link: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
    for (host, origin) in ORIGINS {
        for asked in [target.as_ref(), &format!("/portcullis/login?return={link}")] {
            let browser = Browser { house: House::new(), host, origin };
            browser.sign_in(asked, &target);
        }
    }
}

/// A browser without any cookie.
struct Browser {
    house: House,
    host: &'static str,
    origin: &'static str,
}

impl Browser {
    fn sign_in(&self, asked: &str, target: &str) {
        let start = self.navigate(asked, None);
        if start.record.reason != Reason::LoginStarted {
            // Public, malformed, or an endpoint of ours that needs nobody.
            return;
        }
        let authorization = start.header("location").expect("a login leads on");
        is_authorization_at(&authorization, self.origin);
        let query = provider::callback_query(&Url::parse(&authorization).expect("it was parsed a moment ago"));
        let callback = format!("/portcullis/callback?{query}");

        // Without the cookie it is another browser's: nobody is signed in, and it starts again toward the same place.
        let elsewhere = self.navigate(&callback, None);
        assert_eq!(elsewhere.record.reason, Reason::LoginRestarted);

        let login_cookie = start.header("set-cookie").expect("a browser without cookies gets one");
        let end = self.navigate(&callback, login_cookie.split(';').next());
        assert_eq!(end.record.reason, Reason::SignedIn, "{asked:?}");
        let location = end.header("location").expect("who is signed in goes on");
        is_place_on(&location, self.origin);
        let place = &location[self.origin.len()..];
        assert!(place == "/" || place == target, "{target:?} became {place:?}");
    }

    /// Every property of a check holds on the way, too.
    fn navigate(&self, path: &str, cookie: Option<&str>) -> Exchange {
        let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none")];
        let mut lines: Vec<Line> = navigation.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        lines.extend(cookie.map(|cookie| ("cookie".to_owned(), cookie.to_owned())));
        let (method, host, path) = ("GET".into(), self.host.into(), path.to_owned());
        let request = HttpRequest { method, host, path, ..HttpRequest::default() };
        let exchange = Exchange::at(&self.house, message(raw(request, lines)));
        for property in PROPERTIES {
            property(&exchange);
        }
        exchange
    }
}
