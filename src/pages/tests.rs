use super::*;

const HOSTILE: &str = "\"><script>alert(1)</script>&'\u{202e}";

fn location(text: &str) -> Location {
    Location::new(&Url::parse(text).unwrap()).unwrap()
}

fn home() -> Location {
    location("https://kf.example.com/")
}

/// Every page, with `outside` in each place that takes a value from outside.
fn every_page(outside: &str) -> Vec<(&'static str, Page)> {
    let action = location("https://kf.example.com/portcullis/logout?form=abc");
    let logout = LogoutForm { action: &action, leads_to: None, through: None };
    let groups = [outside.to_owned(), "team-b".to_owned()];
    let who = WhoAmI {
        user: outside,
        email: Some(outside),
        groups: &groups,
        method: outside,
        created: outside,
        last_seen: outside,
        expires: outside,
        sessions: &action,
        logout,
    };
    let row = |end| OwnSession { source: outside, created: outside, last_seen: outside, end };
    let rows = [row(None), row(Some(&action))];
    let own = OwnSessions { user: outside, sessions: &rows, end_others: Some(&action), logout };
    let refusal = Problem {
        request_id: Some(outside),
        signed_in_as: Some(outside),
        retry_after: Some(Duration::from_secs(5)),
        try_again: Some(&home()),
        use_another_account: Some(&action),
        home: Some(&home()),
        ..Problem::new(Disposition::Forbidden, Reason::NotPermitted)
    };
    vec![
        ("problem", problem(&refusal)),
        ("problem-bare", problem(&Problem::new(Disposition::Unavailable, Reason::StoreUnavailable))),
        ("signed-out", signed_out(&home(), true)),
        ("sign-in-in-frame", sign_in_in_frame(&action)),
        ("who-am-i", who_am_i(&who)),
        ("own-sessions", own_sessions(&own)),
        ("confirm-logout", confirm_logout(logout, Some(outside), &home())),
        ("sign-in-behind-worker", sign_in_behind_worker(&home(), &action)),
        ("service-worker-between", service_worker_between(&action, &home())),
        ("site-data-cleared", site_data_cleared(&home())),
        ("go-on", go_on(&home())),
        ("signed-out-at-the-provider", signed_out(&home(), false)),
        (
            "signed-out-by-provider",
            signed_out_by_provider(&[HostSource::of(&Url::parse("https://idp.example.com/x").unwrap()).unwrap()]),
        ),
    ]
}

#[test]
fn every_page_is_as_its_snapshot_says() {
    for (name, page) in every_page("ada@example.com") {
        let policy = policy(&page).replace(STYLE_SOURCE.as_str(), "'[the hash of style.css]'");
        let html = page.html.replace(STYLE, "[style.css]");
        insta::assert_snapshot!(name, format!("Content-Security-Policy: {policy}\n\n{html}"));
    }
}

fn policy(page: &Page) -> &str {
    page.content_security_policy.as_str()
}

#[test]
fn outside_values_cannot_become_markup() {
    for (name, page) in every_page(HOSTILE) {
        assert!(!page.html.contains("<script"), "{name}");
        // Whatever is not our own text is as often there as the value was given, each time escaped.
        assert_eq!(page.html.matches("alert(1)").count(), page.html.matches("&#60;script&#62;").count(), "{name}");
    }
    let (_, page) = every_page(HOSTILE).remove(4);
    assert_eq!(page.html.matches("&#60;script&#62;").count(), 7);
}

#[test]
fn addresses_stand_in_their_attributes_escaped() {
    let to = location("https://kf.example.com/portcullis/login?a=1&b=%22%3E\"><b>'");
    let page = sign_in_in_frame(&to);
    assert!(page.html.contains("target=\"_top\""));
    assert!(page.html.contains("login?a=1&#38;b=%22%3E%22%3E%3Cb%3E"), "{}", page.html);
    assert!(!page.html.contains("<b>"));
}

#[test]
fn each_page_is_one_readable_document() {
    for (name, page) in every_page("ada@example.com") {
        let html = &page.html;
        assert!(html.starts_with("<!doctype html>"), "{name}");
        for once in ["<html lang=\"en\">", "<title>", "<h1>", "<main>", "</main>", "<footer>", "name=\"viewport\""] {
            assert_eq!(html.matches(once).count(), 1, "{name}: {once}");
        }
        assert!(!html.contains("<title> –"), "{name}: the title is empty");
        let tone = html.split("<body class=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        for class in tone.split(' ') {
            assert!(STYLE.contains(&format!("body.{class} ")), "{name}: the style does not know {class:?}");
        }
    }
}

#[test]
fn pages_run_no_script_and_fetch_nothing() {
    for (name, page) in every_page("ada@example.com") {
        for foreign in ["<script", "<img", "<link", "<iframe", "@import", "url(http", "src=", " style=", "javascript:"]
        {
            assert!(!page.html.contains(foreign), "{name}: {foreign}");
        }
        let handler = page.html.split_whitespace().find(|word| word.starts_with("on") && word.contains("=\""));
        assert_eq!(handler, None, "{name}");
    }
}

#[test]
fn the_policy_allows_exactly_the_style_that_stands_in_the_page() {
    for (name, page) in every_page("ada@example.com") {
        assert_eq!(page.html.matches("<style").count(), 1, "{name}");
        let style = page.html.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).unwrap();
        let hash = BASE64_STANDARD.encode(digest(&SHA256, style.as_bytes()));
        assert!(policy(&page).contains(&format!("style-src 'sha256-{hash}';")), "{name}");
        assert!(policy(&page).starts_with("default-src 'none';"), "{name}");
        assert!(policy(&page).ends_with("base-uri 'none'"), "{name}");
        assert!(!policy(&page).contains("unsafe"), "{name}");
        let frames = match name {
            "sign-in-in-frame" => "'self'",
            "signed-out-by-provider" => "https://idp.example.com",
            _ => "'none'",
        };
        assert!(policy(&page).contains(&format!("frame-ancestors {frames};")), "{name}");
    }
}

