//! What `portcullis migrate` makes of the products before us, served by the real process: who knew the old ones' contracts
//! still gets along.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use portcullis_integration::check_client::{Answer, Check, CheckClient};
use portcullis_integration::check_visitor::{CheckVisitor, after_logout, location};
use portcullis_integration::cluster::Cluster;
use portcullis_integration::portcullis::{Config, HOST, ORIGIN, Portcullis, TOKEN_AUDIENCE, binary};
use portcullis_integration::provider::{Provider, Settings, User};
use portcullis_integration::review_api::ReviewApi;
use portcullis_integration::visitor::{log_in, path_and_query, sent_on};
use serde_json::{Value, json};

/// A product before us with its settings migrated, and the real process that serves what came out.
struct Ground {
    client: CheckClient,
    report: String,
    _portcullis: Portcullis,
    _provider: Provider,
    api: ReviewApi,
}

impl Ground {
    /// Migrates what `settings` make of the provider's issuer, the client's id and the client's secret.
    async fn start(product: &str, file: &str, settings: impl FnOnce(&str, &str, &str) -> String) -> Self {
        let provider = Provider::start(Settings { users: people(), ..Settings::default() }).await.unwrap();
        let api = ReviewApi::start().await.unwrap();
        let (client, issuer) = (provider.client(), provider.issuer().to_owned());
        let secret = client.secret.unwrap();
        let config = Config::new().unwrap();
        let input = config.folder().join(file);
        fs::write(&input, settings(&issuer, &client.id, &secret)).unwrap();
        let (tree, report) = migrated(product, &input);
        assert!(!report.contains(&secret) && !tree.to_string().contains(&secret), "the secret is told: {report}");

        let config = with_files(config, tree, &secret, &api);
        let portcullis = config.start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        Self { client, report, _portcullis: portcullis, _provider: provider, api }
    }

    fn visitor(&self) -> CheckVisitor {
        CheckVisitor::new(&self.client, HOST)
    }

    async fn signed_in(&self, user: &str) -> CheckVisitor {
        let mut visitor = self.visitor();
        assert!(visitor.sign_in(user, "/").await.unwrap().is_allowed());
        visitor
    }
}

/// Two people, one with capitals in the address, and one whose domain is another.
fn people() -> Vec<User> {
    let mut capital = User::new("capital", &["team-a"]);
    capital.email = Some("Ada.Lovelace@example.com".to_owned());
    let mut stranger = User::new("stranger", &["team-a"]);
    stranger.email = Some("stranger@elsewhere.example".to_owned());
    vec![User::new("alice", &["team-a", "everyone"]), User::new("bob", &["team-b"]), capital, stranger]
}

/// Runs the command; what it wrote, read as YAML, and the report.
fn migrated(product: &str, input: &Path) -> (Value, String) {
    let folder = input.parent().unwrap();
    let (output, report) = (folder.join("migrated.yaml"), folder.join("report.txt"));
    let ran = Command::new(binary().unwrap())
        .args(["migrate", product, "--output"])
        .arg(&output)
        .arg("--report")
        .arg(&report)
        .arg(input)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.stdout.is_empty() && ran.stderr.is_empty(), "all of it went into files");
    let tree = serde_saphyr::from_str(&fs::read_to_string(output).unwrap()).unwrap();
    (tree, fs::read_to_string(report).unwrap())
}

/// What came out, with the files that it names, on this test's ports and folders, and an API server that is played.
fn with_files(mut config: Config, migrated: Value, secret: &str, api: &ReviewApi) -> Config {
    let folder = config.folder().to_path_buf();
    let file = folder.join("client-secret");
    fs::write(&file, secret).unwrap();
    let kubeconfig = api.write_kubeconfig(&folder).unwrap();
    let of_the_test = config.tree().clone();
    *config.tree() = migrated;
    // The public host is served for tokens by the test's configuration, and is an origin now.
    for key in ["listeners", "drain", "keys"] {
        config.tree()[key] = of_the_test[key].clone();
    }
    let store = json!({ "type": "embedded", "path": folder.join("sessions/sessions.redb") });
    let config = config.set("/sessions/store", store).set("/providers/0/client_secret", json!({ "file": file }));
    match config.get("/service_accounts") {
        Some(_) => config
            .set("/service_accounts/issuers", json!([api.issuer()]))
            .set("/service_accounts/kubeconfig", kubeconfig.to_str().unwrap()),
        None => config,
    }
}

