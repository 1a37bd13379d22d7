//! What the races run on: one Portcullis, its providers, and visitors who call the check service themselves.

use portcullis_integration::check_client::{Answer, CheckClient};
use portcullis_integration::check_visitor::{CheckVisitor, location};
use portcullis_integration::portcullis::{Config, HOST, Portcullis, SESSION_COOKIE};
use portcullis_integration::provider::{Provider, Settings};
use portcullis_integration::visitor::{log_in, path_and_query};
use url::Url;

pub(crate) struct Ground {
    pub(crate) provider: Provider,
    pub(crate) portcullis: Portcullis,
    pub(crate) client: CheckClient,
}

impl Ground {
    pub(crate) async fn start(configure: impl FnOnce(Config) -> Config) -> Self {
        let provider = Provider::start(Settings::default()).await.unwrap();
        let config = Config::new().unwrap().provider(&provider).unwrap();
        let portcullis = configure(config).start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        Self { provider, portcullis, client }
    }

    /// Kills Portcullis and starts it again, with the same keys and store.
    pub(crate) async fn restart(&mut self) {
        self.portcullis.restart().await.unwrap();
        self.client = CheckClient::connect(&self.portcullis.check_address()).await.unwrap();
    }

    /// A browser that was never here.
    pub(crate) fn visitor(&self) -> CheckVisitor {
        CheckVisitor::new(&self.client, HOST)
    }

    /// A browser in which somebody is signed in.
    pub(crate) async fn signed_in(&self, user: &str) -> CheckVisitor {
        let mut visitor = self.visitor();
        let answer = visitor.sign_in(user, "/").await.unwrap();
        assert!(answer.is_allowed(), "{answer:?}");
        visitor
    }

    /// How many sessions began so far.
    pub(crate) async fn sessions(&self) -> u64 {
        self.portcullis.metric("portcullis_sessions_created_total", &[]).await.unwrap()
    }

    /// How many checks were decided for this reason so far.
    pub(crate) async fn decided(&self, reason: &str) -> u64 {
        let reason = format!("reason=\"{reason}\"");
        self.portcullis.metric("portcullis_checks_total", &[&reason]).await.unwrap()
    }

    /// How often codes were exchanged so far.
    pub(crate) fn exchanges(&self) -> u64 {
        self.provider.calls().token
    }
}

/// Whether an answer sends the browser to this provider, and nobody is signed in by it.
pub(crate) fn goes_to(answer: &Answer, provider: &Provider) -> bool {
    let sets_session = answer.told("set-cookie").iter().any(|cookie| cookie.starts_with(&format!("{SESSION_COOKIE}=")));
    let authorize = format!("{}/authorize?", provider.issuer());
    !sets_session && location(answer).is_ok_and(|to| to.as_str().starts_with(&authorize))
}

/// Opens a callback, and where that starts again goes along, as browsers do; where it landed, and after how many starts.
pub(crate) async fn finish(visitor: &mut CheckVisitor, user: &str, callback: &Url) -> (String, u32) {
    let mut callback = callback.clone();
    for starts in 0..4 {
        let answer = visitor.navigate(&path_and_query(&callback)).await.unwrap();
        let next = location(&answer).unwrap();
        if next.host_str() == Some(HOST) {
            return (path_and_query(&next), starts);
        }
        callback = log_in(&next, user).await.unwrap();
    }
    panic!("it started again and again: {callback}");
}

/// Who is signed in in a browser, as services would be told; none where nobody is.
pub(crate) async fn who(visitor: &CheckVisitor) -> Option<String> {
    let answer = visitor.clone().fetch("GET", "/api").await.unwrap();
    if let [user] = answer.passed("kubeflow-userid")[..] {
        return Some(user.to_owned());
    }
    assert_eq!(answer.status(), 401, "{answer:?}");
    None
}
