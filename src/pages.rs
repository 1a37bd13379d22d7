//! The HTML pages: they work without JavaScript, fetch nothing, follow light and dark, and fit a phone.
//!
//! Every value from outside is escaped by the templates' engine; every address is a [`Location`], so that no page can
//! link to `javascript:`. The style stands in the page, and the policy allows it by its hash alone.

mod words;

use std::{sync::LazyLock, time::Duration};

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use url::Url;

use crate::{
    decision::{HeaderText, Location, Page},
    reason::{Disposition, Reason},
    request::Host,
};

/// The one style of all pages, as it stands between `<style>` and `</style>`.
const STYLE: &str = include_str!("pages/style.css");

/// The style as a source of Content-Security-Policy (CSP Level 3 section 2.3.1): quoted, base64 with padding.
static STYLE_SOURCE: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()))));

/// What the problem page tells about a refusal.
#[derive(Clone, Debug)]
pub struct Problem<'a> {
    /// The kind of the answer: it chooses the heading.
    pub disposition: Disposition,
    /// Why.
    pub reason: Reason,
    /// The request's id, to find it in the logs.
    pub request_id: Option<&'a str>,
    /// What more there is to say of the reason.
    pub detail: Option<&'a str>,
    /// Who is signed in.
    pub signed_in_as: Option<&'a str>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Where "Try again" leads.
    pub try_again: Option<&'a Location>,
    /// Where "Use another account" leads.
    pub use_another_account: Option<&'a Location>,
    /// Where "Go to the start page" leads.
    pub home: Option<&'a Location>,
}

impl Problem<'_> {
    /// A refusal of which nothing more is known.
    #[must_use]
    pub const fn new(disposition: Disposition, reason: Reason) -> Self {
        Self {
            disposition,
            reason,
            request_id: None,
            detail: None,
            signed_in_as: None,
            retry_after: None,
            try_again: None,
            use_another_account: None,
            home: None,
        }
    }
}

/// What the "who am I" page tells. Times are texts for people.
#[derive(Clone, Debug)]
pub struct WhoAmI<'a> {
    /// The name that services are told.
    pub user: &'a str,
    /// The e-mail address, where the provider gave one that counts.
    pub email: Option<&'a str>,
    /// The groups that services are told.
    pub groups: &'a [String],
    /// How the user was authenticated.
    pub method: &'a str,
    /// When the session began.
    pub created: &'a str,
    /// When the session was last used.
    pub last_seen: &'a str,
    /// When the session ends at the latest.
    pub expires: &'a str,
    /// The page of the person's own sessions.
    pub sessions: &'a Location,
    /// The button that signs out.
    pub logout: LogoutForm<'a>,
}

/// One session on the page of a person's own sessions. Times are texts for people.
#[derive(Clone, Debug)]
pub struct OwnSession<'a> {
    /// Where the person signed in from; empty where that is not known.
    pub source: &'a str,
    /// When the session began.
    pub created: &'a str,
    /// When the session was last used.
    pub last_seen: &'a str,
    /// The form that ends it; the session that asks has none.
    pub end: Option<&'a Location>,
}

/// What the page of a person's own sessions tells.
#[derive(Clone, Debug)]
pub struct OwnSessions<'a> {
    /// The name that services are told.
    pub user: &'a str,
    /// The sessions, that of this browser first.
    pub sessions: &'a [OwnSession<'a>],
    /// The form that ends all but this one, where there are others.
    pub end_others: Option<&'a Location>,
    /// The form that ends the session that asks.
    pub logout: LogoutForm<'a>,
}

/// A form that signs out: a POST without a body, its token in the query of `action`.
#[derive(Clone, Copy, Debug)]
pub struct LogoutForm<'a> {
    /// Where it is sent: an address of this origin.
    pub action: &'a Location,
    /// Where the answer leads. Browsers hold redirects to `form-action` too, so another origin must be named there.
    pub leads_to: Option<&'a Location>,
    /// The provider's address that the answer leads through, where it does. The provider may send the browser on to
    /// any other one, such as that of a provider behind it.
    pub through: Option<&'a Location>,
}

