//! Kubeflow's applications behind the gateway: the way to each, and the policy that each brings itself.

use portcullis_integration::mesh::{
    APPLICATION_NAMESPACES, GATEWAY_ACCOUNT, ISTIO_NAMESPACE, Mesh, NEIGHBOUR, StandIn, TEAM,
};
use portcullis_integration::project;
use portcullis_integration::raw_client::Response;
use portcullis_integration::upstream::Received;
use serde_json::{Value, json};

use super::policies::get;
use super::{bearer, caught_assertion, eventually, signed_in, until};

/// What is asked for, what arrives, and at which Service.
const ROUTES: [(&str, &str, &str); 14] = [
    ("/api/workgroup/env-info", "/api/workgroup/env-info", "dashboard"),
    ("/kfam/v1/bindings", "/kfam/v1/bindings", "profiles-kfam"),
    ("/jupyter/api/namespaces", "/api/namespaces", "jupyter-web-app-service"),
    ("/volumes/api/namespaces", "/api/namespaces", "volumes-web-app-service"),
    ("/tensorboards/api/namespaces", "/api/namespaces", "tensorboards-web-app-service"),
    ("/kserve-endpoints/api/namespaces", "/api/namespaces", "kserve-models-web-application"),
    ("/pipeline/apis/v2beta1/runs", "/pipeline/apis/v2beta1/runs", "ml-pipeline-ui"),
    ("/ml_metadata.MetadataStoreService/X", "/ml_metadata.MetadataStoreService/X", "metadata-envoy-service"),
    ("/katib/fetch_experiments/", "/katib/fetch_experiments/", "katib-ui"),
    ("/model-registry/api/v1/user", "/api/v1/user", "model-registry-ui-service"),
    ("/api/model_registry/v1/models", "/api/model_registry/v1/models", "model-registry-service"),
    ("/api/model_catalog/v1/sources", "/api/model_catalog/v1/sources", "model-catalog"),
    ("/workspaces/api/v1/workspaces", "/api/v1/workspaces", "workspaces-backend"),
    ("/workspaces/static/app.js", "/static/app.js", "workspaces-frontend"),
];
/// What lets in whom the gateway brings, in each namespace.
const LET_IN: [&str; 2] = ["dashboard", "workspaces-frontend"];
/// Services that no policy opens to the gateway: KFAM's opens it to the dashboard alone, and the catalog has none.
const CLOSED: [&str; 2] = ["profiles-kfam", "model-catalog"];
/// The Service that is in no mesh, and has no policies.
const OUTSIDE: &str = "metadata-envoy-service";

/// All stand-ins, with the labels of an application that lets in whom the gateway brings.
pub(crate) struct Applications(Vec<StandIn>);

impl Applications {
    /// Starts them. The gateway may not know yet where they are.
    pub(crate) async fn start(mesh: &Mesh) -> Self {
        let mut all = Vec::new();
        for (namespace, service) in APPLICATION_NAMESPACES.into_iter().zip(LET_IN) {
            let stand_in = mesh.stand_in(namespace).await.unwrap();
            stand_in.becomes(mesh, Some(service)).await.unwrap();
            all.push(stand_in);
        }
        Self(all)
    }

    /// The requests with this target that came to a Service: under which name, and whether with an assertion.
    fn received(&self, service: &str, target: &str) -> Vec<(String, bool)> {
        let stand_in = self.0.iter().find(|stand_in| stand_in.services().any(|name| name == service)).unwrap();
        let mut received = stand_in.received_with(service, target).unwrap();
        received.retain(|received| received.target == target);
        let told = |received: Received| {
            (received.headers.all("kubeflow-userid").join(" and "), received.headers.has("portcullis-assertion"))
        };
        received.into_iter().map(told).collect()
    }

