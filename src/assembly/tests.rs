//! Whole checks, from the request as it is read to the decision, in the product as it is wired.

mod callbacks;
mod costs;
mod fixture;
mod own_sessions;
mod repeated;
mod step_up;

use std::{sync::Arc, time::Duration};

use fixture::{Fixture, Panicking};

use crate::{
    check::{Checked, Outcome},
    decision::{Body, Decision, Respond},
    reason::{Disposition, Reason},
};

fn navigation() -> Vec<(&'static str, &'static str)> {
    vec![("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none")]
}

#[tokio::test]
async fn every_request_is_decided_by_its_rule_and_credential() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&["dev"]).await;
    let cookie = cookie.as_str();
    let own = ("origin", "https://kf.example.com");
    let sibling = ("sec-fetch-site", "same-site");
    let cases = [
        ("GET", "/assets/a.js", vec![], Reason::Public),
        ("GET", "/assets/%2e%2e/secret", vec![], Reason::AmbiguousPath),
        ("GET", "/assets/a%20b", vec![], Reason::NotSignedIn),
        ("GET", "/optional", vec![], Reason::Anonymous),
        ("GET", "/optional", vec![("cookie", cookie)], Reason::Session),
        ("GET", "/optional", vec![("cookie", "__Host-portcullis=stale")], Reason::Anonymous),
        ("GET", "/optional", vec![("authorization", "Bearer a, Bearer b")], Reason::AuthorizationAmbiguous),
        ("GET", "/", vec![], Reason::NotSignedIn),
        ("GET", "/", navigation(), Reason::LoginStarted),
        ("GET", "/", [navigation(), vec![("authorization", "Bearer sk-1")]].concat(), Reason::BearerNotJwt),
        ("GET", "/", vec![("cookie", cookie)], Reason::Session),
        ("GET", "/", vec![("cookie", cookie), ("authorization", "token jupyter")], Reason::Session),
        ("GET", "/", vec![("cookie", cookie), ("authorization", "Bearer sk-1")], Reason::Session),
        ("POST", "/", vec![("cookie", cookie)], Reason::Session),
        ("POST", "/", vec![("cookie", cookie), own], Reason::Session),
        ("POST", "/", vec![("cookie", cookie), sibling], Reason::CrossOrigin),
        ("POST", "/", vec![("cookie", cookie), ("origin", "null")], Reason::CrossOrigin),
        ("GET", "/", vec![("cookie", cookie), sibling], Reason::CrossOrigin),
        ("GET", "/", vec![("cookie", cookie), sibling, ("upgrade", "websocket")], Reason::CrossOrigin),
        ("GET", "/admin", vec![("cookie", cookie)], Reason::NotPermitted),
        ("GET", "//admin", vec![("cookie", cookie)], Reason::AmbiguousPath),
        ("GET", "/x/..%2fadmin", vec![("cookie", cookie)], Reason::AmbiguousPath),
        ("GET", "/%00", vec![("cookie", cookie)], Reason::AmbiguousPath),
        ("GET", "/closed", vec![("cookie", cookie)], Reason::DeniedByRule),
        ("GET", "/", vec![("cookie", cookie), ("connection", "kubeflow-userid")], Reason::ProtectedHeaderHidden),
        ("GET", "/portcullis/nothing", vec![], Reason::NotFound),
        ("GET", "/portcullis/%77hoami", vec![("cookie", cookie)], Reason::NotFound),
        ("POST", "/portcullis/whoami", vec![("cookie", cookie)], Reason::MethodNotAllowed),
        ("GET", "/portcullis/callback?state=x", vec![], Reason::NotANavigation),
        ("GET", "/portcullis/callback?state=x&code=y", navigation(), Reason::StateInvalid),
    ];
    for (method, path, headers, reason) in cases {
        let checked = fixture.check(method, path, &headers).await;
        assert_eq!(checked.decision.reason(), reason, "{method} {path} {headers:?}");
        assert_eq!(checked.record.reason, reason);
    }
}

#[tokio::test]
async fn two_session_cookies_are_no_session() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    for doubled in [
        format!("{cookie}; {cookie}"),
        format!("__Host-portcullis=x; {cookie}"),
        format!("{cookie}; __Host-portcullis=x"),
    ] {
        let checked = fixture.check("GET", "/", &[("cookie", &doubled)]).await;
        assert_eq!(checked.decision.reason(), Reason::TicketInvalid, "{doubled}");
    }
}

