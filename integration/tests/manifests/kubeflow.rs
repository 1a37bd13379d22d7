//! The two steps before Kubeflow, and the components beside them.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use portcullis_integration::mesh::of_an_operator;
use portcullis_integration::project;

use super::applications::Applied;
use super::manual::{Checkout, the_canary_goes, the_manual_s_commands_do_what_they_say};
use super::{
    Cluster, Objects, Value, built, component_in, fs, gateways, granted, json, kustomize, manifests, port, shadow,
};

const POD_DEFAULTS: &str = include_str!("pod-defaults.yaml");
/// All that belongs to the gate of before, by its names.
const OAUTH2_PROXY: &str = include_str!("oauth2-proxy.yaml");

async fn overlay(name: &str) -> Objects {
    Objects::of(&manifests().join("overlays/kubeflow").join(name)).await
}

/// A component over what the distribution has.
pub(super) async fn over_the_distribution(component: &str) -> String {
    built(|manifests| {
        let distribution = manifests.join("../integration/tests/manifests/distribution");
        json!({ "resources": [distribution], "components": [manifests.join("components").join(component)] })
    })
    .await
}

/// Both steps as the tests of the mesh have them: with the second gateway, and all that may be asked of the mesh.
pub(super) async fn with_both_gateways() -> [String; 2] {
    let step = async |name: &str| kustomize(&of_an_operator("both-gateways").join(name)).await.unwrap();
    [step("portcullis").await, step("gateway").await]
}

/// Each part applied by itself, as the manual has it.
pub(super) async fn the_api_server_takes_what_is_for_kubeflow(cluster: &Cluster) {
    cluster.apply(POD_DEFAULTS).await.unwrap();
    let established = ["wait", "--for=condition=Established", "--timeout=60s", "customresourcedefinitions", "--all"];
    cluster.kubectl(&established).await.unwrap();
    for component in ["kubeflow-mesh", "kubeflow-dex", "kubeflow-tls"] {
        let text = over_the_distribution(component).await;
        cluster.apply(&text).await.unwrap_or_else(|error| panic!("{component}: {error:#}"));
    }
    let applications = Applied::beside_ours(cluster).await;
    for text in with_both_gateways().await {
        cluster.apply(&text).await.unwrap();
    }
    let checkout = Checkout::new();
    the_manual_s_commands_do_what_they_say(cluster, &checkout).await;
    nothing_of_oauth2_proxy_is_left(cluster, &checkout).await;
    the_canary_goes(cluster, &checkout).await;
    applications.are_what_they_were(cluster).await;
    cluster.apply(&component_in("team-a", "access-portcullis").await).await.unwrap();
    a_notebook_s_pod_gets_the_token(cluster).await;
}