    /// Holds each route to its end, for somebody whom the gate in force lets pass under this name.
    pub(crate) async fn are_reached(
        &self,
        mark: &str,
        name: &str,
        asserted: bool,
        mut ask: impl AsyncFnMut(&str) -> anyhow::Result<Response>,
    ) {
        for (asked, arrives, service) in ROUTES {
            eventually(service, async || {
                ask(&format!("{asked}?{mark}-waits")).await.unwrap();
                !self.received(service, &format!("{arrives}?{mark}-waits")).is_empty()
            })
            .await;
            let answer = ask(&format!("{asked}?{mark}")).await.unwrap();
            assert!(answer.is_from_upstream(), "{mark}: {asked}: {} {}", answer.status, answer.text());
            let received = self.received(service, &format!("{arrives}?{mark}"));
            assert_eq!(received, [(name.to_owned(), asserted)], "{mark}: {asked}");
        }
    }

    /// Holds each route to its being closed to somebody whom the gate in force refuses.
    pub(crate) async fn are_out_of_reach(
        &self,
        mark: &str,
        mut ask: impl AsyncFnMut(&str) -> anyhow::Result<Response>,
    ) {
        for (asked, arrives, service) in ROUTES {
            let answer = ask(&format!("{asked}?{mark}")).await.unwrap();
            assert!(matches!(answer.status, 401 | 403), "{mark}: {asked}: {} {}", answer.status, answer.text());
            assert_eq!(self.received(service, &format!("{arrives}?{mark}")), [], "{mark}: {asked}");
        }
    }
}

/// Lets the dashboard have the paths that nobody else has, as in Kubeflow: the workload keeps those of a notebook.
pub(crate) async fn the_workload_steps_aside(mesh: &Mesh) {
    route_to_the_workload(mesh, &json!([{ "uri": { "prefix": "/notebook/team-a/echo/" } }])).await;
}

/// Gives the workload every path again.
pub(crate) async fn the_workload_comes_back(mesh: &Mesh) {
    route_to_the_workload(mesh, &json!(null)).await;
    let token = bearer(mesh, NEIGHBOUR).await;
    until(mesh, "/come-back", &[("authorization", &token)], Response::is_from_upstream).await;
    eventually("the workload has every path", async || {
        mesh.get("/come-back?waits", &[("authorization", &token)]).await.unwrap();
        !mesh.workload.received_with("/come-back?waits").is_empty()
    })
    .await;
}

async fn route_to_the_workload(mesh: &Mesh, matches: &Value) {
    let destination = json!({ "host": "echo.team-a.svc.cluster.local", "port": { "number": 80 } });
    let http = json!([{ "match": matches, "route": [{ "destination": destination }] }]);
    let patch = json!({ "spec": { "http": http } }).to_string();
    let patch = ["patch", "virtualservice", "catch-all", "-n", TEAM, "--type", "merge", "--patch", &patch];
    mesh.cluster.kubectl(&patch).await.unwrap();
}