#[tokio::test]
async fn a_host_that_no_rule_names_is_misdirected() {
    let fixture = Fixture::new().await;
    for host in ["evil.example", "kf.example.com.evil.example"] {
        let checked = fixture.check_at(host, "GET", "/assets/a.js", &[]).await;
        assert_eq!(checked.decision.reason(), Reason::UnknownHost, "{host}");
    }
    for host in ["", "kf.example.com,evil", "user:pw@kf.example.com"] {
        let checked = fixture.check_at(host, "GET", "/assets/a.js", &[]).await;
        assert_eq!(checked.decision.reason(), Reason::MalformedRequest, "{host}");
    }
}

#[tokio::test]
async fn a_ticket_counts_on_its_own_origin_only() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    let checked = fixture.check_at("second.example.com", "GET", "/", &[("cookie", &cookie)]).await;
    assert_eq!(checked.decision.reason(), Reason::TicketInvalid);
}

#[tokio::test]
async fn a_navigation_is_refused_by_a_page_and_a_script_by_a_document() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    let page = fixture.check("GET", "/admin", &[navigation(), vec![("cookie", &cookie)]].concat()).await;
    let Decision::Respond(respond) = page.decision else { panic!("allowed") };
    let Body::Page(html) = &respond.body else { panic!("{:?}", respond.body) };
    for told in ["not_permitted", "request-1", "user@example.com", "/portcullis/logout"] {
        assert!(html.html.contains(told), "{told}");
    }
    let document = fixture.check("GET", "/admin", &[("cookie", &cookie)]).await;
    let Decision::Respond(respond) = document.decision else { panic!("allowed") };
    assert_eq!(respond.body, Body::Problem);
}

#[tokio::test]
async fn logout_ends_the_session_before_it_answers() {
    let fixture = Fixture::new().await;
    let same_origin = ("sec-fetch-site", "same-origin");
    for (method, headers, disposition) in [
        ("POST", vec![same_origin], Disposition::Created),
        ("POST", vec![("origin", "https://kf.example.com")], Disposition::Created),
        (
            "POST",
            vec![same_origin, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
            Disposition::SeeOther,
        ),
        (
            "GET",
            vec![same_origin, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
            Disposition::SeeOther,
        ),
    ] {
        let cookie = fixture.sign_in(&[]).await;
        let with_cookie = [headers.clone(), vec![("cookie", cookie.as_str())]].concat();
        let checked = fixture.check(method, "/portcullis/logout", &with_cookie).await;
        let Decision::Respond(respond) = checked.decision else { panic!("allowed") };
        assert_eq!((respond.reason, respond.disposition), (Reason::SignedOut, disposition), "{method} {headers:?}");
        assert!(respond.set_cookie.is_some());
        let after = fixture.check("GET", "/", &[("cookie", &cookie)]).await;
        assert_eq!(after.decision.reason(), Reason::SessionEnded);
    }
}

#[tokio::test]
async fn nobody_else_s_page_can_sign_people_out() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    for (method, headers, reason) in [
        ("POST", vec![], Reason::CrossOrigin),
        ("POST", vec![("sec-fetch-site", "same-site")], Reason::CrossOrigin),
        ("POST", vec![("sec-fetch-site", "none")], Reason::CrossOrigin),
        ("POST", vec![("origin", "https://evil.kf.example.com")], Reason::CrossOrigin),
        ("GET", vec![("sec-fetch-site", "cross-site")], Reason::Page),
        ("GET", vec![("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors")], Reason::Page),
        ("DELETE", vec![("sec-fetch-site", "same-origin")], Reason::MethodNotAllowed),
    ] {
        let with_cookie = [headers.clone(), vec![("cookie", cookie.as_str())]].concat();
        let checked = fixture.check(method, "/portcullis/logout", &with_cookie).await;
        assert_eq!(checked.decision.reason(), reason, "{method} {headers:?}");
        let after = fixture.check("GET", "/", &[("cookie", &cookie)]).await;
        assert_eq!(after.decision.reason(), Reason::Session, "{method} {headers:?}");
    }
}

#[tokio::test]
async fn our_own_assertion_and_tokens_of_providers_are_no_credentials() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    let checked = fixture.check("GET", "/", &[("cookie", &cookie)]).await;
    let Decision::Allow(allow) = checked.decision else { panic!("refused") };
    let assertion = allow.mutations().sets().find(|(name, _)| *name == "portcullis-assertion").unwrap().1.clone();
    let bearer = format!("Bearer {}", assertion.as_str());
    let replayed = fixture.check("GET", "/", &[("authorization", &bearer)]).await;
    assert_eq!(replayed.decision.reason(), Reason::BearerNotAccepted);
    let with_cookie = fixture.check("GET", "/", &[("authorization", &bearer), ("cookie", &cookie)]).await;
    assert_eq!(with_cookie.decision.reason(), Reason::BearerNotAccepted);
    let public = fixture.check("GET", "/assets/a", &[("authorization", &bearer)]).await;
    let Decision::Allow(allow) = public.decision else { panic!("refused") };
    assert!(allow.mutations().removes().any(|name| name == "authorization"));
}

