//! What is written of a provider, one word of the configuration a test, through the whole process.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_integration::administrator::{Administrator, administered};
use portcullis_integration::check_client::{Answer, CheckClient};
use portcullis_integration::check_visitor::{CheckVisitor, after_logout, location};
use portcullis_integration::faults::{Fault, edit};
use portcullis_integration::jwt::{Algorithm, SigningKey};
use portcullis_integration::patience::until;
use portcullis_integration::pki::Authority;
use portcullis_integration::portcullis::{Config, HOST, Portcullis};
use portcullis_integration::provider::{Client, Provider, Settings, Ways};
use portcullis_integration::visitor::{log_in, path_and_query, sent_on};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;

struct Ground {
    provider: Provider,
    portcullis: Portcullis,
    client: CheckClient,
}

impl Ground {
    async fn start(provider: Provider, configure: impl FnOnce(Config) -> Config) -> Self {
        let config = configure(Config::new().unwrap().provider(&provider).unwrap());
        let portcullis = config.start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        Self { provider, portcullis, client }
    }

    fn visitor(&self) -> CheckVisitor {
        CheckVisitor::new(&self.client, HOST)
    }

    async fn sign_in(&self) -> Answer {
        self.visitor().sign_in("alice", "/").await.unwrap()
    }

    /// The callback's answer, as status and reason.
    async fn refusal(&self) -> (i32, String) {
        let mut visitor = self.visitor();
        let callback = log_in(&visitor.begin("/").await.unwrap(), "alice").await.unwrap();
        let answer = visitor.navigate(&path_and_query(&callback)).await.unwrap();
        (answer.status(), answer.reason().unwrap_or_default())
    }

    /// The records of this level that hold a text.
    async fn told(&self, level: &str, text: &str) -> Vec<String> {
        self.portcullis.told(level, text).await.unwrap().iter().map(Value::to_string).collect()
    }

    /// Somebody who has signed in and out again by a script, and the provider's URL to which that leads.
    async fn signed_out(&self) -> (CheckVisitor, Url) {
        let mut alice = self.visitor();
        assert!(alice.sign_in("alice", "/").await.unwrap().is_allowed());
        let suspended = after_logout(&alice.fetch("POST", "/portcullis/logout").await.unwrap()).unwrap();
        let to_provider = location(&alice.navigate(&path_and_query(&suspended)).await.unwrap()).unwrap();
        (alice, to_provider)
    }
}

async fn honest() -> Provider {
    Provider::start(Settings::default()).await.unwrap()
}

fn users(answer: &Answer) -> Vec<&str> {
    answer.passed("kubeflow-userid")
}

/// Browsers and this process reach the provider by different names, and its document lies elsewhere.
#[tokio::test]
async fn a_provider_with_an_inner_and_an_outer_name_signs_people_in() {
    const OUTER: &str = "https://login.example.test";
    let settings = Settings { issuer: Some(OUTER.to_owned()), ..Settings::default() };
    let provider = Provider::start(settings).await.unwrap();
    let inner = format!("http://{}", provider.address());
    let ground = Ground::start(provider, |config| {
        config.set("/providers/0/discovery_url", format!("{inner}/.well-known/openid-configuration")).set(
            "/providers/0/endpoints",
            json!({ "token": format!("{inner}/token"), "jwks": format!("{inner}/jwks") }),
        )
    })
    .await;
    let mut visitor = ground.visitor();
    let mut to_provider = visitor.begin("/").await.unwrap();
    assert_eq!(to_provider.origin().ascii_serialization(), OUTER, "browsers are sent to the outer name");
    // The browser's way to the outer name leads to the same provider.
    to_provider.set_scheme("http").unwrap();
    to_provider.set_ip_host(ground.provider.address().ip()).unwrap();
    to_provider.set_port(Some(ground.provider.address().port())).unwrap();
    let landing = visitor.come_back(&log_in(&to_provider, "alice").await.unwrap()).await.unwrap();
    assert_eq!(users(&visitor.navigate(&landing).await.unwrap()), ["alice@example.com"]);

    // The attack beside it: a document elsewhere that is another issuer's.
    let thief = honest().await;
    let elsewhere = format!("{}/.well-known/openid-configuration", thief.issuer());
    let ground = Ground::start(honest().await, |config| config.set("/providers/0/discovery_url", elsewhere)).await;
    let answer = ground.visitor().navigate("/").await.unwrap();
    assert_eq!((answer.status(), answer.reason().as_deref()), (503, Some("sign_in_not_set_up")));
    let told = ground.told("ERROR", "sign-in is not set up").await;
    let both = |record: &String| record.contains(thief.issuer()) && record.contains(ground.provider.issuer());
    assert!(told.iter().any(both), "both issuers are told: {told:?}");
}

