//! Races and replays: the same thing twice at once, too late, in another browser, at another origin.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

mod races {
    pub(crate) mod clocks;
    pub(crate) mod ground;
    pub(crate) mod histories;
    pub(crate) mod logout;
}

use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use portcullis_integration::check_client::{Check, CheckClient};
use portcullis_integration::check_visitor::{CheckVisitor, location};
use portcullis_integration::faults::{Fault, edit};
use portcullis_integration::jwt;
use portcullis_integration::portcullis::{Config, HOST, LOGIN_COOKIE, SESSION_COOKIE};
use portcullis_integration::provider::{Provider, Settings};
use portcullis_integration::visitor::{log_in, path_and_query};
use serde_json::json;

use self::races::ground::{Ground, finish, goes_to, who};

const ALICE: Option<&str> = Some("alice@example.com");

#[tokio::test]
async fn the_same_callback_at_once_is_one_exchange_and_one_session() {
    let ground = Ground::start(|config| config).await;
    let mut visitor = ground.visitor();
    let to_provider = visitor.begin("/wanted").await.unwrap();
    let callback = path_and_query(&log_in(&to_provider, "alice").await.unwrap());
    // All of them come while the first is being exchanged.
    ground.provider.lie(|faults| faults.token = Fault::Delay(Duration::from_millis(500)));
    let mut tabs = vec![visitor; 16];
    let answers = join_all(tabs.iter_mut().map(|tab| tab.navigate(&callback))).await;
    for answer in &answers {
        let answer = answer.as_ref().unwrap();
        assert_eq!(location(answer).unwrap().path(), "/wanted");
    }
    let ticket = tabs[0].cookies[SESSION_COOKIE].clone();
    assert!(tabs.iter().all(|tab| tab.cookies[SESSION_COOKIE] == ticket), "two tickets came of one callback");
    assert_eq!((ground.exchanges(), ground.sessions().await), (1, 1));

    // Once more, after it is done: as a gateway does that repeats a check.
    tabs[0].navigate(&callback).await.unwrap();
    assert_eq!(tabs[0].cookies[SESSION_COOKIE], ticket);
    assert_eq!((ground.exchanges(), ground.sessions().await), (1, 1));
    assert_eq!(who(&tabs[0]).await.as_deref(), ALICE);
}

#[tokio::test]
async fn a_state_is_spent_by_one_code_of_several_at_once() {
    let ground = Ground::start(|config| config).await;
    let mut visitor = ground.visitor();
    let to_provider = visitor.begin("/wanted").await.unwrap();
    let mut callbacks = Vec::new();
    for _ in 0..8 {
        callbacks.push(path_and_query(&log_in(&to_provider, "alice").await.unwrap()));
    }
    let mut tabs = vec![visitor.clone(); callbacks.len()];
    let answers = join_all(tabs.iter_mut().zip(&callbacks).map(|(tab, callback)| tab.navigate(callback))).await;
    let signed_in: Vec<_> = tabs.iter().filter(|tab| tab.cookies.contains_key(SESSION_COOKIE)).collect();
    assert_eq!(signed_in.len(), 1, "one state signed in so often");
    let restarted = answers.iter().filter(|answer| goes_to(answer.as_ref().unwrap(), &ground.provider)).count();
    assert_eq!(restarted, callbacks.len() - 1);
    assert_eq!((ground.exchanges(), ground.sessions().await), (1, 1));

    // With the session, whoever comes with a spent state goes on to where they wanted.
    let mut signed_in = signed_in[0].clone();
    let other_code = path_and_query(&log_in(&to_provider, "bob").await.unwrap());
    let answer = signed_in.navigate(&other_code).await.unwrap();
    assert_eq!(location(&answer).unwrap().as_str(), format!("https://{HOST}/wanted"));
    assert!(answer.told("set-cookie").is_empty(), "{answer:?}");
    assert_eq!(who(&signed_in).await.as_deref(), ALICE);
    // Without, it starts again.
    assert!(goes_to(&visitor.navigate(&other_code).await.unwrap(), &ground.provider));
    assert_eq!((ground.exchanges(), ground.sessions().await), (1, 1));
}