#[tokio::test]
async fn nothing_that_a_client_says_of_its_request_chooses_the_rule() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&["dev"]).await;
    let open = "/assets/a.js";
    let gateway = "By=spiffe://cluster.local/ns/a/sa/b;URI=spiffe://cluster.local/ns/istio-system/sa/gateway";
    let said = [
        ("x-forwarded-uri", open),
        ("x-forwarded-path", open),
        ("x-forwarded-prefix", "/assets"),
        ("x-original-uri", open),
        ("x-original-url", open),
        ("x-rewrite-url", open),
        ("x-envoy-original-path", open),
        ("x-envoy-internal", "true"),
        ("x-forwarded-method", "OPTIONS"),
        ("x-original-method", "OPTIONS"),
        ("x-http-method-override", "OPTIONS"),
        ("x-forwarded-host", "second.example.com"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "a"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1;host=second.example.com;proto=http"),
        ("x-forwarded-client-cert", gateway),
        ("user-agent", "GoogleHC/1.0"),
        ("user-agent", "kube-probe/1.35"),
    ];
    let mut lines: Vec<Vec<(&str, &str)>> = said.iter().map(|line| vec![*line]).collect();
    lines.push(said.to_vec());
    for lines in lines {
        let with_cookie = [lines.clone(), vec![("cookie", cookie.as_str())]].concat();
        for (path, headers, reason) in [
            ("/", &lines, Reason::NotSignedIn),
            ("/?/assets/a.js", &lines, Reason::NotSignedIn),
            ("/x?y=1#/assets/a.js", &lines, Reason::NotSignedIn),
            ("/admin", &with_cookie, Reason::NotPermitted),
            ("/admin?/assets/a.js", &with_cookie, Reason::NotPermitted),
            ("/closed?/assets/a.js", &with_cookie, Reason::DeniedByRule),
        ] {
            let checked = fixture.check("GET", path, headers).await;
            assert_eq!(checked.decision.reason(), reason, "{path} {headers:?}");
        }
    }
}