#[tokio::test]
async fn a_client_says_who_it_is_by_a_key_or_by_a_token_of_another_issuer() {
    let provider = honest().await;
    let asserted = |claims: Value| Client {
        secret: None,
        assertion: Some(claims.as_object().unwrap().clone()),
        ..Client::default()
    };
    let token_endpoint = format!("{}/token", provider.issuer());
    let ours = json!({ "iss": "portcullis", "sub": "portcullis", "aud": token_endpoint });
    provider.change(|settings| settings.clients = vec![asserted(ours)]);
    let ground = Ground::start(provider, |config| {
        let file = config.folder().join("client-key.pem");
        fs::write(&file, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        config
            .set("/providers/0/client_authentication", "private_key_jwt")
            .set("/providers/0/client_key", file.to_str().unwrap())
            .set("/providers/0/client_key_id", "key-1")
    })
    .await;
    assert_eq!(users(&ground.sign_in().await), ["alice@example.com"]);
    // The attack beside it: whoever takes such a token elsewhere.
    let elsewhere = json!({ "aud": "https://another.test/token" });
    ground.provider.change(|settings| settings.clients = vec![asserted(elsewhere)]);
    assert_eq!(ground.refusal().await, (503, "sign_in_not_set_up".to_owned()));

    // A projected token, which is replaced under the running process.
    let cluster = SigningKey::generate(Algorithm::Es256).unwrap();
    let provider = honest().await;
    let projected = |number: u64| cluster.sign(&json!({ "iss": "https://cluster", "number": number })).unwrap();
    provider.change(|settings| settings.clients = vec![asserted(json!({ "number": 1 }))]);
    let ground = Ground::start(provider, |config| {
        let file = config.folder().join("token");
        fs::write(&file, projected(1)).unwrap();
        config.set("/providers/0/client_assertion_file", file.to_str().unwrap())
    })
    .await;
    assert_eq!(users(&ground.sign_in().await), ["alice@example.com"]);
    let file = ground.portcullis.config().folder().join("token");
    fs::write(&file, projected(2)).unwrap();
    ground.provider.change(|settings| settings.clients = vec![asserted(json!({ "number": 2 }))]);
    assert_eq!(users(&ground.sign_in().await), ["alice@example.com"]);
    fs::remove_file(&file).unwrap();
    assert_eq!(ground.refusal().await, (503, "sign_in_not_set_up".to_owned()));
    assert_eq!(ground.refusal().await, (503, "sign_in_not_set_up".to_owned()));
    assert_eq!(ground.told("ERROR", "client_assertion_file").await.len(), 1);
}

/// A proxy that passes on what it is asked for, and counts.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(pass_on(stream));
        }
    });
    (format!("http://{address}"), count)
}