#[tokio::test]
async fn a_callback_replayed_in_another_browser_gets_no_ticket() {
    let ground = Ground::start(|config| config).await;
    let mut visitor = ground.visitor();
    let to_provider = visitor.begin("/wanted").await.unwrap();
    let callback = path_and_query(&log_in(&to_provider, "alice").await.unwrap());
    let mut thieves = [ground.visitor(), ground.visitor(), ground.visitor()];
    // One was here, and has a login cookie of its own; one has guessed a cookie.
    thieves[1].begin("/").await.unwrap();
    thieves[2].cookies.insert(LOGIN_COOKIE.to_owned(), jwt::random_id());

    // While the owner's exchange runs, and when it is done and its answer still kept.
    ground.provider.lie(|faults| faults.token = Fault::Delay(Duration::from_millis(300)));
    let steal = async |thieves: &mut [CheckVisitor]| {
        for thief in thieves {
            assert!(goes_to(&thief.navigate(&callback).await.unwrap(), &ground.provider));
            assert_eq!(who(thief).await, None);
        }
    };
    let (answer, ()) = tokio::join!(visitor.navigate(&callback), steal(&mut thieves));
    assert_eq!(location(&answer.unwrap()).unwrap().path(), "/wanted");
    steal(&mut thieves).await;
    assert_eq!((ground.exchanges(), ground.sessions().await), (1, 1));
    assert_eq!(who(&visitor).await.as_deref(), ALICE);
}

#[tokio::test]
async fn an_attackers_callback_in_the_victims_browser_signs_nobody_in_as_the_attacker() {
    let ground = Ground::start(|config| config).await;
    let mut attacker = ground.visitor();
    let to_provider = attacker.begin("/wanted").await.unwrap();
    let callback = log_in(&to_provider, "bob").await.unwrap();
    let path = path_and_query(&callback);

    let mut cold = ground.visitor();
    let mut begun = ground.visitor();
    begun.begin("/own").await.unwrap();
    for victim in [&mut cold, &mut begun] {
        assert!(goes_to(&victim.navigate(&path).await.unwrap(), &ground.provider));
        assert_eq!(who(victim).await, None);
    }
    assert_eq!((ground.exchanges(), ground.sessions().await), (0, 0), "the attacker's code was looked at");
    // Whoever is signed in stays so.
    let mut victim = ground.signed_in("alice").await;
    let ticket = victim.cookies[SESSION_COOKIE].clone();
    let answer = victim.navigate(&path).await.unwrap();
    assert_eq!(location(&answer).unwrap().as_str(), format!("https://{HOST}/wanted"));
    assert_eq!((&victim.cookies[SESSION_COOKIE], who(&victim).await.as_deref()), (&ticket, ALICE));
    // By another site's script, in a frame, or fetched ahead of a click, the callback does nothing at all. A script of this
    // site may be a service worker that passes the browser's own way back on.
    let check = || Check::get(HOST, &path).header("accept", "text/html");
    let unasked = [
        check()
            .header("sec-fetch-mode", "cors")
            .header("sec-fetch-dest", "empty")
            .header("sec-fetch-site", "same-site"),
        check().header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "iframe"),
        check()
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("sec-purpose", "prefetch;prerender"),
    ];
    for check in unasked {
        let answer = attacker.ask(check).await.unwrap();
        assert_eq!((answer.status(), answer.told("set-cookie")), (400, Vec::new()), "{answer:?}");
    }
    assert_eq!((ground.exchanges(), ground.sessions().await), (1, 1), "nothing but the victim's own sign-in");
    // The control: it was never spent, and its own browser may open it.
    assert_eq!(attacker.come_back(&callback).await.unwrap(), "/wanted");
    assert_eq!(who(&attacker).await.as_deref(), Some("bob@example.com"));
}

#[tokio::test]
async fn a_ticket_fixed_before_the_login_is_worth_nothing_after_it() {
    let ground = Ground::start(|config| config).await;
    let attacker = ground.signed_in("bob").await;
    let planted = attacker.cookies[SESSION_COOKIE].clone();
    let mut victim = ground.visitor();
    victim.cookies.insert(SESSION_COOKIE.to_owned(), planted.clone());
    let to_provider = victim.begin_again("/wanted").await.unwrap();
    let callback = log_in(&to_provider, "alice").await.unwrap();
    assert_eq!(victim.come_back(&callback).await.unwrap(), "/wanted");
    assert_ne!(victim.cookies[SESSION_COOKIE], planted);
    assert_eq!((who(&victim).await.as_deref(), who(&attacker).await), (ALICE, None));
}

