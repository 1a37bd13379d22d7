//! What a caller repeats: it costs no more calls than what is said once, and no more work than its bytes.

use std::time::Duration;

use allocation_counter::measure;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

use super::*;
use crate::request::Path;

/// A cookie header as large as Envoy lets one pass.
const LARGE: usize = 60 * 1024;
/// The longest path that is read.
const LONG: usize = 16 * 1024 - 64;

const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// `part` as often as it fits into so many bytes.
fn repeated(part: &str, bytes: usize) -> String {
    part.repeat(bytes / part.len())
}

/// How often the store was called for this check, with what came of it.
async fn calls(fixture: &Fixture, method: &str, path: &str, headers: &[(&str, &str)]) -> (usize, Checked) {
    let before = fixture.store.calls();
    let checked = fixture.check(method, path, headers).await;
    (fixture.store.calls() - before, checked)
}

async fn sign_out(fixture: &Fixture, cookies: &str) -> (usize, Respond) {
    let (calls, checked) = calls(fixture, "POST", "/portcullis/logout", &[SAME_ORIGIN, ("cookie", cookies)]).await;
    let Decision::Respond(respond) = checked.decision else { panic!("allowed") };
    (calls, respond)
}

async fn is_signed_in(fixture: &Fixture, cookie: &str) -> bool {
    fixture.check("GET", "/", &[("cookie", cookie)]).await.decision.reason() == Reason::Session
}

#[tokio::test]
async fn a_ticket_that_is_said_hundreds_of_times_is_one_to_the_store() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    let (alive, respond) = sign_out(&fixture, &cookie).await;
    assert_eq!((respond.reason, respond.disposition), (Reason::SignedOut, Disposition::Created));
    let (dead, respond) = sign_out(&fixture, &cookie).await;
    assert_eq!(respond.reason, Reason::SignedOut);
    let (many, respond) = sign_out(&fixture, &repeated(&format!("{cookie}; "), LARGE)).await;
    assert_eq!(respond.reason, Reason::SignedOut);
    assert!(many <= dead && dead <= 3 && alive <= 3, "{alive} alive, {dead} dead, {many} dead and repeated");
}

#[tokio::test]
async fn made_up_tickets_never_reach_the_store() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    let (name, ticket) = cookie.split_once('=').unwrap();
    // Of the right length and under the right key, but for the last characters.
    let made_up = |number: usize| format!("{name}={}{number:06}", &ticket[..ticket.len() - 6]);
    let cookies: Vec<String> = (0..LARGE / cookie.len()).map(made_up).collect();
    let (calls, respond) = sign_out(&fixture, &cookies.join("; ")).await;
    assert_eq!((calls, respond.reason), (0, Reason::SignedOut));
    assert!(respond.set_cookie.is_some(), "the browser keeps its cookies");
    // A live one among them ends all the same.
    let (calls, respond) = sign_out(&fixture, &format!("{}; {cookie}", cookies.join("; "))).await;
    assert!(calls <= 3 && respond.reason == Reason::SignedOut, "{calls} {:?}", respond.reason);
    assert!(!is_signed_in(&fixture, &cookie).await);
}

#[tokio::test]
async fn a_planted_ticket_does_not_save_the_own_session_from_its_end() {
    let fixture = Fixture::new().await;
    let (planted, own) = (fixture.sign_in(&[]).await, fixture.sign_in(&[]).await);
    let (calls, respond) = sign_out(&fixture, &format!("{planted}; {own}; {planted}")).await;
    assert_eq!((respond.reason, respond.disposition), (Reason::SignedOut, Disposition::Created));
    assert!(calls <= 6, "{calls} calls");
    assert!(!is_signed_in(&fixture, &planted).await && !is_signed_in(&fixture, &own).await);
}

#[tokio::test]
async fn more_tickets_than_a_browser_can_have_are_not_called_signed_out() {
    let fixture = Fixture::new().await;
    let mut cookies = Vec::new();
    for _ in 0..50 {
        cookies.push(fixture.sign_in(&[]).await);
    }
    let (calls, respond) = sign_out(&fixture, &cookies.join("; ")).await;
    assert_eq!((respond.reason, respond.disposition), (Reason::TicketInvalid, Disposition::BadRequest));
    assert!(respond.set_cookie.is_some(), "the browser keeps its cookies");
    assert!(calls <= 12, "{calls} calls");
    let mut alive = 0;
    for cookie in &cookies {
        alive += usize::from(is_signed_in(&fixture, cookie).await);
    }
    assert_eq!(alive, 46);
}

#[tokio::test]
async fn no_endpoint_of_ours_asks_the_store_more_for_what_is_repeated() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&["dev"]).await;
    let login = format!("__Host-portcullis-login={}", cookie.split_once('=').unwrap().1);
    let both = repeated(&format!("{cookie}; {login}; "), LARGE);
    let query = repeated("state=a&code=b&iss=c&sid=d&end=others&token=e&return=/&", 8 * 1024);
    let top = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), SAME_ORIGIN];
    for path in ["/", "/portcullis/login", "/portcullis/callback", "/portcullis/whoami", "/portcullis/sessions"]
        .into_iter()
        .chain(["/portcullis/signed-out", "/portcullis/frontchannel-logout", "/portcullis/nothing", "/optional"])
    {
        let path = format!("{path}?{query}");
        for method in ["GET", "POST"] {
            for headers in [vec![SAME_ORIGIN], top.to_vec()] {
                let headers = [headers, vec![("cookie", both.as_str()); 90]].concat();
                let (calls, checked) = calls(&fixture, method, &path, &headers).await;
                assert!(calls <= 1, "{method} {path:.40}: {calls} calls, {:?}", checked.decision.reason());
            }
        }
    }
    assert!(is_signed_in(&fixture, &cookie).await);
}