/// Reads the head of a request in absolute form (RFC 9112 section 3.2.2), and passes all on to its host.
async fn pass_on(mut client: TcpStream) -> std::io::Result<()> {
    let mut head = vec![0; 8192];
    let length = client.read(&mut head).await?;
    let text = String::from_utf8_lossy(&head[..length]).into_owned();
    let Some(url) = text.split(' ').nth(1).and_then(|target| Url::parse(target).ok()) else { return Ok(()) };
    let authority = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
    let mut server = TcpStream::connect(authority).await?;
    server.write_all(&head[..length]).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[tokio::test]
async fn a_provider_is_called_through_the_proxy_that_is_written() {
    let (address, connections) = proxy().await;
    let ground = Ground::start(honest().await, |config| config.set("/providers/0/proxy", address.as_str())).await;
    assert_eq!(users(&ground.sign_in().await), ["alice@example.com"]);
    assert!(connections.load(Ordering::SeqCst) > 0, "the proxy was not asked");
}

#[tokio::test]
async fn the_authorization_request_holds_what_is_written_and_the_scopes_that_the_provider_lists() {
    let provider = honest().await;
    let ground = Ground::start(provider, |mut config| {
        config.tree()["providers"][0].as_object_mut().unwrap().remove("scopes");
        config.set("/providers/0/authorization_parameters", json!({ "hd": "corp.example", "prompt": "consent" }))
    })
    .await;
    let asked = ground.visitor().begin("/").await.unwrap();
    let parameter =
        |asked: &Url, name: &str| asked.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(parameter(&asked, "hd").as_deref(), Some("corp.example"));
    assert_eq!(parameter(&asked, "prompt").as_deref(), Some("consent"));
    assert_eq!(parameter(&asked, "scope").as_deref(), Some("openid email profile groups"));

    let provider = honest().await;
    provider.lie(|faults| {
        faults.edit_discovery = edit(|document| document["scopes_supported"] = json!(["openid", "email"]));
    });
    let ground = Ground::start(provider, |mut config| {
        config.tree()["providers"][0].as_object_mut().unwrap().remove("scopes");
        config
    })
    .await;
    let asked = ground.visitor().begin("/").await.unwrap();
    assert_eq!(parameter(&asked, "scope").as_deref(), Some("openid email profile"));
}

/// Cognito and Auth0's own endpoint: another name of the parameter, no hint, and no state that comes back.
#[tokio::test]
async fn a_sign_out_speaks_the_provider_s_words() {
    let ground = Ground::start(honest().await, |config| {
        config
            .set(
                "/providers/0/logout",
                json!({ "redirect_parameter": "logout_uri", "id_token_hint": false, "state": false }),
            )
            .set("/origins/0/after_logout_url", "/goodbye")
    })
    .await;
    let (mut alice, to_provider) = ground.signed_out().await;
    let mut names: Vec<_> = to_provider.query_pairs().map(|(name, _)| name.into_owned()).collect();
    names.sort();
    assert_eq!(names, ["client_id", "logout_uri"]);
    // It comes back without a state, and goes on to where the configuration wants it.
    let back = location(&alice.navigate("/portcullis/signed-out").await.unwrap()).unwrap();
    assert_eq!(back.path(), "/goodbye");

    // Where a state is sent, whoever brings none stays on our page.
    let ground = Ground::start(honest().await, |config| config.set("/origins/0/after_logout_url", "/goodbye")).await;
    let answer = ground.visitor().navigate("/portcullis/signed-out").await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// What the provider says of its refusal reaches the operator, and no page.
#[tokio::test]
async fn the_operator_hears_the_provider_s_own_words() {
    let provider = honest().await;
    let words = format!("AADSTS50105: not assigned\r\n{}", "x".repeat(1000));
    let answer = json!({ "error": "invalid_grant", "error_description": words }).to_string();
    provider.lie(|faults| faults.token = Fault::Answer(400, "application/json", answer));
    let ground = Ground::start(provider, |config| config).await;
    assert_eq!(ground.refusal().await, (403, "provider_denied".to_owned()));
    let told = ground.told("WARN", "AADSTS50105: not assigned").await;
    assert!(told.len() == 1 && !told[0].contains(&"x".repeat(260)), "{told:?}");

    // An ID token that does not fit: what was found, and what was wanted.
    ground.provider.be_honest();
    ground.provider.lie(|faults| faults.edit_claims = edit(|claims| claims["aud"] = json!("somebody-else")));
    assert_eq!(ground.refusal().await, (403, "id_token_invalid".to_owned()));
    let told = ground.told("WARN", "somebody-else").await;
    assert!(told.len() == 1 && told[0].contains("portcullis"), "{told:?}");

    // What is wrong for everybody is an error, with the setting.
    let answer = json!({ "error": "invalid_client", "error_description": "wrong secret" }).to_string();
    ground.provider.be_honest();
    ground.provider.lie(|faults| faults.token = Fault::Answer(401, "application/json", answer));
    assert_eq!(ground.refusal().await, (503, "sign_in_not_set_up".to_owned()));
    let told = ground.told("ERROR", "wrong secret").await;
    let token_endpoint = format!("{}/token", ground.provider.issuer());
    assert!(told.len() == 1 && told[0].contains("client_secret") && told[0].contains(&token_endpoint), "{told:?}");
    let labels = [r#"outcome="sign_in_not_set_up""#];
    assert_eq!(ground.portcullis.metric("portcullis_oidc_logins_total", &labels).await.unwrap(), 1);
    // No address that is not vouched for, and the words that would let it pass.
    ground.provider.be_honest();
    ground.provider.lie(|faults| faults.edit_claims = edit(|claims| claims["email_verified"] = json!(false)));
    assert_eq!(ground.refusal().await, (403, "identity_unusable".to_owned()));
    let told = ground.told("WARN", "trust_unverified_email").await;
    assert!(told.len() == 1 && told[0].contains("email_domains"), "{told:?}");
}

/// An apostrophe is a character of addresses (RFC 5322 section 3.2.3).
#[tokio::test]
async fn a_person_called_o_brien_signs_in_and_a_rule_names_him() {
    let provider = honest().await;
    provider.change(|settings| settings.users[0].email = Some("Conan.O'Brien@example.com".to_owned()));
    let rule = json!({ "name": "his", "paths": [{ "prefix": "/his" }], "emails": ["conan.o'brien@example.com"] });
    let ground = Ground::start(provider, |config| config.rules(json!([rule]))).await;
    let answer = ground.visitor().sign_in("alice", "/his").await.unwrap();
    assert_eq!(users(&answer), ["conan.o'brien@example.com"]);
    let answer = ground.visitor().sign_in("bob", "/his").await.unwrap();
    assert_eq!((answer.status(), answer.reason().as_deref()), (403, Some("not_permitted")));
}

/// Of a name with dots the claim that is called so comes first, then the steps through objects.
#[tokio::test]
async fn groups_stand_where_the_configuration_says() {
    let url = "https://corp.example/claims/groups";
    let rows = [
        ("realm_access.roles", json!({ "realm_access": { "roles": ["admins"] } }), true),
        ("realm_access.roles", json!({ "realm_access": { "roles": ["others"] }, "roles": ["admins"] }), false),
        (
            "realm_access.roles",
            json!({ "realm_access.roles": ["admins"], "realm_access": { "roles": ["others"] } }),
            true,
        ),
        (
            "realm_access.roles",
            json!({ "realm_access.roles": ["others"], "realm_access": { "roles": ["admins"] } }),
            false,
        ),
        (url, json!({ url: ["admins"], "https://corp": { "example/claims/groups": ["others"] } }), true),
        (url, json!({ url: ["others"], "https://corp": { "example/claims/groups": ["admins"] } }), false),
        (url, json!({ "https://corp": { "example/claims/groups": ["admins"] } }), true),
    ];
    for (claim, claims, enters) in rows {
        let provider = honest().await;
        provider.change(|settings| {
            settings.users[0].groups = None;
            settings.users[0].claims = claims.as_object().unwrap().clone();
        });
        let rule = json!({ "name": "closed", "paths": [{ "prefix": "/closed" }], "groups": ["admins"] });
        let configure = |config: Config| config.rules(json!([rule])).set("/providers/0/groups_claim", claim);
        let answer = Ground::start(provider, configure).await.visitor().sign_in("alice", "/closed").await.unwrap();
        assert_eq!(answer.is_allowed(), enters, "{claim} in {claims}: {:?}", answer.reason());
        let expected: &[&str] = if enters { &["admins"] } else { &[] };
        assert_eq!(answer.passed("kubeflow-groups"), expected, "{claim} in {claims}");
    }
}

/// `https://idp` and `https://idp/` are two issuers, and each is somebody's.
#[tokio::test]
async fn an_issuer_with_a_slash_at_its_end_is_another_one() {
    let with_slash = async || {
        let ways = Ways { issuer_path: "/", ..Ways::default() };
        Provider::start(Settings { ways, ..Settings::default() }).await.unwrap()
    };
    let ground = Ground::start(with_slash().await, |config| config).await;
    assert!(ground.provider.issuer().ends_with('/'));
    assert_eq!(users(&ground.sign_in().await), ["alice@example.com"]);

    // Told, where the two differ by nothing else: what was found, and what is configured.
    for provider in [with_slash().await, honest().await] {
        let found = provider.issuer().to_owned();
        let other = found.strip_suffix('/').map_or_else(|| format!("{found}/"), str::to_owned);
        let ground = Ground::start(provider, |config| config.set("/providers/0/issuer", other.as_str())).await;
        let answer = ground.visitor().navigate("/").await.unwrap();
        assert_eq!((answer.status(), answer.reason().as_deref()), (503, Some("sign_in_not_set_up")));
        let told = ground.told("ERROR", &format!("`{found}`")).await;
        assert!(told.iter().any(|record| record.contains(&format!("`{other}`"))), "{told:?}");
    }
}

/// A realm that is not there, for example: told with its URL, once, however often it is asked for.
#[tokio::test]
async fn a_document_that_is_not_there_is_an_error_with_its_url() {
    let provider = honest().await;
    provider.lie(|faults| faults.discovery = Fault::Status(404));
    let ground = Ground::start(provider, |config| config).await;
    until("the third question for the document", async || {
        let answer = ground.visitor().navigate("/").await.unwrap();
        assert_eq!((answer.status(), answer.reason().as_deref()), (503, Some("sign_in_not_set_up")));
        (ground.provider.calls().discovery >= 3).then_some(())
    })
    .await;
    let told = ground.told("ERROR", "status 404").await;
    let url = format!("{}/.well-known/openid-configuration", ground.provider.issuer());
    assert!(told.len() == 1 && told[0].contains(&url) && told[0].contains("`issuer`"), "{told:?}");
    ground.provider.be_honest();
    until("a sign-in", async || {
        let answer = ground.visitor().navigate("/").await.ok()?;
        (answer.status() == 302).then_some(())
    })
    .await;
    assert_eq!(ground.told("INFO", "sign-in is set up again").await.len(), 1);
}

/// A server with a certificate that nobody whom we trust has made.
async fn of_an_unknown_authority() -> SocketAddr {
    portcullis_integration::http::install_crypto();
    let identity = Authority::new("nobody knows it").unwrap().server(&[]).unwrap();
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(acceptor.accept(stream));
        }
    });
    address
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_told_with_the_setting() {
    let issuer = format!("https://{}", of_an_unknown_authority().await);
    let ground = Ground::start(honest().await, |config| config.set("/providers/0/issuer", issuer.as_str())).await;
    let answer = ground.visitor().navigate("/").await.unwrap();
    assert_eq!((answer.status(), answer.reason().as_deref()), (503, Some("provider_unavailable")));
    let told = ground.told("WARN", "`ca_file`").await;
    assert!(told.len() == 1 && told[0].contains(&issuer), "{told:?}");
}

/// Two people sign in without groups, and the operator hears why, once.
#[tokio::test]
async fn a_path_to_groups_that_leads_nowhere_is_told() {
    for (claim, oddity) in [("realm_access.groups", "no_groups_claim"), ("realm_access", "unreadable_groups")] {
        let provider = honest().await;
        provider.change(|settings| {
            for user in &mut settings.users {
                user.groups = None;
                user.claims.insert("realm_access".to_owned(), json!({ "roles": ["admins"] }));
            }
        });
        let ground = Ground::start(provider, |config| config.set("/providers/0/groups_claim", claim)).await;
        for person in ["alice", "bob"] {
            assert!(ground.visitor().sign_in(person, "/").await.unwrap().is_allowed());
        }
        let told = ground.told("WARN", "`groups_claim`").await;
        assert!(told.len() == 1 && told[0].contains(oddity) && told[0].contains("realm_access.roles"), "{told:?}");
        let labels = [r#"provider="test""#, &format!("outcome=\"{oddity}\"")];
        assert_eq!(ground.portcullis.metric("portcullis_oidc_oddities_total", &labels).await.unwrap(), 2);
    }
}

/// What an administrator is told that a navigation would get, and what it gets.
#[tokio::test]
async fn an_explanation_says_where_nobody_can_sign_in() {
    for (fault, verdict, reason) in [
        (Fault::None, "sign_in", "not_signed_in"),
        (Fault::Status(503), "refused", "provider_unavailable"),
        (Fault::Status(404), "refused", "sign_in_not_set_up"),
    ] {
        let provider = honest().await;
        provider.lie(|faults| faults.discovery = fault.clone());
        let ground = Ground::start(provider, administered).await;
        let answer = ground.visitor().navigate("/").await.unwrap();
        let url = format!("https://{HOST}/");
        let navigation = ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none"];
        let headers = navigation.iter().chain(&["Accept: text/html"]).flat_map(|line| ["--header", line]);
        let arguments: Vec<&str> = ["explain", &url].into_iter().chain(headers).collect();
        let explained = Administrator::of(&ground.portcullis).told_json(&arguments).await.unwrap();
        assert_eq!((&explained["verdict"], &explained["reason"]), (&json!(verdict), &json!(reason)), "{fault:?}");
        let refused = answer.reason().filter(|_| answer.status() == 503);
        assert_eq!(refused.as_deref(), Some(reason).filter(|_| verdict == "refused"), "{fault:?}: {answer:?}");
    }
}

/// Whoever comes back from the provider's own sign-out is not told that it may remember them.
#[tokio::test]
async fn the_signed_out_page_says_what_is_known_of_the_provider() {
    let remembers = |answer: &Answer| match answer {
        Answer::Deny { status: 200, body, .. } => body.contains("may still remember you"),
        other => panic!("{other:?}"),
    };
    let ground = Ground::start(honest().await, |config| config).await;
    let (mut alice, to_provider) = ground.signed_out().await;
    let back = sent_on(&to_provider).await.unwrap();
    assert!(!remembers(&alice.navigate(&path_and_query(&back)).await.unwrap()));
    // Whoever brings no state of ours, or a made-up one, may have been anywhere.
    for path in ["/portcullis/signed-out", "/portcullis/signed-out?state=x"] {
        assert!(remembers(&alice.navigate(path).await.unwrap()), "{path}");
    }
}