#[tokio::test]
async fn a_gateway_that_gives_up_on_a_callback_and_repeats_it_gets_its_ticket() {
    let ground = Ground::start(|config| config).await;
    let mut visitor = ground.visitor();
    let to_provider = visitor.begin("/wanted").await.unwrap();
    let callback = path_and_query(&log_in(&to_provider, "alice").await.unwrap());
    ground.provider.lie(|faults| faults.token = Fault::Delay(Duration::from_secs(2)));
    // Envoy gives up after 200 ms, where nobody told it otherwise.
    for _ in 0..2 {
        let given_up = tokio::time::timeout(Duration::from_millis(200), visitor.clone().navigate(&callback)).await;
        assert!(given_up.is_err(), "the provider is slower than that: {given_up:?}");
    }
    let answer = visitor.navigate(&callback).await.unwrap();
    assert_eq!(location(&answer).unwrap().path(), "/wanted");
    assert_eq!(who(&visitor).await.as_deref(), ALICE);
    assert_eq!((ground.exchanges(), ground.sessions().await), (1, 1));
}

#[tokio::test]
async fn a_browser_that_loses_its_login_cookie_is_not_sent_round_for_ever() {
    let ground = Ground::start(|config| config).await;
    let mut visitor = ground.visitor();
    let mut to_provider = visitor.begin("/wanted").await.unwrap();
    for _ in 0..2 {
        let callback = log_in(&to_provider, "alice").await.unwrap();
        visitor.cookies.clear();
        let answer = visitor.navigate(&path_and_query(&callback)).await.unwrap();
        assert!(goes_to(&answer, &ground.provider));
        to_provider = location(&answer).unwrap();
    }
    let callback = log_in(&to_provider, "alice").await.unwrap();
    visitor.cookies.clear();
    let answer = visitor.navigate(&path_and_query(&callback)).await.unwrap();
    assert_eq!((answer.status(), answer.reason().as_deref()), (400, Some("login_loop")));
    assert_eq!((ground.exchanges(), ground.sessions().await), (0, 0));
    // The control: a browser that keeps its cookie signs in.
    assert!(visitor.sign_in("alice", "/wanted").await.unwrap().is_allowed());
}

#[tokio::test]
async fn two_tabs_end_where_they_wanted_in_either_order() {
    let ground = Ground::start(|config| config).await;
    for cold in [false, true] {
        for order in [[0, 1], [1, 0]] {
            let mut visitor = ground.visitor();
            let mut callbacks = Vec::new();
            for tab in ["/tab/0?a=1", "/tab/1?b=%2F"] {
                if cold {
                    // Both tabs opened before either had an answer: each gets a cookie, the browser keeps the last.
                    visitor.cookies.clear();
                }
                let to_provider = visitor.begin(tab).await.unwrap();
                callbacks.push(log_in(&to_provider, "alice").await.unwrap());
            }
            let before = ground.sessions().await;
            let mut tickets = Vec::new();
            for tab in order {
                let (landed, starts) = finish(&mut visitor, "alice", &callbacks[tab]).await;
                assert_eq!(landed, ["/tab/0?a=1", "/tab/1?b=%2F"][tab], "cold: {cold}, order: {order:?}");
                // Of a cold pair the first tab's cookie is lost; where the other signed in meanwhile, it need not start.
                let expected = u32::from(cold && tab == 0 && order == [0, 1]);
                assert_eq!(starts, expected, "cold: {cold}, order: {order:?}, tab {tab}");
                assert_eq!(who(&visitor).await.as_deref(), ALICE);
                tickets.push(visitor.cookies[SESSION_COOKIE].clone());
            }
            // The browser has one live session: what it replaced has ended.
            let begun = ground.sessions().await - before;
            let resumed = cold && order == [1, 0];
            assert_eq!((begun, tickets[0] == tickets[1]), (if resumed { 1 } else { 2 }, resumed));
            if !resumed {
                let mut replayed = visitor.clone();
                replayed.cookies.insert(SESSION_COOKIE.to_owned(), tickets[0].clone());
                assert_eq!(who(&replayed).await, None, "the first tab's session lives on beside the second's");
            }
        }
    }
}