/// Who follows the manual to its end has nothing of it any more.
async fn nothing_of_oauth2_proxy_is_left(cluster: &Cluster, checkout: &Checkout) {
    cluster.apply(OAUTH2_PROXY).await.unwrap();
    // Twice, as somebody does who is not sure: the second time there is nothing to delete.
    for _ in 0..2 {
        for comment in ["the switch", "oauth2-proxy is gone for good"] {
            checkout.paste(cluster, comment).await;
        }
    }
    let manual = project::read("docs/kubeflow.md");
    for object in Objects::parse(OAUTH2_PROXY).0 {
        let [kind, name] = [&object["kind"], &object["metadata"]["name"]].map(|value| value.as_str().unwrap());
        let namespace = object["metadata"]["namespace"].as_str();
        // No controller empties a namespace here; it is on its way.
        if namespace == Some("oauth2-proxy") || kind == "Namespace" {
            let phase = ["get", "namespace", "oauth2-proxy", "-o", "jsonpath={.status.phase}"];
            assert_eq!(cluster.kubectl(&phase).await.unwrap(), "Terminating");
            continue;
        }
        let namespace = namespace.unwrap_or("default");
        let left =
            cluster.kubectl(&["get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "name"]).await.unwrap();
        assert_eq!(left, "", "{kind} {name}");
        assert!(manual.contains(&format!("`{name}`")), "the manual tells of {kind} {name}");
    }
}

/// There is no webhook here that puts it into the pod.
async fn a_notebook_s_pod_gets_the_token(cluster: &Cluster) {
    let objects = Objects::parse(&component_in("team-a", "access-portcullis").await);
    let wanted = &objects.get("PodDefault", "access-portcullis")["spec"];
    let pod = json!({
        "metadata": { "name": "notebook-0", "labels": wanted["selector"]["matchLabels"] },
        "spec": {
            "containers": [{
                "name": "notebook", "image": "registry.invalid/notebook",
                "env": wanted["env"], "volumeMounts": wanted["volumeMounts"],
            }],
            "volumes": wanted["volumes"],
        },
    });
    let pods: Api<Pod> = Api::namespaced(cluster.client().await.unwrap(), "team-a");
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
}

/// Kubeflow's own controller joins the roles; what it joins is what counts.
pub(super) async fn a_team_s_editors_may_ask_for_tokens_of_their_own_namespace(cluster: &Cluster) {
    let role = overlay("portcullis").await.get("ClusterRole", "portcullis-tokens").clone();
    let joined = json!({ "rbac.authorization.kubeflow.org/aggregate-to-kubeflow-edit": "true" });
    assert_eq!(role["metadata"]["labels"], joined);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": { "name": "editors", "namespace": "team-a" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "portcullis-tokens" },
        "subjects": [{ "kind": "ServiceAccount", "name": "editor", "namespace": "team-a" }],
    });
    cluster.apply(&binding.to_string()).await.unwrap();
    cluster.create_service_account("team-a", "editor").await.unwrap();
    let granted = granted(cluster, "team-a", "editor").await;
    assert_eq!(granted, ["serviceaccounts/token [] [] [create]"]);

    let kubeconfig = cluster.kubeconfig_of("team-a", "editor").await.unwrap();
    let token = async |namespace: &str| {
        let ask = ["create", "token", "default", "--audience", "portcullis", "-n", namespace];
        cluster.kubectl_with(&kubeconfig, &ask, "").await
    };
    assert_eq!(token("team-a").await.unwrap().split('.').count(), 3);
    let refusal = token("portcullis").await.unwrap_err().to_string();
    assert!(refusal.contains("forbidden"), "{refusal}");
}

#[tokio::test]
async fn the_first_step_changes_nothing_at_the_gateway_and_the_second_nothing_else() {
    for name in ["portcullis", "portcullis-redis"] {
        let product = overlay(name).await;
        assert!(!product.0.is_empty());
        for object in &product.0 {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or("portcullis");
            assert_eq!(namespace, "portcullis", "{name}: {object}");
        }
    }
    let gateway = overlay("gateway").await;
    let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]).replace('"', "");
    let names: BTreeSet<_> = gateway.0.iter().map(name).collect();
    let wanted = [
        "AuthorizationPolicy istio-ingressgateway-require-jwt",
        "AuthorizationPolicy portcullis",
        "RequestAuthentication portcullis",
    ];
    assert_eq!(names, wanted.map(str::to_owned).into());
    assert!(gateway.0.iter().all(|object| object["metadata"]["namespace"] == "istio-system"));
}

#[tokio::test]
async fn with_redis_the_configuration_differs_in_keys_and_sessions_alone() {
    let [mut one, mut several] =
        [overlay("portcullis").await.configuration(), overlay("portcullis-redis").await.configuration()];
    let redis = Objects::of(&manifests().join("overlays/redis")).await.configuration();
    for part in ["keys", "sessions"] {
        assert_eq!(several[part], redis[part]);
        one[part].take();
        several[part].take();
    }
    assert_eq!(one, several);
}