/// A refusal: what happened, the reason and the request's id to hand on, and what to do next.
#[must_use]
pub fn problem(problem: &Problem<'_>) -> Page {
    page(
        &ProblemPage {
            heading: words::heading(problem.disposition, problem.reason),
            tone: words::tone(problem.disposition).class(),
            happened: problem.reason.summary(),
            advice: words::advice(problem.disposition, problem.reason),
            wait: problem.retry_after.map(words::wait),
            problem,
        },
        &Policy::STRICT,
    )
}

/// The session has ended; `sign_in` is a page that asks for sign-in, mostly the origin's start page. `may_be_remembered`
/// where nobody knows that the provider's own session has ended too.
#[must_use]
pub fn signed_out(sign_in: &Location, may_be_remembered: bool) -> Page {
    page(&SignedOutPage { sign_in, may_be_remembered }, &Policy::STRICT)
}

/// Nobody is signed in, and the page is to show inside a frame, where sign-in cannot run: the link opens `sign_in` at
/// top level. Pages of the same origin may frame it, no others.
#[must_use]
pub fn sign_in_in_frame(sign_in: &Location) -> Page {
    page(&SignInInFramePage { sign_in }, &Policy { frame_ancestors: "'self'", ..Policy::STRICT })
}

/// Nobody is signed in, and a service worker asked for the page: `sign_in` may lead on through it, and `way_out` removes it.
#[must_use]
pub fn sign_in_behind_worker(sign_in: &Location, way_out: &Location) -> Page {
    page(&SignInBehindWorkerPage { sign_in, way_out }, &Policy::STRICT)
}

/// A service worker stands between the browser and sign-in: `clear` removes it.
#[must_use]
pub fn service_worker_between(clear: &Location, sign_in: &Location) -> Page {
    page(&ServiceWorkerBetweenPage { clear, sign_in }, &Policy::STRICT)
}

/// The service worker is removed.
#[must_use]
pub fn site_data_cleared(sign_in: &Location) -> Page {
    page(&SiteDataClearedPage { sign_in }, &Policy::STRICT)
}

/// The person is signed in, and nothing but a link can lead the browser on.
#[must_use]
pub fn go_on(to: &Location) -> Page {
    page(&GoOnPage { to }, &Policy::STRICT)
}

/// The provider ended the session from a page of its own: only pages of these origins may frame it.
#[must_use]
pub fn signed_out_by_provider(origins: &[HostSource]) -> Page {
    let sources: Vec<&str> = origins.iter().map(HostSource::as_str).collect();
    let frame_ancestors =
        if sources.is_empty() { Policy::STRICT.frame_ancestors.to_owned() } else { sources.join(" ") };
    page(&SignedOutByProviderPage, &Policy { frame_ancestors: &frame_ancestors, ..Policy::STRICT })
}

/// Who is signed in, as services are told.
#[must_use]
pub fn who_am_i(who: &WhoAmI<'_>) -> Page {
    page(&WhoAmIPage { who }, &Policy { form: Some(who.logout), ..Policy::STRICT })
}

/// A person's own sessions, each with a button that ends it.
#[must_use]
pub fn own_sessions(own: &OwnSessions<'_>) -> Page {
    page(&OwnSessionsPage { own }, &Policy { form: Some(own.logout), ..Policy::STRICT })
}

