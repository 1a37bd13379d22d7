//! The published shapes of Kubeflow, and sites that changed everything: what comes out is compared with snapshots, is read
//! by the product, and holds no secret.

use super::{Migration, oauth2_proxy, oidc_authservice, read};

const AUTHSERVICE_1_6: &[(&str, &str)] = &[("authservice.yaml", include_str!("shapes/authservice-1.6.yaml"))];
const AUTHSERVICE_1_8: &[(&str, &str)] = &[
    ("base/kustomization.yaml", include_str!("shapes/authservice-1.8-kustomization.yaml")),
    ("base/params.env", include_str!("shapes/authservice-1.8-params.env")),
    ("base/secret_params.env", include_str!("shapes/authservice-1.8-secret_params.env")),
    ("base/statefulset.yaml", include_str!("shapes/authservice-1.8-statefulset.yaml")),
];
const AUTHSERVICE_ALL: &[(&str, &str)] = &[("authservice.env", include_str!("shapes/authservice-all.env"))];
const OAUTH2_PROXY_1_9: &[(&str, &str)] = &[("standard input", include_str!("shapes/oauth2-proxy-1.9.yaml"))];
const OAUTH2_PROXY_26_03: &[(&str, &str)] = &[
    ("base/kustomization.yaml", include_str!("shapes/oauth2-proxy-26.03-kustomization.yaml")),
    ("base/oauth2_proxy.cfg", include_str!("shapes/oauth2-proxy-26.03.cfg")),
    ("base/deployment.yaml", include_str!("shapes/oauth2-proxy-26.03-deployment.yaml")),
    ("base/kubeflow-logo.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n"),
];
const OAUTH2_PROXY_ALPHA: &[(&str, &str)] = &[("alpha.yaml", include_str!("shapes/oauth2-proxy-alpha.yaml"))];
const OAUTH2_PROXY_FLAGS: &[(&str, &str)] = &[("flags", include_str!("shapes/oauth2-proxy.flags"))];

/// Every secret that stands in one of the shapes.
const SECRETS: [&str; 6] = [
    "pUBnBOY80SnXgjibTYM9ZWNzY2xreNGQok",
    "cFVCbkJPWTgwU25YZ2ppYlRZTTlaV056WTJ4cmVOR1Fvaw",
    "7d16fee92f8d11b8940b081b3f8b8acb",
    "q7Vw2mTzR9pXc4LnKd81",
    "hunter",
    "<svg",
];

/// What comes out, once it was seen to hold no secret and to be read by the product.
fn told(migration: &Migration) -> String {
    let told = format!("{}\n{}", migration.configuration, migration.report.text());
    for secret in SECRETS {
        assert!(!told.contains(secret), "{secret}");
    }
    read(&migration.configuration);
    told
}

#[test]
fn authservice_of_kubeflow_1_6_becomes_what_its_snapshot_says() {
    insta::assert_snapshot!("authservice-1.6", told(&oidc_authservice(AUTHSERVICE_1_6).unwrap()));
}

#[test]
fn authservice_of_kubeflow_1_8_becomes_what_its_snapshot_says() {
    insta::assert_snapshot!("authservice-1.8", told(&oidc_authservice(AUTHSERVICE_1_8).unwrap()));
}

#[test]
fn an_authservice_with_every_setting_becomes_what_its_snapshot_says() {
    insta::assert_snapshot!("authservice-all", told(&oidc_authservice(AUTHSERVICE_ALL).unwrap()));
}

#[test]
fn oauth2_proxy_of_kubeflow_1_9_becomes_what_its_snapshot_says() {
    insta::assert_snapshot!("oauth2-proxy-1.9", told(&oauth2_proxy(OAUTH2_PROXY_1_9).unwrap()));
}

#[test]
fn oauth2_proxy_of_kubeflow_26_03_becomes_what_its_snapshot_says() {
    insta::assert_snapshot!("oauth2-proxy-26.03", told(&oauth2_proxy(OAUTH2_PROXY_26_03).unwrap()));
}

#[test]
fn an_alpha_configuration_becomes_what_its_snapshot_says() {
    insta::assert_snapshot!("oauth2-proxy-alpha", told(&oauth2_proxy(OAUTH2_PROXY_ALPHA).unwrap()));
}

#[test]
fn flags_become_what_their_snapshot_says() {
    insta::assert_snapshot!("oauth2-proxy-flags", told(&oauth2_proxy(OAUTH2_PROXY_FLAGS).unwrap()));
}

#[test]
fn what_cannot_be_used_is_told_as_the_snapshot_says() {
    let github = [("github.cfg", "provider = \"github\"\nclient_secret = \"hunter2\"\n")];
    let twice = [
        ("one.yaml", include_str!("shapes/oauth2-proxy-26.03-deployment.yaml")),
        ("two.yaml", include_str!("shapes/oauth2-proxy-1.9.yaml")),
    ];
    let failures = [
        oauth2_proxy(&github),
        oauth2_proxy(&twice),
        oauth2_proxy(&[("broken.cfg", "provider = \"oidc\nclient_secret = \"hunter2\"\n")]),
        oauth2_proxy(&[("other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}\n")]),
        oauth2_proxy(&[("without-issuer.cfg", "provider = \"oidc\"\n")]),
        oidc_authservice(&[("params.env", "CLIENT_SECRET=hunter2\n")]),
        oidc_authservice(&[("words.txt", "hunter2 is no setting\n")]),
        super::from_oauth2_proxy(
            vec![super::input("a.cfg", "provider = \"google\"\n")],
            Some("http://kf.example.com/x"),
            &[],
        ),
    ];
    let told: Vec<String> = failures.into_iter().map(|failure| failure.unwrap_err().to_string()).collect();
    insta::assert_snapshot!("failures", told.join("\n"));
}