/// The settings of oidc-authservice at a site with names of its own.
fn authservice(issuer: &str, client: &str, secret: &str) -> String {
    format!(
        "OIDC_PROVIDER={issuer}\nCLIENT_ID={client}\nCLIENT_SECRET={secret}\nOIDC_SCOPES=profile email groups\n\
         AUTHSERVICE_URL_PREFIX={ORIGIN}/authservice/\nSKIP_AUTH_URLS=/dex,/healthz\nAFTER_LOGIN_URL=/welcome\n\
         AFTER_LOGOUT_URL=/goodbye\nUSERID_HEADER=x-user\nUSERID_PREFIX=\nUSERID_CLAIM=email\nGROUPS_HEADER=x-groups\n\
         AUDIENCES={TOKEN_AUDIENCE}\nPORT=\"8080\"\nSTORE_PATH=/var/lib/authservice/data.db\n"
    )
}

#[tokio::test]
async fn the_contract_of_oidc_authservice_is_kept() {
    let ground = Ground::start("oidc-authservice", "params.env", authservice).await;
    // The user id and the groups, under the old names, as the provider writes them.
    let mut alice = ground.signed_in("alice").await;
    let page = alice.navigate("/notebook/team-a/x/").await.unwrap();
    assert_eq!(page.passed("x-user"), ["alice@example.com"]);
    assert_eq!(page.passed("x-groups"), ["team-a,everyone"]);
    assert_eq!(page.passed("auth-method"), ["cookie"]);
    let mut ada = ground.signed_in("capital").await;
    assert_eq!(ada.navigate("/").await.unwrap().passed("x-user"), ["Ada.Lovelace@example.com"]);

    // What needed no sign-in needs none, by whole segments, and no forged name passes there.
    for (path, is_open) in [("/dex/auth", true), ("/dex", true), ("/healthz", true), ("/dexter", false), ("/", false)] {
        let check = Check::get(HOST, path).header("accept", "*/*").header("x-user", "root@example.com");
        let answer = ground.visitor().ask(check).await.unwrap();
        assert_eq!(answer.is_allowed(), is_open, "{path}");
        if let Answer::Allow { remove, .. } = &answer {
            assert!(remove.iter().any(|name| name == "x-user"), "{remove:?}");
        }
    }

    // The dashboard's button: a POST by a script with what `document.cookie` holds as a bearer, and 201 with where to go.
    let button = Check::new("POST", HOST, "/authservice/logout")
        .header("accept", "*/*")
        .header("authorization", "Bearer null")
        .header("origin", ORIGIN)
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "cors")
        .header("sec-fetch-dest", "empty");
    let answer = alice.ask(button).await.unwrap();
    let next = after_logout(&answer).unwrap();
    assert!(answer.told("set-cookie").iter().any(|cookie| cookie.contains("Max-Age=0")), "the cookie is deleted");
    assert_eq!(alice.fetch("GET", "/api/namespaces").await.unwrap().status(), 401, "the session is gone");
    // Through the provider's own sign-out, and then to where it went before.
    let to_provider = location(&alice.navigate(&path_and_query(&next)).await.unwrap()).unwrap();
    let back = sent_on(&to_provider).await.unwrap();
    let end = location(&alice.navigate(&path_and_query(&back)).await.unwrap()).unwrap();
    assert_eq!(end.as_str(), format!("{ORIGIN}/goodbye"));

    // A sign-in that began at the old callback's address is one, and comes back to what was asked for.
    let mut bob = ground.visitor();
    let callback = log_in(&bob.begin("/pipeline/?x=1").await.unwrap(), "bob").await.unwrap();
    let old = path_and_query(&callback).replace("/portcullis/callback", "/authservice/oidc/callback");
    let landing = location(&bob.navigate(&old).await.unwrap()).unwrap();
    assert_eq!(landing.as_str(), format!("{ORIGIN}/pipeline/?x=1"));
    assert!(ground.report.contains("`AFTER_LOGIN_URL`"), "{}", ground.report);
}

/// A script that brought a token with the old audience still does.
#[tokio::test]
async fn tokens_with_the_old_audience_still_count() {
    let ground = Ground::start("oidc-authservice", "params.env", authservice).await;
    let token = ground.api.token("team-a", "default-editor").audience(TOKEN_AUDIENCE).issue();
    let check = Check::get(HOST, "/pipeline/").header("authorization", format!("Bearer {token}"));
    let answer = ground.visitor().ask(check).await.unwrap();
    assert_eq!(answer.passed("x-user"), ["system:serviceaccount:team-a:default-editor"]);
    assert_eq!(answer.passed("auth-method"), ["header"]);
}