#[tokio::test]
async fn the_mesh_s_configuration_knows_both_gates() {
    let objects = Objects::parse(&over_the_distribution("kubeflow-mesh").await);
    let mesh = objects.get("ConfigMap", "istio")["data"]["mesh"].as_str().unwrap();
    let mesh: Value = serde_saphyr::from_str(mesh).unwrap();
    let base = fs::read_to_string(manifests().join("base/mesh-config-provider.yaml")).unwrap();
    let base: Value = serde_saphyr::from_str(&base).unwrap();
    let providers = mesh["extensionProviders"].as_array().unwrap();
    assert_eq!(providers[0], base["extensionProviders"][0]);
    assert_eq!((providers.len(), &providers[1]["name"]), (2, &json!("oauth2-proxy")));
    // A gate that does not answer is a closed one; Istio's default, which nothing may change.
    assert_eq!(providers[1]["envoyExtAuthzHttp"].get("failOpen"), None);
    assert_eq!(objects.get("ConfigMap", "istio")["data"]["meshNetworks"], "networks: {}", "it stays");

    let pod = &objects.get("Deployment", "istiod")["spec"]["template"]["spec"]["containers"][0];
    let variables = pod["env"].as_array().unwrap();
    let wanted = json!({ "name": "PILOT_JWT_PUB_KEY_REFRESH_INTERVAL", "value": "1m" });
    assert!(variables.contains(&wanted) && variables.iter().any(|variable| variable["name"] == "REVISION"));
}

#[tokio::test]
async fn dex_and_portcullis_are_told_the_same() {
    let objects = overlay("portcullis").await;
    let configuration = objects.configuration();
    let provider = &configuration["providers"][0];
    let origin = configuration["origins"][0]["url"].as_str().unwrap();
    let client = fs::read_to_string(manifests().join("components/kubeflow-dex/client.yaml")).unwrap();
    let client: Value = serde_saphyr::from_str(&client).unwrap();
    assert_eq!(client[0]["id"], provider["client_id"]);
    assert_eq!(client[0]["redirectURIs"], json!([format!("{origin}/portcullis/callback")]));
    // Asked inside, opened outside.
    assert_eq!(provider["issuer"], "http://dex.auth.svc.cluster.local:5556/dex");
    assert_eq!(provider["endpoints"], json!({ "authorization": format!("{origin}/dex/auth") }));

    let dex = Objects::parse(&over_the_distribution("kubeflow-dex").await);
    let secret = &dex.get("Deployment", "dex")["spec"]["template"]["spec"]["containers"][0]["env"][0];
    assert_eq!(client[0]["secretEnv"], secret["name"]);
    // The way there is open on both sides, and for these two alone.
    let way_in = &dex.get("NetworkPolicy", "allow-portcullis")["spec"];
    let way_out = objects.get("NetworkPolicy", "portcullis")["spec"]["egress"].as_array().unwrap().last().unwrap();
    assert_eq!(way_in["ingress"][0]["ports"], way_out["ports"]);
    assert_eq!(way_out["ports"], json!([{ "protocol": "TCP", "port": 5556 }]));
    assert_eq!(way_out["to"][0]["podSelector"], way_in["podSelector"]);
    assert_eq!(
        way_in["ingress"][0]["from"][0]["podSelector"],
        objects.get("NetworkPolicy", "portcullis")["spec"]["podSelector"]
    );
}

#[tokio::test]
async fn what_is_public_is_excepted_from_the_second_lock() {
    let configuration = overlay("portcullis").await.configuration();
    let public: Vec<_> =
        configuration["rules"].as_array().unwrap().iter().filter(|rule| rule["access"] == "public").collect();
    let [dex] = public[..] else { panic!("{public:?}") };
    let paths = dex["paths"].as_array().unwrap().iter().map(|path| path.as_object().unwrap().values().next().unwrap());
    let paths: Vec<_> = paths.map(|path| path.as_str().unwrap()).collect();
    assert!(paths.iter().all(|path| path.starts_with("/dex/")), "no more than Dex's own: {paths:?}");
    let gateway = overlay("gateway").await;
    let lock = &gateway.get("AuthorizationPolicy", "istio-ingressgateway-require-jwt")["spec"];
    let issuer = configuration["assertion"]["issuer"].as_str().unwrap();
    assert_eq!(lock["action"], "DENY");
    assert_eq!(
        lock["rules"],
        json!([{
            "from": [{ "source": { "notRequestPrincipals": [format!("{issuer}/*")] } }],
            "to": [{ "operation": { "notPaths": ["/dex/*"], "notPorts": ["15021"] } }],
        }])
    );
}