#[tokio::test]
async fn who_is_signed_in_is_told_without_any_token() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&["dev"]).await;
    let checked = fixture.check("GET", "/portcullis/whoami", &[("cookie", &cookie)]).await;
    let Decision::Respond(respond) = checked.decision else { panic!("allowed") };
    let Body::Json(document) = &respond.body else { panic!("{:?}", respond.body) };
    let told: serde_json::Value = serde_json::from_str(document).unwrap();
    let names: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["email", "expires_at", "groups", "last_seen_at", "signed_in_at", "userid"]);
    let page = fixture.check("GET", "/portcullis/whoami", &[navigation(), vec![("cookie", &cookie)]].concat()).await;
    let Decision::Respond(respond) = page.decision else { panic!("allowed") };
    let Body::Page(page) = &respond.body else { panic!("{:?}", respond.body) };
    let ticket = cookie.split_once('=').unwrap().1;
    for secret in ["id-token", ticket] {
        assert!(!document.contains(secret) && !page.html.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_service_worker_is_held_to_its_own_folder() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    let headers = [("cookie", cookie.as_str()), ("service-worker", "script")];
    let checked = fixture.check("GET", "/notebook/ns/nb/sw.js", &headers).await;
    let Decision::Allow(allow) = checked.decision else { panic!("refused") };
    let scopes: Vec<_> = allow.mutations().response_sets().map(|(name, value)| (name, value.as_str())).collect();
    assert_eq!(scopes, [("service-worker-allowed", "/notebook/ns/nb/")]);
}

#[tokio::test]
async fn preflights_pass_where_the_rule_lets_them_and_without_a_name() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    let headers = [
        ("origin", "https://ide.example.com"),
        ("access-control-request-method", "PUT"),
        ("cookie", cookie.as_str()),
        ("kubeflow-userid", "evil"),
    ];
    let checked = fixture.check("OPTIONS", "/cors/x", &headers).await;
    assert_eq!(checked.decision.reason(), Reason::Preflight);
    let Decision::Allow(allow) = checked.decision else { panic!("refused") };
    assert_eq!(allow.mutations().sets().count(), 0);
    for name in ["x-http-method-override", "x-http-method", "x-method-override", "X_HTTP_Method_Override"] {
        let checked = fixture.check("OPTIONS", "/cors/x", &[&headers[..2], &[(name, "DELETE")]].concat()).await;
        let Decision::Allow(allow) = checked.decision else { panic!("refused") };
        let removed: Vec<&str> = allow.mutations().removes().collect();
        assert!(
            removed.contains(&name.to_ascii_lowercase().as_str()),
            "{name} makes another method of it: {removed:?}"
        );
    }
    // So does another site's navigation, to which the cookie counts because it is a GET.
    let override_of =
        |site| [("sec-fetch-site", site), ("cookie", cookie.as_str()), ("x-http-method-override", "DELETE")];
    for (site, goes) in [("cross-site", true), ("same-origin", false)] {
        let checked = fixture.check("GET", "/cors/x", &[&navigation()[..2], &override_of(site)].concat()).await;
        let Decision::Allow(allow) = checked.decision else { panic!("refused: {:?}", checked.record) };
        assert_eq!(allow.mutations().removes().any(|name| name == "x-http-method-override"), goes, "{site}");
    }
    let judged = fixture.check("OPTIONS", "/x", &headers[..2]).await;
    assert_eq!(judged.decision.reason(), Reason::NotSignedIn);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_would_be_late_is_answered_by_us() {
    let fixture = Fixture::with_a_provider_that_hangs().await;
    let checked = fixture.check_in(Duration::from_millis(150), "GET", "/wanted?x=1", &navigation()).await;
    let Decision::Respond(respond) = checked.decision else { panic!("allowed") };
    assert_eq!((respond.reason, respond.disposition), (Reason::DeadlineExceeded, Disposition::Unavailable));
    let Body::Page(page) = &respond.body else { panic!("no page: {:?}", respond.body) };
    assert!(respond.retry_after.is_some() && page.html.contains("href=\"https://kf.example.com/wanted?x=1\""));
    assert_eq!(checked.record.outcome(), Outcome::Failed);
}

#[tokio::test]
async fn a_panic_costs_one_check() {
    let panicking = Arc::new(Panicking::default());
    let fixture = Fixture::with_panics(&panicking).await;
    let cookie = fixture.sign_in(&[]).await;
    let signed_in = [("cookie", cookie.as_str())];
    // The logout panics in its own task, for which the check waits.
    let from_our_page = [signed_in[0], ("origin", "https://kf.example.com")];
    for (method, path, headers) in [
        ("GET", "/", &signed_in[..]),
        ("GET", "/portcullis/whoami", &signed_in),
        ("POST", "/portcullis/logout", &from_our_page),
    ] {
        panicking.set(true);
        let checked = fixture.check(method, path, headers).await;
        panicking.set(false);
        let Decision::Respond(respond) = checked.decision else { panic!("{path} is allowed") };
        assert_eq!((respond.reason, respond.disposition), (Reason::Internal, Disposition::Internal), "{path}");
        assert_eq!(checked.record.outcome(), Outcome::Failed);
        assert_eq!(fixture.check("GET", "/", &signed_in).await.decision.reason(), Reason::Session, "after {path}");
    }
    let counted = "checks_total{outcome=\"failed\",reason=\"internal\"} 3";
    assert!(fixture.metrics().contains(counted), "{}", fixture.metrics());
    let ended = fixture.check("POST", "/portcullis/logout", &from_our_page).await;
    assert_ne!(ended.decision.reason(), Reason::Internal);
    assert_eq!(fixture.check("GET", "/", &signed_in).await.decision.reason(), Reason::SessionEnded);
}