/// The settings of oauth2-proxy at a site outside of Kubeflow.
fn oauth2_proxy(issuer: &str, client: &str, secret: &str) -> String {
    format!(
        "provider = \"oidc\"\noidc_issuer_url = \"{issuer}\"\nclient_id = \"{client}\"\nclient_secret = \"{secret}\"\n\
         scope = \"openid email profile groups\"\nredirect_url = \"{ORIGIN}/oauth2/callback\"\n\
         email_domains = [\"example.com\"]\nallowed_groups = [\"team-a\", \"admins\"]\n\
         skip_auth_routes = [\"^/dex/\", \"GET=^/healthz$\", \"^/static(/.*)?$\"]\nwhitelist_domains = [\".example.com\"]\n\
         upstreams = [\"static://200\"]\nset_xauthrequest = true\ncookie_expire = \"12h\"\ncookie_secret = \"0123456789abcdef\"\n"
    )
}

#[tokio::test]
async fn the_contract_of_oauth2_proxy_is_kept() {
    let ground = Ground::start("oauth2-proxy", "oauth2_proxy.cfg", oauth2_proxy).await;
    // Its link to sign in, with where to come back to: a path, or a whole address of the same origin.
    for (asked, landed) in [
        ("/oauth2/start?rd=%2Fnotebook%2Fx%3Fy%3D1", "/notebook/x?y=1"),
        (&format!("/oauth2/start?rd={ORIGIN}%2Fa%2Fb"), "/a/b"),
        ("/oauth2/sign_in?rd=/c", "/c"),
        ("/oauth2/start", "/"),
        // What led elsewhere leads to the root.
        ("/oauth2/start?rd=https%3A%2F%2Fevil.example%2Fx", "/"),
        ("/oauth2/start?rd=%2F%2Fevil.example", "/"),
        (&format!("/oauth2/start?rd={ORIGIN}.evil.example/"), "/"),
        (&format!("/oauth2/start?rd={ORIGIN}//evil.example/"), "/"),
        ("/oauth2/start?rd=/a&rd=/b", "/"),
    ] {
        let mut alice = ground.visitor();
        let to_provider = location(&alice.navigate(asked).await.unwrap()).unwrap();
        let callback = log_in(&to_provider, "alice").await.unwrap();
        let old = path_and_query(&callback).replace("/portcullis/callback", "/oauth2/callback");
        let landing = location(&alice.navigate(&old).await.unwrap()).unwrap();
        assert_eq!(landing.as_str(), format!("{ORIGIN}{landed}"), "{asked}");
    }

    // What services are told.
    let mut alice = ground.signed_in("alice").await;
    let page = alice.navigate("/").await.unwrap();
    for name in ["kubeflow-userid", "x-auth-request-user", "x-auth-request-email"] {
        assert_eq!(page.passed(name), ["alice@example.com"], "{name}");
    }
    assert_eq!(page.passed("x-auth-request-groups"), ["team-a,everyone"]);

    // Whose groups and domains were named, and nobody else.
    let mut bob = ground.visitor();
    let answer = bob.sign_in("bob", "/").await.unwrap();
    assert_eq!(answer.status(), 403, "{:?}", answer.reason());
    let mut stranger = ground.visitor();
    let callback = log_in(&stranger.begin("/").await.unwrap(), "stranger").await.unwrap();
    assert_eq!(stranger.navigate(&path_and_query(&callback)).await.unwrap().status(), 403);

    // What needed no sign-in.
    for (method, path, is_open) in [
        ("GET", "/dex/auth", true),
        ("GET", "/healthz", true),
        ("POST", "/healthz", false),
        ("GET", "/static/a.css", true),
        ("GET", "/static", true),
        ("GET", "/staticx", false),
        ("GET", "/x/dex/auth", false),
        ("GET", "/oauth2/auth", false),
    ] {
        let answer = ground.visitor().ask(Check::new(method, HOST, path).header("accept", "*/*")).await.unwrap();
        assert_eq!(answer.is_allowed(), is_open, "{method} {path}");
    }

    // The dashboard's link to sign out: a click on the same origin, with no page in between.
    location(&alice.follow("/oauth2/sign_out").await.unwrap()).unwrap();
    assert_eq!(alice.fetch("GET", "/").await.unwrap().status(), 401, "the session is gone");
}