/// A page with a button that signs out, for whoever came by a link; `stay` is where the other button leads.
#[must_use]
pub fn confirm_logout(logout: LogoutForm<'_>, signed_in_as: Option<&str>, stay: &Location) -> Page {
    page(&ConfirmLogoutPage { logout, signed_in_as, stay }, &Policy { form: Some(logout), ..Policy::STRICT })
}

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "problem.html")]
struct ProblemPage<'a> {
    heading: &'static str,
    tone: &'static str,
    happened: &'static str,
    advice: &'static str,
    wait: Option<String>,
    problem: &'a Problem<'a>,
}

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "signed_out.html")]
struct SignedOutPage<'a> {
    sign_in: &'a Location,
    may_be_remembered: bool,
}

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "signed_out_by_provider.html")]
struct SignedOutByProviderPage;

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "sign_in_in_frame.html")]
struct SignInInFramePage<'a> {
    sign_in: &'a Location,
}

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "sign_in_behind_worker.html")]
struct SignInBehindWorkerPage<'a> {
    sign_in: &'a Location,
    way_out: &'a Location,
}

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "service_worker_between.html")]
struct ServiceWorkerBetweenPage<'a> {
    clear: &'a Location,
    sign_in: &'a Location,
}

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "site_data_cleared.html")]
struct SiteDataClearedPage<'a> {
    sign_in: &'a Location,
}

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "go_on.html")]
struct GoOnPage<'a> {
    to: &'a Location,
}

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "who_am_i.html")]
struct WhoAmIPage<'a> {
    who: &'a WhoAmI<'a>,
}

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "own_sessions.html")]
struct OwnSessionsPage<'a> {
    own: &'a OwnSessions<'a>,
}

#[derive(Template)]
#[template(config = "src/pages/askama.toml", path = "confirm_logout.html")]
struct ConfirmLogoutPage<'a> {
    logout: LogoutForm<'a>,
    signed_in_as: Option<&'a str>,
    stay: &'a Location,
}

/// An origin as a source of a Content-Security-Policy (CSP Level 3 section 2.3.1, `host-source`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSource(String);

impl HostSource {
    /// The origin of this URL; none where it has none that a policy can hold. A URL's host may hold `;` and `,` (WHATWG
    /// URL, "forbidden domain code point"), which part directives and policies.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        let plain = matches!(url.scheme(), "http" | "https") && Host::parse(url.host_str()?).is_ok();
        plain.then(|| Self(url.origin().ascii_serialization()))
    }

    /// The source, as it stands in a policy.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a page's Content-Security-Policy allows beyond its own style.
struct Policy<'a> {
    frame_ancestors: &'a str,
    form: Option<LogoutForm<'a>>,
}

impl Policy<'_> {
    const STRICT: Self = Self { frame_ancestors: "'none'", form: None };

    #[expect(clippy::expect_used, reason = "a hash, keywords and parsed origins are visible ASCII")]
    fn header(&self) -> HeaderText {
        let style = &*STYLE_SOURCE;
        let frames = self.frame_ancestors;
        let mut forms = "'self'".to_owned();
        if let Some(form) = self.form {
            let places = [form.leads_to, form.through].into_iter().flatten();
            let anywhere = form.through.map(|_| "https:".to_owned());
            let places = places.filter_map(|place| other_origin(form.action, place)).map(|source| source.0);
            for source in places.chain(anywhere) {
                forms.push(' ');
                forms.push_str(&source);
            }
        }
        HeaderText::parse(format!(
            "default-src 'none'; style-src {style}; form-action {forms}; frame-ancestors {frames}; base-uri 'none'"
        ))
        .expect("hash, keywords and serialised origins are visible ASCII")
    }
}

/// The origin that a form's answer leads to, where it is not the form's own.
fn other_origin(action: &Location, leads_to: &Location) -> Option<HostSource> {
    let url = |location: &Location| Url::parse(location.as_str()).ok();
    let (own, target) = (url(action)?, url(leads_to)?);
    HostSource::of(&target).filter(|_| own.origin() != target.origin())
}

#[expect(clippy::expect_used, reason = "writing to a String does not fail, nor does displaying plain values")]
fn page(template: &impl Template, policy: &Policy<'_>) -> Page {
    let html = template.render().expect("plain values are written to a String, which cannot fail");
    Page { html, content_security_policy: policy.header() }
}

#[cfg(test)]
mod tests;
