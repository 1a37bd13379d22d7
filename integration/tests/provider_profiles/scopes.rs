//! The scopes of an authorization request, at all the providers at once.

use portcullis_integration::check_client::CheckClient;
use portcullis_integration::check_visitor::CheckVisitor;
use portcullis_integration::jwt::Algorithm;
use portcullis_integration::portcullis::{Config, Portcullis};
use portcullis_integration::profiles::{self, Profile, Site};
use portcullis_integration::provider::{Provider, Scopes, Settings};
use portcullis_integration::visitor::{log_in, path_and_query, sent_on};
use serde_json::{Value, json};

/// Every profile's provider at an origin of its own, with the product before all of them.
struct Ground {
    stands: Vec<(String, Profile, Provider)>,
    portcullis: Portcullis,
    client: CheckClient,
}

impl Ground {
    /// With these scopes, or with the usual ones.
    async fn start(scopes: Option<Value>) -> Self {
        let site = Site::new(&Value::Null, &Value::Null);
        let mut stands = Vec::new();
        for (number, profile) in profiles::all().into_iter().enumerate() {
            // Nothing is signed here, and such keys are made sooner.
            let settings = Settings { algorithm: Algorithm::Es256, ..profile.settings(&site) };
            let provider = Provider::start(settings).await.unwrap();
            // Each origin has a redirect URI of its own, and which are registered is not what this is about.
            provider.change(|settings| settings.clients[0].redirect_uris.clear());
            stands.push((format!("{}-{number}.test", profile.page), profile, provider));
        }
        let hosts = stands.iter().map(|(host, _, provider)| (host.as_str(), provider));
        let mut config = Config::new().unwrap().providers(hosts).unwrap();
        let entries = config.tree()["providers"].as_array_mut().unwrap();
        for (entry, (_, profile, provider)) in entries.iter_mut().zip(&stands) {
            entry["discovery_url"] = provider.url(profile.ways.paths.discovery).into();
            match &scopes {
                Some(scopes) => entry["scopes"] = scopes.clone(),
                None => drop(entry.as_object_mut().unwrap().remove("scopes")),
            }
        }
        let portcullis = config.start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        Self { stands, portcullis, client }
    }
}

/// Without a word about scopes nobody is asked for one that it does not know: `groups` is for those that list it.
#[tokio::test]
async fn the_usual_scopes_are_known_everywhere() {
    let ground = Ground::start(None).await;
    for (host, profile, _) in &ground.stands {
        let to_provider = CheckVisitor::new(&ground.client, host).begin("/").await.unwrap();
        let back = log_in(&to_provider, "alice").await;
        let back = back.unwrap_or_else(|error| panic!("{}: {error:#}", profile.name()));
        assert!(back.query_pairs().any(|(name, _)| name == "code"), "{}: {back}", profile.name());
        let scope = to_provider.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
        assert_eq!(scope.contains("groups"), profile.page == "dex", "{}: {scope}", profile.name());
    }
}

/// The operator hears of one that is not known, from those that send the browser back with it.
#[tokio::test]
async fn a_scope_that_is_not_known_is_told_to_the_operator() {
    let ground = Ground::start(Some(json!(["openid", "email", "made-up"]))).await;
    for (host, profile, _) in &ground.stands {
        if !matches!(profile.ways.scopes, Scopes::SendsBack(_)) {
            continue;
        }
        let mut visitor = CheckVisitor::new(&ground.client, host);
        let to_provider = visitor.begin("/").await.unwrap();
        let back = sent_on(&to_provider).await.unwrap();
        let answer = visitor.navigate(&path_and_query(&back)).await.unwrap();
        let told = (answer.status(), answer.reason());
        assert_eq!(told, (503, Some("sign_in_not_set_up".to_owned())), "{}", profile.name());
    }
    let errors = ground.portcullis.told("ERROR", "invalid_scope").await.unwrap();
    let of_scopes = errors.iter().map(Value::to_string).filter(|record| record.contains("made-up is no scope"));
    let send_back = ground.stands.iter().filter(|(_, profile, _)| matches!(profile.ways.scopes, Scopes::SendsBack(_)));
    assert_eq!(of_scopes.filter(|record| record.contains("`scopes`")).count(), send_back.count());
}