/// What the published manifests hold is refused as a secret, and what comes out of them is a configuration all the same.
#[test]
fn the_command_says_by_its_code_whether_it_could() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], text: &str| {
        let file = folder.path().join("settings.cfg");
        fs::write(&file, text).unwrap();
        let ran = Command::new(binary().unwrap()).args(arguments).arg(&file).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (ran.status.code(), text(ran.stdout), text(ran.stderr))
    };
    let published = "oidc_issuer_url = \"https://dex.example.com/dex\"\nclient_id = \"kubeflow-oidc-authservice\"\n\
                     client_secret = \"pUBnBOY80SnXgjibTYM9ZWNzY2xreNGQok\"\n";
    let (code, configuration, report) =
        run(&["migrate", "oauth2-proxy", "--origin", "https://kf.example.com"], published);
    assert_eq!(code, Some(0));
    assert!(configuration.contains("\n    issuer: https://dex.example.com/dex\n") && !configuration.contains("pUBn"));
    assert!(configuration.contains("url: https://kf.example.com\n"), "{configuration}");
    assert!(report.contains("REFUSED") && !report.contains("pUBn"), "{report}");

    let (code, configuration, told) = run(&["migrate", "oauth2-proxy"], "provider = \"github\"\n");
    assert_eq!((code, configuration.as_str()), (Some(64), ""));
    assert!(told.starts_with("portcullis: `provider` (") && told.contains("speaks no OpenID Connect"), "{told}");
    assert_eq!(run(&["migrate", "authelia"], "").0, Some(64));
    assert_eq!(run(&["migrate", "oauth2-proxy", "--output", "/no/such/folder/x"], published).0, Some(70));
}

/// As the distribution defines it, without its schema.
const PROFILES: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: profiles.kubeflow.org}
spec:
  group: kubeflow.org
  scope: Cluster
  names: {kind: Profile, plural: profiles, singular: profile}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

const PEOPLE: &str = r"
apiVersion: kubeflow.org/v1
kind: Profile
metadata: {name: team-a}
spec: {owner: {kind: User, name: Ada.Lovelace@example.com}}
---
apiVersion: kubeflow.org/v1
kind: Profile
metadata: {name: team-b}
spec: {owner: {kind: User, name: bob@example.com}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: user-ada, namespace: team-b}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kubeflow-edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ada.lovelace@example.com}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: user-carol, namespace: team-b}
spec: {rules: [{when: [{key: 'request.headers[kubeflow-userid]', values: [Carol@example.com]}]}]}
";

#[tokio::test]
async fn names_that_services_compare_to_the_byte_are_told_with_a_kubeconfig() {
    let cluster = Cluster::start().await.unwrap();
    cluster.install_istio_crds().await.unwrap();
    cluster.create_namespace("team-b").await.unwrap();
    let settings = tempfile::tempdir().unwrap();
    let file = settings.path().join("params.env");
    fs::write(&file, "OIDC_PROVIDER=https://dex.example.com/dex\n").unwrap();
    let report = || {
        let ran = Command::new(binary().unwrap())
            .args(["migrate", "oidc-authservice", "--kubeconfig"])
            .arg(cluster.admin_kubeconfig())
            .arg(&file)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stderr).unwrap()
    };
    assert!(!report().contains("@example.com"), "a cluster without Kubeflow has none");
    cluster.apply(PROFILES).await.unwrap();
    cluster.kubectl(&["wait", "--for=condition=Established", "crd/profiles.kubeflow.org"]).await.unwrap();
    cluster.apply(PEOPLE).await.unwrap();
    let told = report();
    let two = "`Ada.Lovelace@example.com` (Profile team-a) and `ada.lovelace@example.com` (RoleBinding team-b/user-ada) are one";
    assert!(told.contains(two), "{told}");
    let capitals =
        "`Carol@example.com` (AuthorizationPolicy team-b/user-carol): reached with `userid_case: keep` alone";
    assert!(told.contains(capitals), "{told}");
    assert!(!told.contains("bob@example.com"), "{told}");
    let nobody = settings.path().join("nobody.yaml");
    let ran = Command::new(binary().unwrap())
        .args(["migrate", "oidc-authservice", "--kubeconfig"])
        .args([&nobody, &file])
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(64));
    assert!(String::from_utf8(ran.stderr).unwrap().contains("nobody.yaml"), "the file is named");
}
