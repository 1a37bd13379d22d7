//! What the overlays for Kubeflow add to a sign-in: Dex behind the gateway, and the addresses of the dashboards' buttons.

use portcullis_integration::mesh::Mesh;
use portcullis_integration::portcullis::ORIGIN;
use serde_json::Value;

use super::{assert_untouched, at_workload, signed_in};

pub(crate) async fn the_dashboards_buttons_are_answered_by_portcullis(mesh: &Mesh) {
    // A link of a page of this origin.
    let clicked = [
        ("accept", "text/html"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    for (number, button) in ["/logout", "/oauth2/sign_out", "/authservice/logout"].into_iter().enumerate() {
        let mut visitor = mesh.visitor().unwrap();
        let page = mesh.sign_in(&mut visitor, "alice", &format!("/buttons?{number}")).await.unwrap();
        assert!(page.is_from_upstream(), "{button}: {} {}", page.status, page.text());
        let answer = visitor.request("GET", button, &clicked).await.unwrap();
        assert_eq!(answer.status, 303, "{button}: {}", answer.text());
        let after = visitor.fetch("GET", &format!("/buttons?{number}-signed-out")).await.unwrap();
        assert_eq!(after.status, 401, "{button}: {}", after.text());
    }
    let start = mesh.begin(&mut mesh.visitor().unwrap(), "/oauth2/start").await.unwrap();
    assert!(start.as_str().starts_with(&format!("{ORIGIN}/dex/auth?")), "{start}");
    assert_untouched(mesh, "-signed-out");
    assert_untouched(mesh, "/oauth2/");
}

pub(crate) async fn of_dex_only_what_takes_part_in_a_sign_in_is_open(mesh: &Mesh) {
    let issuer = &mesh.dex.registration().issuer;
    let answer = mesh.get("/dex/.well-known/openid-configuration", &[]).await.unwrap();
    assert_eq!(answer.json::<Value>().unwrap()["issuer"], issuer.as_str());
    for path in ["/dex/keys", "/dex/static/main.css", "/dex/theme/styles.css"] {
        let answer = mesh.get(path, &[]).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    for path in
        ["/dex", "/dex/", "/dex/healthz", "/dex/device", "/dex/keys/team-a", "/dex/authx", "/dex/team-a/viewer/"]
    {
        let answer = mesh.get(path, &[]).await.unwrap();
        assert_eq!(answer.status, 401, "{path}: {}", answer.text());
    }
    for path in ["/dex/auth/../../x", "/dex/static/..%2fhealthz", "/dex/keys;x", "//dex/keys"] {
        let answer = mesh.get(path, &[]).await.unwrap();
        assert!(matches!(answer.status, 400 | 401), "{path}: {} {}", answer.status, answer.text());
    }
    // Who is signed in reaches the rest as everything else.
    let mut visitor = signed_in(mesh, "bob", "/of-dex").await;
    assert_eq!(at_workload(mesh, "/of-dex").headers.all("kubeflow-userid"), ["bob@example.com"]);
    assert_eq!(visitor.navigate("/dex/healthz").await.unwrap().status, 200);
}