#[test]
fn a_form_may_lead_to_the_one_origin_that_it_names() {
    let action = location("https://kf.example.com/portcullis/logout");
    let forms_through = |leads_to: Option<&str>, through: Option<&str>| {
        let (leads_to, through) = (leads_to.map(location), through.map(location));
        let form = LogoutForm { action: &action, leads_to: leads_to.as_ref(), through: through.as_ref() };
        let page = confirm_logout(form, None, &home());
        policy(&page).split("form-action ").nth(1).and_then(|rest| rest.split(';').next()).unwrap().to_owned()
    };
    let forms = |leads_to| forms_through(leads_to, None);
    assert_eq!(forms(None), "'self'");
    assert_eq!(forms(Some("https://kf.example.com/portcullis/signed-out")), "'self'");
    assert_eq!(forms(Some("https://idp.example.com:8443/bye?x=1")), "'self' https://idp.example.com:8443");
    assert_eq!(forms(Some("https://a;script-src,b/")), "'self'");
    // A provider may send the browser on to any other one.
    assert_eq!(forms_through(None, Some("http://idp.test:5556/end?x=1")), "'self' http://idp.test:5556 https:");
}

#[test]
fn a_policy_holds_no_host_that_would_part_it() {
    let source = |text: &str| HostSource::of(&Url::parse(text).unwrap()).map(|source| source.as_str().to_owned());
    assert_eq!(source("https://IDP.example.com:8443/a;b,c?d"), Some("https://idp.example.com:8443".to_owned()));
    assert_eq!(source("http://127.0.0.1:5556/"), Some("http://127.0.0.1:5556".to_owned()));
    for hostile in
        ["https://a;script-src,b/", "https://a,b/", "https://*.example.com/", "https://'self'/", "https://{t}.example/"]
    {
        assert_eq!(source(hostile), None, "{hostile}");
    }
    for opaque in ["data:text/html,a", "file:///etc/passwd", "javascript:alert(1)", "https+x://a/"] {
        assert_eq!(source(opaque), None, "{opaque}");
    }
    // Nobody may frame it, rather than anybody.
    assert!(policy(&signed_out_by_provider(&[])).contains("frame-ancestors 'none';"));
}

#[test]
fn only_pages_with_a_form_tell_our_own_origin_where_a_request_comes_from() {
    for (name, page) in every_page("ada@example.com") {
        let has_form = page.html.contains("<form");
        assert_eq!(page.html.contains("<meta name=\"referrer\" content=\"same-origin\">"), has_form, "{name}");
        assert_eq!(page.html.matches("name=\"referrer\"").count(), usize::from(has_form), "{name}");
    }
}

#[test]
fn a_refusal_says_what_why_and_what_next() {
    for &reason in Reason::ALL {
        for disposition in [Disposition::BadRequest, Disposition::Forbidden, Disposition::Unavailable] {
            let refusal = Problem { request_id: Some("9f8e-1"), ..Problem::new(disposition, reason) };
            let html = problem(&refusal).html;
            assert!(html.contains(&format!("<code translate=\"no\">{reason}</code>")), "{reason}");
            assert!(html.contains("<code translate=\"no\">9f8e-1</code>"), "{reason}");
            assert!(words::advice(disposition, reason).ends_with('.'), "{reason}");
        }
    }
    let html = problem(&Problem::new(Disposition::Forbidden, Reason::DeniedByRule)).html;
    for absent in ["Request ID", "Signed in as", "Try again", "Use another account", "class=\"actions\""] {
        assert!(!html.contains(absent), "{absent}");
    }
}

#[test]
fn the_wait_is_told_in_round_words() {
    for (seconds, text) in [(0, "in a moment"), (5, "in 5 seconds"), (119, "in 119 seconds"), (121, "in 3 minutes")] {
        assert!(words::wait(Duration::from_secs(seconds)).contains(text), "{seconds}");
    }
}

/// The colours of `style.css`, light or dark: `--name: #rrggbb`.
fn colour(dark: bool, name: &str) -> [f64; 3] {
    let (light_block, rest) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let block = if dark { rest.split_once("* {").unwrap().0 } else { light_block };
    let hex = block.split(&format!("--{name}: #")).nth(1).and_then(|rest| rest.get(..6)).unwrap();
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0)
}

/// The contrast ratio of two colours (WCAG 2.2, "contrast ratio" and "relative luminance").
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let luminance = |[red, green, blue]: [f64; 3]| {
        let linear = |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn colours_have_the_contrast_that_wcag_aa_asks_for() {
    // Text: 4.5 (success criterion 1.4.3). Graphics, edges of controls and the focus ring: 3 (1.4.11).
    let text = [
        ("text", "card"),
        ("text", "inset"),
        ("muted", "card"),
        ("muted", "inset"),
        ("muted", "ground"),
        ("muted", "glow"),
        ("action", "card"),
        ("action-over", "card"),
        ("on-action", "action"),
        ("on-action", "action-over"),
    ];
    let graphics =
        [("stone", "card"), ("focus", "card"), ("calm", "card"), ("good", "card"), ("wait", "card"), ("stop", "card")];
    for dark in [false, true] {
        for (pairs, least) in [(&text[..], 4.5), (&graphics[..], 3.0)] {
            for &(front, back) in pairs {
                let ratio = contrast(colour(dark, front), colour(dark, back));
                assert!(ratio >= least, "{front} on {back}, dark: {dark}: {ratio:.2}");
            }
        }
    }
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 0.01);
}
