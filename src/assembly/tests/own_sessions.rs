//! The page of a person's own sessions.

use super::*;

/// The addresses of the page's forms, in their order.
fn forms(html: &str) -> Vec<String> {
    let actions = html.split("action=\"").skip(1).filter_map(|rest| rest.split('"').next());
    actions.map(|action| action.replace("&#38;", "&").replace("https://kf.example.com", "")).collect()
}

async fn page(fixture: &Fixture, cookie: &str) -> String {
    let headers = [navigation(), vec![("cookie", cookie)]].concat();
    let checked = fixture.check("GET", "/portcullis/sessions", &headers).await;
    let Decision::Respond(respond) = checked.decision else { panic!("allowed") };
    let Body::Page(page) = respond.body else { panic!("{:?}", respond.body) };
    page.html
}

/// What a button of a page of ours sends.
async fn press(fixture: &Fixture, address: &str, cookie: &str) -> Reason {
    let headers = [("cookie", cookie), ("origin", "https://kf.example.com"), ("sec-fetch-site", "same-origin")];
    fixture.check("POST", address, &headers).await.decision.reason()
}

async fn is_signed_in(fixture: &Fixture, cookie: &str) -> bool {
    fixture.check("GET", "/", &[("cookie", cookie)]).await.decision.reason() == Reason::Session
}

#[tokio::test]
async fn each_session_of_oneself_is_listed_and_ended_alone() {
    let fixture = Fixture::new().await;
    let (mine, lost, kept) = (fixture.sign_in(&[]).await, fixture.sign_in(&[]).await, fixture.sign_in(&[]).await);
    let html = page(&fixture, &mine).await;
    assert_eq!((html.matches("This browser").count(), html.matches("Another browser").count()), (1, 2));
    let listed = fixture.sessions.list_subject(fixture::ISSUER, "42").await.unwrap();
    let forms = forms(&html);
    assert_eq!(forms.len(), 4, "{forms:?}");
    assert_eq!(forms[0], "/portcullis/logout", "that of this browser comes first, and its button signs out");

    // The three began in the same moment: which one is this browser's, the list does not say.
    let of_others: Vec<_> =
        forms.iter().filter(|form| listed.iter().any(|listing| form.contains(listing.handle.as_str()))).collect();
    let [form, _] = of_others[..] else { panic!("two others: {forms:?}") };
    assert_eq!(press(&fixture, form, &mine).await, Reason::SignedOut);
    let alive = [&mine, &lost, &kept].map(|cookie| is_signed_in(&fixture, cookie));
    let alive = futures::future::join_all(alive).await;
    assert_eq!(alive.iter().filter(|alive| !**alive).count(), 1, "{alive:?}");
    assert!(alive[0]);
}

#[tokio::test]
async fn all_others_end_and_this_one_stays() {
    let fixture = Fixture::new().await;
    let (mine, other) = (fixture.sign_in(&[]).await, fixture.sign_in(&[]).await);
    let html = page(&fixture, &mine).await;
    let form = forms(&html).into_iter().find(|form| form.contains("end=others")).unwrap();
    assert_eq!(press(&fixture, &form, &mine).await, Reason::SignedOut);
    assert!(is_signed_in(&fixture, &mine).await && !is_signed_in(&fixture, &other).await);
    assert!(!page(&fixture, &mine).await.contains("end=others"), "there are no others");
}

#[tokio::test]
async fn a_forged_post_ends_nothing() {
    let fixture = Fixture::new().await;
    let (mine, other) = (fixture.sign_in(&[]).await, fixture.sign_in(&[]).await);
    let own = forms(&page(&fixture, &mine).await);
    let theirs = forms(&page(&fixture, &other).await);
    let form = own.iter().find(|form| form.contains("end=others")).unwrap();
    let of_other = theirs.iter().find(|form| form.contains("end=others")).unwrap();

    // Another browser's token, none, a wrong one, and one of another form.
    let token = own[1].split("token=").nth(1).unwrap();
    for address in [
        of_other.as_str(),
        "/portcullis/sessions?end=others",
        "/portcullis/sessions?end=others&token=AAAA",
        &format!("/portcullis/sessions?end=others&token={token}"),
        &format!("{form}&end=others"),
        "/portcullis/sessions",
    ] {
        assert_eq!(press(&fixture, address, &mine).await, Reason::CrossOrigin, "{address}");
    }
    // Another site's page, one that hides where it comes from, and no page at all.
    for headers in [
        vec![("origin", "https://evil.example.com"), ("sec-fetch-site", "cross-site")],
        vec![("origin", "https://kf.example.com"), ("sec-fetch-site", "same-site")],
        vec![("origin", "null")],
        vec![],
    ] {
        let headers = [headers, vec![("cookie", mine.as_str())]].concat();
        let checked = fixture.check("POST", form, &headers).await;
        assert_eq!(checked.decision.reason(), Reason::CrossOrigin, "{headers:?}");
    }
    // A link.
    let link = [navigation(), vec![("cookie", mine.as_str())]].concat();
    assert_eq!(fixture.check("GET", form, &link).await.decision.reason(), Reason::Page);
    assert!(is_signed_in(&fixture, &mine).await && is_signed_in(&fixture, &other).await);
}

#[tokio::test]
async fn without_a_session_there_is_no_list() {
    let fixture = Fixture::new().await;
    let anonymous = fixture.check("GET", "/portcullis/sessions", &navigation()).await;
    assert_eq!(anonymous.decision.reason(), Reason::LoginStarted);
    let script = fixture.check("GET", "/portcullis/sessions", &[]).await;
    assert_eq!(script.decision.reason(), Reason::NotSignedIn);
    assert_eq!(press(&fixture, "/portcullis/sessions?end=others&token=x", "a=b").await, Reason::NotSignedIn);
    let mine = fixture.sign_in(&[]).await;
    let script = fixture.check("GET", "/portcullis/sessions", &[("cookie", &mine)]).await;
    assert_eq!(script.decision.reason(), Reason::NotANavigation);
}