#[tokio::test]
async fn the_gateway_inside_the_cluster_asks_only_where_its_components_are() {
    const LOCAL: &str = "cluster-local-gateway";
    for name in ["portcullis", "portcullis-redis", "gateway"] {
        let text =
            serde_json::to_string(&overlay(name).await.0).unwrap().replace("components/cluster-local-gateway", "");
        assert!(!text.contains(LOCAL), "{name}");
    }
    let [product, gateway] = with_both_gateways().await.map(|text| Objects::parse(&text));
    let account = |name: &str| format!("cluster.local/ns/istio-system/sa/{name}-service-account");
    let both = json!([account("istio-ingressgateway"), account(LOCAL)]);
    assert_eq!(gateways(&product), both);
    let checks = &product.get("NetworkPolicy", "portcullis")["spec"]["ingress"][0]["from"];
    let labels: Vec<_> = checks.as_array().unwrap().iter().map(|from| &from["podSelector"]["matchLabels"]).collect();
    assert_eq!(labels, [&json!({ "istio": "ingressgateway" }), &json!({ "istio": LOCAL })]);
    let asks = &gateway.get("AuthorizationPolicy", "portcullis-cluster-local")["spec"];
    assert_eq!((&asks["action"], &asks["provider"]["name"]), (&json!("CUSTOM"), &json!("portcullis")));
    assert_eq!((&asks["rules"], &asks["selector"]["matchLabels"]), (&json!([{}]), &json!({ "istio": LOCAL })));
    let refuses = &gateway.get("AuthorizationPolicy", "portcullis-assertion")["spec"]["rules"][0];
    assert_eq!(refuses["from"][0]["source"]["principals"], both);
}

#[tokio::test]
async fn a_notebook_s_token_is_one_that_portcullis_takes() {
    let configuration = overlay("portcullis").await.configuration();
    let objects = Objects::parse(&component_in("team-a", "access-portcullis").await);
    let wanted = &objects.get("PodDefault", "access-portcullis")["spec"];
    let token = &wanted["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
    assert!(configuration["service_accounts"]["audiences"].as_array().unwrap().contains(&token["audience"]));
    let file = format!("{}/{}", wanted["volumeMounts"][0]["mountPath"], token["path"]).replace('"', "");
    assert_eq!(wanted["env"], json!([{ "name": "PORTCULLIS_TOKEN_PATH", "value": file }]));
    assert_eq!(wanted["volumeMounts"][0]["name"], wanted["volumes"][0]["name"]);
}

#[tokio::test]
async fn tls_is_added_to_what_the_gateway_serves() {
    let objects = Objects::parse(&over_the_distribution("kubeflow-tls").await);
    let servers = objects.get("Gateway", "kubeflow-gateway")["spec"]["servers"].as_array().unwrap();
    let ports: Vec<_> = servers.iter().map(|server| &server["port"]["number"]).collect();
    assert_eq!(ports, [80, 443]);
    assert_eq!(servers[1]["tls"]["mode"], "SIMPLE");
}

#[tokio::test]
async fn a_shadow_is_asked_where_the_gate_is_and_enforces_nothing() {
    let filter = Objects::of(&shadow()).await.get("EnvoyFilter", "portcullis-shadow")["spec"].clone();
    let gate = Objects::of(&manifests().join("base/gateway")).await;
    let policy = gate.get("AuthorizationPolicy", "portcullis");
    assert_eq!(filter["workloadSelector"]["labels"], policy["spec"]["selector"]["matchLabels"]);
    let [patch] = &filter["configPatches"].as_array().unwrap()[..] else { panic!("one filter: {filter:#}") };
    let before = &patch["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"];
    assert_eq!([&patch["patch"]["operation"], before], ["INSERT_BEFORE", "envoy.filters.http.router"]);
    let check = &patch["patch"]["value"]["typed_config"];
    assert_eq!(check["failure_mode_allow"], true, "a call that fails is as if it was not made");
    let service = &check["grpc_service"];
    assert_eq!(service["initial_metadata"], json!([{ "key": "x-portcullis-mode", "value": "shadow" }]));
    let name = "portcullis.portcullis.svc.cluster.local";
    let cluster =
        format!("outbound|{}||{name}", port(&Objects::of(&manifests().join("base")).await.configuration(), "check"));
    assert_eq!(service["envoy_grpc"], json!({ "cluster_name": cluster, "authority": name }));
}