#[tokio::test]
async fn two_tabs_at_once_leave_one_session_in_the_browser() {
    let ground = Ground::start(|config| config).await;
    let mut visitor = ground.visitor();
    let mut callbacks = Vec::new();
    for tab in 0..6 {
        let to_provider = visitor.begin(&format!("/tab/{tab}")).await.unwrap();
        callbacks.push(path_and_query(&log_in(&to_provider, "alice").await.unwrap()));
    }
    let mut tabs = vec![visitor; callbacks.len()];
    let answers = join_all(tabs.iter_mut().zip(&callbacks).map(|(tab, callback)| tab.navigate(callback))).await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(location(answer.as_ref().unwrap()).unwrap().path(), format!("/tab/{number}"));
    }
    // Each answer sets a ticket of its own, and whichever the browser keeps works.
    for tab in &tabs {
        assert_eq!(who(tab).await.as_deref(), ALICE);
    }
    assert_eq!(ground.sessions().await, 6);
}

#[tokio::test]
async fn what_one_origin_gave_counts_for_nothing_at_another() {
    let (one, two) = (Provider::start(Settings::default()).await, Provider::start(Settings::default()).await);
    let (one, two) = (one.unwrap(), two.unwrap());
    let config = Config::new().unwrap().providers([("one.test", &one), ("two.test", &two)]).unwrap();
    let portcullis = config.start().await.unwrap();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();

    let mut here = CheckVisitor::new(&client, "one.test");
    let to_provider = here.begin("/wanted").await.unwrap();
    let callback = log_in(&to_provider, "alice").await.unwrap();
    let (path, login_cookie) = (path_and_query(&callback), here.cookies[LOGIN_COOKIE].clone());

    // The login, in full, with its cookie.
    let mut there = CheckVisitor::new(&client, "two.test");
    there.cookies.insert(LOGIN_COOKIE.to_owned(), login_cookie.clone());
    let answer = there.navigate(&path).await.unwrap();
    assert_eq!((answer.status(), answer.reason().as_deref()), (400, Some("state_invalid")));
    // The login cookie does not even begin a login there.
    let to_two = there.begin("/wanted").await.unwrap();
    assert_ne!(there.cookies[LOGIN_COOKIE], login_cookie);
    // The code, under the other origin's state; told by the one provider, or by the other.
    let (_, state) = to_two.query_pairs().find(|(name, _)| name == "state").unwrap();
    let (_, code) = callback.query_pairs().find(|(name, _)| name == "code").unwrap();
    for (issuer, status, reason) in [(one.issuer(), 403, "provider_mix_up"), (two.issuer(), 403, "provider_denied")] {
        let mut mixed = callback.clone();
        mixed.query_pairs_mut().clear().extend_pairs([("state", &*state), ("code", &*code), ("iss", issuer)]);
        let answer = there.navigate(&path_and_query(&mixed)).await.unwrap();
        assert_eq!((answer.status(), answer.reason().as_deref()), (status, Some(reason)), "{issuer}");
    }
    assert_eq!((one.calls().token, two.calls().token), (0, 1));
    assert_eq!(portcullis.metric("portcullis_sessions_created_total", &[]).await.unwrap(), 0);

    // The ticket.
    let landing = here.come_back(&callback).await.unwrap();
    let answer = here.navigate(&landing).await.unwrap();
    assert_eq!(answer.passed("kubeflow-userid"), ["one:alice@example.com"]);
    there.cookies.insert(SESSION_COOKIE.to_owned(), here.cookies[SESSION_COOKIE].clone());
    // More than once: neither the store nor what is remembered of it may mix them up.
    for _ in 0..3 {
        let answer = there.fetch("GET", "/api").await.unwrap();
        assert_eq!((answer.status(), answer.reason().as_deref()), (401, Some("ticket_invalid")));
        assert!(goes_to(&there.navigate("/wanted").await.unwrap(), &two));
        assert!(here.fetch("GET", "/api").await.unwrap().is_allowed());
    }
    // The control: two's own people can sign in.
    there.cookies.clear();
    assert!(there.sign_in("bob", "/wanted").await.unwrap().is_allowed());
}

