use url::Url;

use super::*;
use crate::{
    oidc::{FrontChannelError, LoginOrigin},
    principal::ProviderName,
    request::Path,
};

fn origin() -> Origin {
    let url = "https://kf.example.com".to_owned();
    Origin {
        host: "kf.example.com".into(),
        after_logout: Location::on_origin(&url, "/portcullis/signed-out").unwrap(),
        login: LoginOrigin {
            redirect_uri: Url::parse("https://kf.example.com/portcullis/callback").unwrap(),
            post_logout_redirect_uri: Url::parse("https://kf.example.com/portcullis/signed-out").unwrap(),
            url,
            provider: ProviderName::parse("idp").unwrap(),
            login_cookie: "__Host-portcullis-login".into(),
        },
        session_cookie: "__Host-portcullis".into(),
        path_prefix: "/portcullis".into(),
        logout_aliases: vec!["/oauth2/sign_out".into()],
        callback_aliases: vec![],
        login_aliases: vec![],
    }
}

#[test]
fn our_addresses_are_exact_and_the_rest_below_the_prefix_is_nothing() {
    let origin = origin();
    for (path, endpoint) in [
        ("/portcullis/login", Some(Endpoint::Login)),
        ("/portcullis/callback", Some(Endpoint::Callback)),
        ("/portcullis/logout", Some(Endpoint::Logout)),
        ("/oauth2/sign_out", Some(Endpoint::Logout)),
        ("/portcullis/signed-out", Some(Endpoint::SignedOut)),
        ("/portcullis/whoami", Some(Endpoint::WhoAmI)),
        ("/portcullis/sessions", Some(Endpoint::Sessions)),
        ("/portcullis/sessions/", Some(Endpoint::Nothing)),
        ("/portcullis", Some(Endpoint::Nothing)),
        ("/portcullis/", Some(Endpoint::Nothing)),
        ("/portcullis/callback/", Some(Endpoint::Nothing)),
        ("/portcullis/%63allback", Some(Endpoint::Nothing)),
        ("/portcullis/x/../callback", Some(Endpoint::Nothing)),
        ("//portcullis/callback", Some(Endpoint::Nothing)),
        ("/portcullis%2fcallback", Some(Endpoint::Nothing)),
        ("/portcullisx", None),
        ("/oauth2/sign_out/", None),
        ("/oauth2/sign_in", None),
        ("/", None),
    ] {
        assert_eq!(origin.endpoint(&Path::new(path)), endpoint, "{path}");
    }
}

#[test]
fn a_login_link_keeps_its_target_and_our_origin() {
    let target = ReturnTarget::parse("/a?b=c&d=%20", |_| false);
    let location = origin().login_url(&target).unwrap();
    assert_eq!(location.as_str(), "https://kf.example.com/portcullis/login?return=%2Fa%3Fb%3Dc%26d%3D%2520");
}

#[test]
fn a_front_channel_logout_that_failed_is_not_told_as_a_sign_in() {
    let told = |error| {
        let respond = front_channel::failed(error);
        (respond.reason.as_str(), respond.disposition, respond.retry_after.is_some())
    };
    assert_eq!(told(FrontChannelError::Busy), ("too_many_logouts", Disposition::TooManyRequests, true));
    assert_eq!(told(FrontChannelError::StoreUnavailable), ("store_unavailable", Disposition::Unavailable, true));
}