/// A checker whose tasks all run on the thread that measures.
fn on_this_thread() -> (Runtime, Fixture) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fixture = runtime.block_on(async { Fixture::new().await });
    (runtime, fixture)
}

/// How much of a processor this thread has used: what others do at that time does not count.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.try_into().unwrap(), used.tv_nsec.try_into().unwrap())
}

/// A check's cost: bytes that were allocated, and time. Of several runs the least, since other work only adds.
fn cost(runtime: &Runtime, fixture: &Fixture, path: &str, headers: &[(&str, &str)]) -> (u64, Duration) {
    let run = || {
        let (begun, mut bytes) = (used(), 0);
        let allocated =
            measure(|| bytes = runtime.block_on(fixture.check("GET", path, headers)).record.request_id().len());
        assert!(bytes > 0, "there is a record");
        (allocated.bytes_total, used().saturating_sub(begun))
    };
    let runs: Vec<_> = (0..7).map(|_| run()).collect();
    (runs.iter().map(|run| run.0).min().unwrap(), runs.iter().map(|run| run.1).min().unwrap())
}

/// What is sixteen times as long costs some sixteen times as much; where each byte were compared with each other one it
/// would be 256 times.
fn assert_linear(what: &str, short: (u64, Duration), long: (u64, Duration)) {
    // What a check costs anyway.
    let (bytes, time) = (short.0 + 8 * 1024, short.1 + Duration::from_micros(100));
    assert!(long.0 <= bytes * 48, "{what}: {} bytes, and {} for a sixteenth of it", long.0, short.0);
    assert!(long.1 <= time * 80, "{what}: {:?}, and {:?} for a sixteenth of it", long.1, short.1);
}

#[test]
fn headers_cost_by_their_length_and_not_by_its_square() {
    let (runtime, fixture) = on_this_thread();
    let ticket = runtime.block_on(fixture.sign_in(&[]));
    for (name, part) in [
        ("cookie", format!("{ticket}; ")),
        ("cookie", "a=1; ".to_owned()),
        ("cookie", "__Host-portcullis=; a=__Host-portcullis; ".to_owned()),
        ("cookie", "__Host-portcullis-login=".to_owned()),
        ("cookie", ";".to_owned()),
        ("cookie", "__Host-".to_owned()),
        ("authorization", "Bearer a,".to_owned()),
        ("authorization", ",".to_owned()),
        ("authorization", "Bearer ".to_owned()),
        ("authorization", "a.".to_owned()),
        ("connection", "kubeflow,".to_owned()),
        ("connection", ",".to_owned()),
        ("accept", "text/html,".to_owned()),
        ("upgrade", "websocke".to_owned()),
        ("purpose", "prefetc".to_owned()),
        ("origin", "https://a.".to_owned()),
        ("x-request-id", "a-".to_owned()),
    ] {
        let [short, long] = [LARGE / 16, LARGE].map(|bytes| {
            let value = repeated(&part, bytes);
            cost(&runtime, &fixture, "/optional", &[(name, &value)])
        });
        assert_linear(&format!("{name}: {part:.20}"), short, long);
    }
    let spelled: Vec<String> = (0..96)
        .map(|bits| format!("x{}auth{}request{}{bits}", ["-", "_"][bits % 2], ["-", "."][bits / 2 % 2], "-"))
        .collect();
    let [few, many] = [6, 96].map(|count| {
        let headers: Vec<(&str, &str)> = spelled.iter().take(count).map(|name| (name.as_str(), "a")).collect();
        cost(&runtime, &fixture, "/optional", &headers)
    });
    assert_linear("names of protected headers", few, many);
}

/// Parts of which the worst paths are made.
const PARTS: [&str; 18] = [
    "%25", "%2525", ";", ";a=b", "/", "//", "/;", "/.", "/%2e", "%2f", "%5c", "\\", "%3b", "%23", "#", "%u0061", "%",
    "/a%",
];

#[test]
fn a_path_costs_by_its_length_and_not_by_its_square() {
    let (runtime, fixture) = on_this_thread();
    for part in PARTS {
        let [short, long] = [LONG / 16, LONG]
            .map(|bytes| cost(&runtime, &fixture, &format!("/optional/{}", repeated(part, bytes)), &[]));
        assert_linear(&format!("a path of {part}"), short, long);
    }
    let [short, long] =
        [LONG / 16, LONG].map(|bytes| cost(&runtime, &fixture, &format!("/optional?{}", repeated("a&", bytes)), &[]));
    assert_linear("a query", short, long);
}

/// Each reading is matched with each rule, so there must be few, however long the path is.
#[test]
fn a_path_has_few_readings_however_long_it_is() {
    const MOST: usize = 32;
    let most_of = |path: &str| Path::new(path).readings().map_or(0, <[String]>::len);
    for one in PARTS {
        for other in PARTS {
            let path = format!("/{}", repeated(&format!("{one}{other}"), LARGE));
            assert!(most_of(&path) <= MOST, "{one} and {other}: {} readings", most_of(&path));
        }
    }
    // Encoded over itself, as deep as it goes.
    for depth in 0..12 {
        let path = format!("/{}", repeated(&format!("%{}3b/a;%{}2f", "25".repeat(depth), "25".repeat(depth)), LARGE));
        assert!(most_of(&path) <= MOST, "{depth} deep: {} readings", most_of(&path));
    }
}