/// With all that may be asked of the mesh: one stand-in becomes each application in turn, with that application's policy alone.
pub(crate) async fn each_application_s_own_policy_goes_on_to_say_whom_it_lets_in(mesh: &mut Mesh) {
    let mut person = signed_in(mesh, "alice", "/applications?before").await;
    let token = bearer(mesh, NEIGHBOUR).await;
    let assertion = caught_assertion(mesh, "/applications?caught").await;
    the_workload_steps_aside(mesh).await;
    let component = project::read("manifests/components/verify-assertion-everywhere/authorization-policy.yaml");
    mesh.cluster.apply(&component).await.unwrap();
    let applications = Applications::start(mesh).await;

    for stand_in in &applications.0 {
        for (asked, arrives, service) in ROUTES {
            if service == OUTSIDE || !stand_in.services().any(|name| name == service) {
                continue;
            }
            let gateway = stand_in.reached_from(mesh, service, ISTIO_NAMESPACE, GATEWAY_ACCOUNT).await.unwrap();
            let dashboard = stand_in.reached_from(mesh, service, "kubeflow", "dashboard").await.unwrap();
            let neighbour = stand_in.reached_from(mesh, service, TEAM, NEIGHBOUR).await.unwrap();
            let by_the_gateway = [("kubeflow-userid", "alice@example.com"), ("portcullis-assertion", &assertion)];
            let by_others = [("kubeflow-userid", "alice@example.com"), ("authorization", &token)];
            stand_in.becomes(mesh, None).await.unwrap();
            eventually("nobody's policy is asked", async || {
                get(&gateway, "/own?nobody", &by_the_gateway).await.status == 403
            })
            .await;

            stand_in.becomes(mesh, Some(service)).await.unwrap();
            if CLOSED.contains(&service) {
                let opened = service == "profiles-kfam";
                if opened {
                    eventually("KFAM takes the dashboard's word", async || {
                        get(&dashboard, "/own?dashboard", &by_others[..1]).await.is_from_upstream()
                    })
                    .await;
                }
                assert_eq!(get(&gateway, "/own?closed", &by_the_gateway).await.status, 403, "{service}");
                assert_eq!(person.navigate(&format!("{asked}?own")).await.unwrap().status, 403, "{service}");
                assert_eq!(applications.received(service, &format!("{arrives}?own")), [], "{service}");
                continue;
            }
            eventually(service, async || get(&gateway, "/own?gateway", &by_the_gateway).await.is_from_upstream()).await;
            assert_eq!(get(&gateway, "/own?unasserted", &by_the_gateway[..1]).await.status, 403, "{service}");
            assert_eq!(get(&neighbour, "/own?neighbour", &by_others).await.status, 403, "{service}");
            assert_eq!(get(&dashboard, "/own?dashboard", &by_others).await.status, 403, "{service}");
            for forged in ["/own?unasserted", "/own?neighbour", "/own?dashboard"] {
                assert_eq!(applications.received(service, forged), [], "{service}");
            }

            let script = format!("system:serviceaccount:{TEAM}:{NEIGHBOUR}");
            let forged = ("kubeflow-userid", "root@example.com");
            let received = |mark: &str| applications.received(service, &format!("{arrives}?{mark}"));
            person.request("GET", &format!("{asked}?person"), &[forged]).await.unwrap().echo().unwrap();
            assert_eq!(received("person"), [("alice@example.com".to_owned(), true)], "{service}");
            let lines = [("authorization", token.as_str()), forged];
            mesh.get(&format!("{asked}?token"), &lines).await.unwrap().echo().unwrap();
            assert_eq!(received("token"), [(script, true)], "{service}");
            assert_eq!(mesh.get(&format!("{asked}?none"), &[forged]).await.unwrap().status, 401, "{service}");
            assert_eq!(received("none"), [], "{service}");
        }
    }
    pods_call_pipelines_as_before(mesh, &applications.0[0], &token).await;

    let component = ["delete", "authorizationpolicy", "portcullis-assertion", "-n", ISTIO_NAMESPACE];
    mesh.cluster.kubectl(&component).await.unwrap();
    the_workload_comes_back(mesh).await;
}

/// Past the gateway, with a token of the API server's own that ml-pipeline reviews itself. No name is taken from there.
async fn pods_call_pipelines_as_before(mesh: &Mesh, stand_in: &StandIn, token: &str) {
    let pod = stand_in.reached_from(mesh, "ml-pipeline", TEAM, NEIGHBOUR).await.unwrap();
    stand_in.becomes(mesh, Some("ml-pipeline")).await.unwrap();
    let lines = [("authorization", token), ("kubeflow-userid", "alice@example.com")];
    eventually("ml-pipeline takes a pod's token", async || {
        get(&pod, "/apis/v2beta1/runs?pod", &lines[..1]).await.is_from_upstream()
    })
    .await;
    assert_eq!(get(&pod, "/apis/v2beta1/runs?named", &lines).await.status, 403);
    assert!(stand_in.received_with("ml-pipeline", "?named").unwrap().is_empty());
}