/// What a check of one rule, in one person's name, must tell the service behind.
struct Expected<'a> {
    visitor: &'a CheckVisitor,
    user: &'a str,
    path: &'a str,
    audience: &'a str,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_alternating_checks_never_cross_users_or_audiences() {
    let rules = json!([
        { "name": "one", "paths": [{ "prefix": "/one/" }], "access": "authenticated", "audience": "audience-one" },
        { "name": "two", "paths": [{ "prefix": "/two/" }], "access": "authenticated", "audience": "audience-two" },
    ]);
    let ground = Ground::start(|config| config.rules(rules)).await;
    let (alice, bob) = (ground.signed_in("alice").await, ground.signed_in("bob").await);
    let people = [(&alice, "alice"), (&bob, "bob")];
    let kinds: Vec<Expected<'_>> = people
        .into_iter()
        .flat_map(|(visitor, user)| {
            [("/one/a", "audience-one"), ("/two/a", "audience-two"), ("/other", "kubeflow")]
                .map(|(path, audience)| Expected { visitor, user, path, audience })
        })
        .collect();
    let checks = (0..1_000).map(|number| {
        let expected = &kinds[number % kinds.len()];
        async move {
            let answer = expected.visitor.clone().fetch("GET", expected.path).await.unwrap();
            let [assertion] = answer.passed("portcullis-assertion")[..] else { panic!("{answer:?}") };
            let claims = jwt::claims(assertion).unwrap();
            let told = (claims["aud"].as_str().unwrap(), claims["sub"].as_str().unwrap());
            let subject = format!("user:test:subject-of-{}", expected.user);
            assert_eq!(told, (expected.audience, subject.as_str()), "{}", expected.path);
            let user = format!("{}@example.com", expected.user);
            assert_eq!(answer.passed("kubeflow-userid"), [user.as_str()]);
        }
    });
    let answered = stream::iter(checks).buffer_unordered(64).count().await;
    assert_eq!(answered, 1_000);
    assert_eq!(ground.decided("session").await, 1_002);
}

#[tokio::test]
async fn a_code_of_another_flow_or_an_old_nonce_signs_nobody_in() {
    let ground = Ground::start(|config| config).await;
    let mut visitor = ground.visitor();
    let first = log_in(&visitor.begin("/first").await.unwrap(), "alice").await.unwrap();
    let second = log_in(&visitor.begin("/second").await.unwrap(), "alice").await.unwrap();
    let (_, code) = first.query_pairs().find(|(name, _)| name == "code").unwrap();
    let mut crossed = second.clone();
    let kept: Vec<_> = second.query_pairs().filter(|(name, _)| name != "code").collect();
    crossed.query_pairs_mut().clear().extend_pairs(kept).append_pair("code", &code);
    let answer = visitor.navigate(&path_and_query(&crossed)).await.unwrap();
    assert_eq!((answer.status(), answer.reason().as_deref()), (403, Some("provider_denied")));

    // A provider that does not look at PKCE and mixes its codes up: the nonce tells.
    let third = visitor.begin("/third").await.unwrap();
    let (_, nonce) = third.query_pairs().find(|(name, _)| name == "nonce").unwrap();
    let nonce = nonce.into_owned();
    let fourth = log_in(&visitor.begin("/fourth").await.unwrap(), "alice").await.unwrap();
    ground.provider.lie(|faults| faults.edit_claims = edit(move |claims| claims["nonce"] = json!(nonce)));
    let answer = visitor.navigate(&path_and_query(&fourth)).await.unwrap();
    assert_eq!((answer.status(), answer.reason().as_deref()), (403, Some("id_token_invalid")));
    assert_eq!(ground.sessions().await, 0);
    ground.provider.be_honest();
    assert!(visitor.sign_in("alice", "/").await.unwrap().is_allowed());
}
