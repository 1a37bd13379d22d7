//! A realm, the product in front of it, and people with browsers.

use portcullis_integration::check_client::{Answer, CheckClient};
use portcullis_integration::check_visitor::{CheckVisitor, location};
use portcullis_integration::keycloak::{Keycloak, Plan, Realm};
use portcullis_integration::patience::until;
use portcullis_integration::portcullis::{Config, HOST, Portcullis};
use portcullis_integration::registration::Person;
use portcullis_integration::visitor::path_and_query;
use serde_json::Value;
use url::Url;

/// One realm and its gate.
pub(crate) struct Ground {
    pub(crate) realm: Realm,
    pub(crate) portcullis: Portcullis,
    client: CheckClient,
}

impl Ground {
    /// Makes the realm, and starts the product with our default scopes. Keycloak knows where logout tokens go.
    pub(crate) async fn open(keycloak: &Keycloak, plan: Plan, configure: impl FnOnce(Config) -> Config) -> Self {
        let config = Config::new().unwrap();
        let back_channel = format!("http://{}/backchannel-logout/keycloak", config.http_address());
        let realm = keycloak.realm(plan.attribute("backchannel.logout.url", &back_channel)).await.unwrap();
        let mut config = config.sign_in_at(realm.registration()).unwrap();
        config.tree()["providers"][0].as_object_mut().unwrap().remove("scopes");
        let portcullis = configure(config).start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        Self { realm, portcullis, client }
    }

    /// A browser of somebody, without cookies.
    pub(crate) fn browser(&self, user: &str) -> Browser {
        Browser { visitor: CheckVisitor::new(&self.client, HOST), person: self.realm.person(user).unwrap() }
    }

    /// A browser in which somebody has signed in.
    pub(crate) async fn signed_in(&self, user: &str) -> Browser {
        let mut browser = self.browser(user);
        let answer = browser.sign_in("/").await;
        assert!(answer.is_allowed(), "{user}: {answer:?}\n{}", self.portcullis.log_tail());
        browser
    }

    /// The records of this level that hold a text.
    pub(crate) async fn told(&self, level: &str, text: &str) -> Vec<String> {
        self.portcullis.told(level, text).await.unwrap().iter().map(Value::to_string).collect()
    }

    /// The sum of a metric of this provider.
    pub(crate) async fn count(&self, metric: &str, outcome: &str) -> u64 {
        let labels = [r#"provider="keycloak""#, outcome];
        self.portcullis.metric(metric, &labels).await.unwrap()
    }

    /// How many refreshes succeeded.
    pub(crate) async fn refreshes(&self) -> u64 {
        self.count("portcullis_oidc_refreshes_total", r#"outcome="success""#).await
    }

    /// How many logout tokens were accepted.
    pub(crate) async fn back_channel_logouts(&self) -> u64 {
        self.count("portcullis_oidc_back_channel_logouts_total", r#"outcome="accepted""#).await
    }

    /// Uses a session until it does not pass any more; it is never refused in another way.
    pub(crate) async fn ends(&self, browser: &mut Browser) {
        until("the session's end", async || {
            let status = browser.status().await;
            assert!(matches!(status, 200 | 401), "{status}\n{}", self.portcullis.log_tail());
            (status == 401).then_some(())
        })
        .await;
    }
}

/// How often somebody tries to sign in.
const SIGN_INS: usize = 4;

/// Somebody's browser: what we know of it, and what Keycloak knows of it.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) visitor: CheckVisitor,
    pub(crate) person: Person,
}

impl Browser {
    /// Signs in at Keycloak's pages, and gives the answer of the page that was wanted. Where Keycloak takes longer than a
    /// sign-in waits, as on a machine that builds something beside, the person tries again.
    pub(crate) async fn sign_in(&mut self, path: &str) -> Answer {
        for _ in 0..SIGN_INS {
            let callback = self.person.walk(&self.visitor.begin(path).await.unwrap()).await.unwrap();
            match self.visitor.come_back(&callback).await {
                Ok(landing) => return self.visitor.navigate(&landing).await.unwrap(),
                Err(error) => assert!(format!("{error:#}").contains("provider_unavailable"), "{error:#}"),
            }
        }
        panic!("Keycloak answered none of {SIGN_INS} sign-ins in time")
    }

    /// The answer of the callback, as status and reason, where nobody is signed in by it.
    pub(crate) async fn refusal(&mut self) -> (i32, String) {
        let callback = self.person.walk(&self.visitor.begin("/").await.unwrap()).await.unwrap();
        let answer = self.visitor.navigate(&path_and_query(&callback)).await.unwrap();
        (answer.status(), answer.reason().unwrap_or_default())
    }

    /// Follows a page's link to sign out, and gives Keycloak's address to which that leads.
    pub(crate) async fn sign_out(&mut self) -> Url {
        location(&self.visitor.follow("/portcullis/logout").await.unwrap()).unwrap()
    }

    /// What a script of the page gets; 200 for a permission.
    pub(crate) async fn fetch(&mut self) -> Answer {
        self.visitor.fetch("GET", "/").await.unwrap()
    }

    pub(crate) async fn status(&mut self) -> i32 {
        self.fetch().await.status()
    }

    /// The groups that services are told of.
    pub(crate) async fn groups(&mut self) -> Vec<String> {
        let answer = self.fetch().await;
        assert!(answer.is_allowed(), "{answer:?}");
        answer.passed("kubeflow-groups").into_iter().flat_map(|groups| groups.split(',').map(str::to_owned)).collect()
    }
}
