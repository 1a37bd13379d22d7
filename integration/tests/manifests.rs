//! The manifests: a real API server takes every one of them, and they fit each other and the configuration.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "manifests/analyzer.rs"]
mod analyzer;
#[path = "manifests/applications.rs"]
mod applications;
#[path = "manifests/kubeflow.rs"]
mod kubeflow;
#[path = "manifests/manual.rs"]
mod manual;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use portcullis_integration::cluster::{Cluster, kustomize, kustomize_with};
use portcullis_integration::jwt::random_id;
use portcullis_integration::pki::Authority;
use portcullis_integration::portcullis::binary;
use serde_json::{Value, json};

/// Objects of a kustomization, or of any stream of YAML documents.
struct Objects(Vec<Value>);

impl Objects {
    fn parse(text: &str) -> Self {
        Self(serde_saphyr::from_multiple(text).unwrap())
    }

    async fn of(kustomization: &Path) -> Self {
        Self::parse(&kustomize(kustomization).await.unwrap())
    }

    /// The one object of a kind and name.
    fn get(&self, kind: &str, name: &str) -> &Value {
        let found: Vec<_> = self.all(kind).filter(|object| object["metadata"]["name"] == name).collect();
        assert_eq!(found.len(), 1, "{kind} {name}");
        found[0]
    }

    fn all(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// The product's configuration in the `ConfigMap`.
    fn configuration(&self) -> Value {
        let text = self.get("ConfigMap", "portcullis")["data"]["portcullis.yaml"].as_str().unwrap();
        serde_saphyr::from_str(text).unwrap()
    }

    fn container(&self) -> &Value {
        let containers = &self.get("Deployment", "portcullis")["spec"]["template"]["spec"]["containers"];
        assert_eq!(containers.as_array().unwrap().len(), 1);
        &containers[0]
    }
}

/// The process never takes what the kubelet would end it for, and no more is asked for than that.
#[test]
fn the_memory_limit_is_what_the_process_takes_at_most() {
    const MIB: u64 = 1 << 20;
    let text = fs::read_to_string(manifests().join("base/deployment.yaml")).unwrap();
    let base = Objects::parse(&text);
    let limit = base.container()["resources"]["limits"]["memory"].as_str().unwrap();
    let limit = limit.strip_suffix("Mi").unwrap().parse::<u64>().unwrap() * MIB;
    let most = portcullis::memory::MOST;
    assert!((most..most + 64 * MIB).contains(&limit), "{} MiB at most, and a limit of {}", most / MIB, limit / MIB);
    // No component or overlay has another one.
    for folder in ["components", "overlays"] {
        for path in portcullis_integration::project::files(&manifests().join(folder), "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("memory: "), "{}: another limit, or request", path.display());
        }
    }

    let document = portcullis_integration::project::read("docs/operations.md");
    let table = document.split("## Memory").nth(1).unwrap().split("\n## ").next().unwrap();
    let told: Vec<(&str, u64)> = table
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
            Some((cells.next()?, cells.next()?.parse::<u64>().ok()? * MIB))
        })
        .collect();
    assert_eq!(told, portcullis::memory::PARTS);
    for (figure, bytes) in [("460 MiB", portcullis::memory::SUM), ("517 MiB", most), ("528 MiB", limit)] {
        assert!(table.contains(figure) && figure == format!("{} MiB", bytes / MIB), "{figure}: {bytes}");
    }
}

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests").canonicalize().unwrap()
}

/// The kustomizations that install Portcullis.
fn installations() -> Vec<PathBuf> {
    let all = ["base", "overlays/redis", "overlays/kubeflow/portcullis", "overlays/kubeflow/portcullis-redis"];
    all.iter().map(|name| manifests().join(name)).collect()
}

/// The kustomizations that make a gateway ask.
fn gates() -> Vec<PathBuf> {
    ["base", "overlays/redis", "overlays/kubeflow/gateway"].iter().map(|name| manifests().join(name)).collect()
}

/// The kustomization that makes a gateway ask in shadow.
fn shadow() -> PathBuf {
    manifests().join("overlays/kubeflow/shadow")
}

#[test]
fn every_overlay_is_known_to_these_tests() {
    let known: BTreeSet<_> = installations().into_iter().chain(gates()).chain([shadow()]).collect();
    let written = portcullis_integration::project::files(&manifests().join("overlays"), "yaml");
    let folders = written.iter().filter(|path| path.ends_with("kustomization.yaml")).map(|path| path.parent().unwrap());
    let found: BTreeSet<_> = folders.map(Path::to_owned).chain([manifests().join("base")]).collect();
    assert_eq!(found, known);
}

/// A kustomization that puts a component into a namespace, as its comment tells people to write.
async fn component_in(namespace: &str, component: &str) -> String {
    built(|manifests| json!({ "namespace": namespace, "components": [manifests.join("components").join(component)] }))
        .await
}

/// What becomes of a kustomization that is told where the manifests are.
async fn built(kustomization: impl Fn(&Path) -> Value) -> String {
    kustomize_with(|root| kustomization(&root.join("manifests"))).await.unwrap()
}

fn seconds(configuration: &Value, pointer: &str) -> u64 {
    let text = configuration.pointer(pointer).and_then(Value::as_str).unwrap();
    text.strip_suffix('s').and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{pointer}: {text}"))
}

fn port(configuration: &Value, listener: &str) -> u64 {
    let bind = configuration["listeners"][listener]["bind"].as_str().unwrap();
    bind.rsplit(':').next().unwrap().parse().unwrap()
}

/// All of it on one API server, since its start costs the most.
#[tokio::test]
async fn a_real_api_server_takes_every_manifest_and_holds_the_pod_to_them() {
    let cluster = Cluster::start().await.unwrap();
    cluster.install_istio_crds().await.unwrap();
    for namespace in ["istio-system", "auth", "kubeflow", "kubeflow-workspaces", "team-a"] {
        cluster.create_namespace(namespace).await.unwrap();
    }

    for folder in installations() {
        let text = kustomize(&folder).await.unwrap();
        cluster.apply(&text).await.unwrap_or_else(|error| panic!("{}: {error:#}", folder.display()));
        the_pod_is_admitted_and_a_bolder_one_is_not(&cluster).await;
    }
    kubeflow::the_api_server_takes_what_is_for_kubeflow(&cluster).await;
    let verify = component_in("team-a", "verify-assertion").await;
    assert!(Objects::parse(&verify).0.iter().all(|object| object["metadata"]["namespace"] == "team-a"));
    an_allow_policy_of_before_becomes_the_deny_policy(&cluster, &verify).await;
    cluster.apply(&component_in("portcullis", "back-channel-logout").await).await.unwrap();

    the_account_may_review_tokens_and_nothing_else(&cluster).await;
    kubeflow::a_team_s_editors_may_ask_for_tokens_of_their_own_namespace(&cluster).await;
}

/// As people apply it, over what an earlier version of the component was.
async fn an_allow_policy_of_before_becomes_the_deny_policy(cluster: &Cluster, component: &str) {
    let source =
        json!({ "principals": ["cluster.local/ns/a/sa/b"], "requestPrincipals": ["https://portcullis.test/*"] });
    let before = json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": { "name": "portcullis", "namespace": "team-a" },
        "spec": { "action": "ALLOW", "rules": [{ "from": [{ "source": source }] }] },
    });
    for text in [before.to_string().as_str(), component] {
        cluster.kubectl_with(&cluster.admin_kubeconfig(), &["apply", "-f", "-"], text).await.unwrap();
    }
    let policies = cluster.kubectl(&["get", "authorizationpolicies", "-n", "team-a", "-o", "json"]).await.unwrap();
    let policies: Value = serde_json::from_str(&policies).unwrap();
    let [policy] = &policies["items"].as_array().unwrap()[..] else { panic!("{policies}") };
    let wanted = Objects::parse(component).get("AuthorizationPolicy", "portcullis")["spec"].clone();
    assert_eq!(policy["spec"], wanted);
}

/// There is no controller here: the pod is made from the Deployment's template, and `PodSecurity` judges it.
async fn the_pod_is_admitted_and_a_bolder_one_is_not(cluster: &Cluster) {
    let deployed =
        cluster.kubectl(&["get", "deployment", "portcullis", "-n", "portcullis", "-o", "json"]).await.unwrap();
    let deployed: Value = serde_json::from_str(&deployed).unwrap();
    let mut pod = deployed["spec"]["template"].clone();
    pod["metadata"]["name"] = json!("portcullis-0");
    let pods: Api<Pod> = Api::namespaced(cluster.client().await.unwrap(), "portcullis");
    let create =
        async |pod: &Value| pods.create(&PostParams::default(), &serde_json::from_value(pod.clone()).unwrap()).await;
    create(&pod).await.unwrap();
    pods.delete("portcullis-0", &DeleteParams::default().grace_period(0)).await.unwrap();

    pod["metadata"]["name"] = json!("portcullis-1");
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    let refusal = create(&pod).await.unwrap_err().to_string();
    assert!(refusal.contains("restricted"), "{refusal}");
}

async fn the_account_may_review_tokens_and_nothing_else(cluster: &Cluster) {
    let client = cluster.client_of("portcullis", "portcullis").await.unwrap();
    let review = json!({ "metadata": {}, "spec": { "token": "none", "audiences": ["portcullis"] } });
    let reviews: Api<TokenReview> = Api::all(client.clone());
    reviews.create(&PostParams::default(), &serde_json::from_value(review).unwrap()).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "portcullis");
    let refusal = secrets.list(&ListParams::default()).await.unwrap_err().to_string();
    assert!(refusal.contains("forbidden"), "{refusal}");

    let granted = granted(cluster, "portcullis", "portcullis").await;
    assert_eq!(granted.len(), 1, "{granted:?}");
    assert!(
        granted[0].starts_with("tokenreviews.authentication.k8s.io") && granted[0].ends_with("[create]"),
        "{granted:?}"
    );
}

/// What an account may do in its namespace, and not everybody.
async fn granted(cluster: &Cluster, namespace: &str, account: &str) -> Vec<String> {
    cluster.create_service_account(namespace, "nobody").await.unwrap();
    let rows = async |account: &str| -> BTreeSet<String> {
        let kubeconfig = cluster.kubeconfig_of(namespace, account).await.unwrap();
        let list = ["auth", "can-i", "--list", "--no-headers", "-n", namespace];
        let text = cluster.kubectl_with(&kubeconfig, &list, "").await.unwrap();
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let (own, everybodys) = (rows(account).await, rows("nobody").await);
    own.difference(&everybodys).cloned().collect()
}

#[tokio::test]
async fn ports_are_the_configurations_everywhere() {
    for folder in installations() {
        let objects = Objects::of(&folder).await;
        let configuration = objects.configuration();
        let [check, http, operations] = ["check", "http", "operations"].map(|name| port(&configuration, name));

        let container = objects.container();
        let numbers: Vec<_> =
            container["ports"].as_array().unwrap().iter().map(|port| port["containerPort"].as_u64()).collect();
        assert_eq!(numbers, [Some(check), Some(http), Some(operations)]);
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            assert_eq!(container[probe]["httpGet"]["port"], "operations", "{probe}");
        }

        let service = &objects.get("Service", "portcullis")["spec"]["ports"];
        assert_eq!(
            (&service[0]["port"], &service[0]["name"], &service[0]["appProtocol"]),
            (&json!(check), &json!("grpc-authz"), &json!("grpc"))
        );
        assert_eq!(service[1]["port"], http);

        // The check service itself listens on loopback, and the sidecar leads there.
        assert_eq!(configuration["listeners"]["check"]["bind"], format!("127.0.0.1:{check}"));
        let ingress = &objects.get("Sidecar", "portcullis")["spec"]["ingress"];
        assert_eq!(ingress[0]["port"], json!({ "number": check, "protocol": "GRPC", "name": "grpc-authz" }));
        assert_eq!(ingress[0]["defaultEndpoint"], format!("127.0.0.1:{check}"));
        assert_eq!(ingress[1]["port"]["number"], http);

        // In clear text from outside of the mesh: the public keys, nothing else.
        let peers = &objects.get("PeerAuthentication", "portcullis")["spec"];
        assert_eq!(peers["mtls"]["mode"], "STRICT");
        assert_eq!(peers["portLevelMtls"], json!({ http.to_string(): { "mode": "PERMISSIVE" } }));
        let tls = &objects.get("DestinationRule", "portcullis")["spec"]["trafficPolicy"]["portLevelSettings"][0];
        assert_eq!(tls, &json!({ "port": { "number": check }, "tls": { "mode": "ISTIO_MUTUAL" } }));
    }
}

#[tokio::test]
async fn only_the_gateways_reach_the_check_port() {
    for folder in installations() {
        let objects = Objects::of(&folder).await;
        let check = port(&objects.configuration(), "check");
        let policy =
            objects.all("AuthorizationPolicy").find(|policy| policy["metadata"]["namespace"] == "portcullis").unwrap();
        assert_eq!(policy["spec"]["action"], "ALLOW");
        let rules = policy["spec"]["rules"].as_array().unwrap();
        let opened: Vec<_> = rules
            .iter()
            .filter(|rule| {
                // A rule or an operation that names no port holds for every port.
                let Some(operations) = rule["to"].as_array() else { return true };
                operations.iter().any(|to| {
                    let ports = to["operation"]["ports"].as_array();
                    ports.is_none_or(|ports| ports.contains(&json!(check.to_string())))
                })
            })
            .collect();
        assert_eq!(opened.len(), 1, "{opened:#?}");
        let source = &opened[0]["from"][0]["source"];
        let principals = source["principals"].as_array().unwrap();
        assert_eq!(source.as_object().unwrap().len(), 1);
        assert!(principals.iter().all(|name| name.as_str().unwrap().starts_with("cluster.local/ns/istio-system/sa/")));
        assert!(principals.iter().all(|name| !name.as_str().unwrap().contains('*')));

        let network = objects.get("NetworkPolicy", "portcullis");
        let opened: Vec<_> = network["spec"]["ingress"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|rule| rule["ports"].as_array().is_none_or(|ports| ports.iter().any(|port| port["port"] == check)))
            .collect();
        assert_eq!(opened.len(), 1);
        let sources = opened[0]["from"].as_array().unwrap();
        assert_eq!(sources.len(), principals.len(), "one selector for each gateway");
        for source in sources {
            assert_eq!(source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], "istio-system");
            assert!(source["podSelector"]["matchLabels"]["istio"].is_string());
        }
    }
}

#[tokio::test]
async fn every_request_at_the_gateways_is_checked_and_a_lost_check_is_refused() {
    let text = fs::read_to_string(manifests().join("base/mesh-config-provider.yaml")).unwrap();
    let mesh: Value = serde_saphyr::from_str(&text).unwrap();
    let provider = &mesh["extensionProviders"][0];
    let authorizer = &provider["envoyExtAuthzGrpc"];
    assert_eq!(authorizer["failOpen"], false);
    assert_eq!(authorizer["statusOnError"], "503");
    let timeout = seconds(authorizer, "/timeout");
    assert_eq!(authorizer["service"], "portcullis/portcullis.portcullis.svc.cluster.local");
    for folder in installations() {
        let configuration = Objects::of(&folder).await.configuration();
        assert_eq!(authorizer["port"], port(&configuration, "check"));
        // Our own calls end before the gateway's patience.
        for provider in configuration["providers"].as_array().unwrap() {
            assert!(provider.get("timeout").is_none_or(|_| seconds(provider, "/timeout") < timeout));
        }
    }
    for folder in gates() {
        let objects = Objects::of(&folder).await;
        let custom: Vec<_> =
            objects.all("AuthorizationPolicy").filter(|policy| policy["spec"]["action"] == "CUSTOM").collect();
        let [policy] = custom[..] else { panic!("{}: one CUSTOM policy, not {}", folder.display(), custom.len()) };
        assert_eq!(policy["spec"]["selector"], json!({ "matchLabels": { "istio": "ingressgateway" } }));
        assert_eq!(policy["spec"]["provider"]["name"], provider["name"]);
        assert_eq!(policy["spec"]["rules"], json!([{}]), "nothing is excepted");
    }
}

#[tokio::test]
async fn a_pod_drains_before_it_is_killed() {
    for folder in installations() {
        let objects = Objects::of(&folder).await;
        let configuration = objects.configuration();
        let deployment = &objects.get("Deployment", "portcullis")["spec"];
        let pod = &deployment["template"]["spec"];
        let drain = seconds(&configuration, "/drain/delay") + seconds(&configuration, "/drain/timeout");
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace >= drain + 5, "{grace} s for {drain} s");
        let proxy: Value = serde_saphyr::from_str(
            deployment["template"]["metadata"]["annotations"]["proxy.istio.io/config"].as_str().unwrap(),
        )
        .unwrap();
        let sidecar = Duration::from_secs(seconds(&proxy, "/terminationDrainDuration"));
        assert!(sidecar.as_secs() >= drain && sidecar.as_secs() <= grace, "{sidecar:?}");
        // A subPath would freeze what it mounts.
        let mounts = objects.container()["volumeMounts"].as_array().unwrap();
        assert!(mounts.iter().all(|mount| mount.get("subPath").is_none()));
    }
}

#[tokio::test]
async fn an_embedded_store_has_one_writer_and_a_claim() {
    for folder in [manifests().join("base"), manifests().join("overlays/kubeflow/portcullis")] {
        let objects = Objects::of(&folder).await;
        let configuration = objects.configuration();
        let deployment = &objects.get("Deployment", "portcullis")["spec"];
        assert_eq!((&deployment["replicas"], &deployment["strategy"]), (&json!(1), &json!({ "type": "Recreate" })));
        let pod = &deployment["template"]["spec"];
        // Keys and store on the claim, in folders apart.
        let mounts = objects.container()["volumeMounts"].as_array().unwrap();
        let data = mounts.iter().find(|mount| mount["name"] == "data").unwrap()["mountPath"].as_str().unwrap();
        let keys = Path::new(configuration["keys"]["directory"].as_str().unwrap());
        let store = Path::new(configuration["sessions"]["store"]["path"].as_str().unwrap()).parent().unwrap();
        assert!(keys.starts_with(data) && store.starts_with(data) && keys != store);
        let claim = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "data").unwrap();
        objects.get("PersistentVolumeClaim", claim["persistentVolumeClaim"]["claimName"].as_str().unwrap());
    }
}

#[tokio::test]
async fn with_redis_several_replicas_share_their_keys_and_no_disk() {
    let alone = Objects::of(&manifests().join("overlays/redis")).await;
    let before_kubeflow = Objects::of(&manifests().join("overlays/kubeflow/portcullis-redis")).await;
    for objects in [&alone, &before_kubeflow] {
        let deployment = &objects.get("Deployment", "portcullis")["spec"];
        assert!(deployment["replicas"].as_u64().unwrap() >= 2);
        let rolling = json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
        assert_eq!(deployment["strategy"], rolling);
        let budget = &objects.get("PodDisruptionBudget", "portcullis")["spec"];
        assert_eq!((&budget["maxUnavailable"], &budget["selector"]), (&json!(1), &deployment["selector"]));

        assert_eq!(objects.all("PersistentVolumeClaim").count(), 0);
        let volumes = deployment["template"]["spec"]["volumes"].as_array().unwrap();
        assert!(volumes.iter().all(|volume| volume.get("persistentVolumeClaim").is_none()), "{volumes:?}");
        let mounts = objects.container()["volumeMounts"].as_array().unwrap();
        let configuration = objects.configuration();
        let store = &configuration["sessions"]["store"];
        assert_eq!(store["type"], "redis");
        // Every file that is named is on a Secret that is mounted.
        let keys = &configuration["keys"];
        let redis = &store["redis"];
        for (file, secret) in [
            (&keys["root"][0], "portcullis-keys"),
            (&keys["assertion"][0], "portcullis-keys"),
            (&redis["password_file"], "portcullis-redis"),
            (&redis["ca_file"], "portcullis-redis"),
        ] {
            let folder = Path::new(file.as_str().unwrap()).parent().unwrap().to_str().unwrap();
            let mount = mounts.iter().find(|mount| mount["mountPath"] == folder).unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            assert_eq!(volume["secret"]["secretName"], secret, "{file}");
        }
        // The way to Redis is open.
        let url = redis["urls"][0].as_str().unwrap();
        let port: u64 = url.rsplit(':').next().unwrap().parse().unwrap();
        assert!(url.starts_with("rediss://"), "{url}");
        let egress = objects.get("NetworkPolicy", "portcullis")["spec"]["egress"].as_array().unwrap();
        let opens = |rule: &Value| rule["ports"].as_array().unwrap().iter().any(|opened| opened["port"] == port);
        assert!(egress.iter().any(opens), "{egress:?}");
    }
}

#[tokio::test]
async fn the_image_is_of_this_version_and_no_secret_is_delivered() {
    for folder in installations() {
        let objects = Objects::of(&folder).await;
        let image = objects.container()["image"].as_str().unwrap();
        assert_eq!(image.rsplit(':').next(), Some(env!("CARGO_PKG_VERSION")), "{image}");
        assert_eq!(objects.all("Secret").count(), 0, "a secret that everybody knows is none");
    }
}

#[tokio::test]
async fn verifiers_expect_what_portcullis_signs() {
    let configuration = Objects::of(&manifests().join("overlays/kubeflow/portcullis")).await.configuration();
    let workloads = Objects::parse(&component_in("team-a", "verify-assertion").await);
    let gateway = Objects::of(&manifests().join("overlays/kubeflow/gateway")).await;
    let issuer = configuration["assertion"]["issuer"].as_str().unwrap();
    for objects in [&gateway, &workloads] {
        let rule = &objects.get("RequestAuthentication", "portcullis")["spec"]["jwtRules"][0];
        assert_eq!(rule["issuer"], issuer);
        let header = configuration["identity"]["headers"]["assertion"].as_str().unwrap();
        assert_eq!(rule["fromHeaders"], json!([{ "name": header }]));
        assert_eq!(rule["forwardOriginalToken"], true, "the next one verifies it, too");
        let keys = format!("http://portcullis.portcullis.svc.cluster.local:{}/", port(&configuration, "http"));
        assert!(rule["jwksUri"].as_str().unwrap().starts_with(&keys));
    }
    // The gateway passes on what is for any service, and the mesh is all of it: no selector.
    let everywhere = gateway.get("RequestAuthentication", "portcullis");
    assert_eq!(everywhere["metadata"]["namespace"], "istio-system");
    assert_eq!(everywhere["spec"].as_object().unwrap().keys().collect::<Vec<_>>(), ["jwtRules"]);
    assert_eq!(everywhere["spec"]["jwtRules"][0].get("audiences"), None);

    // Of what the gateway brings, all that has no assertion is refused. An ALLOW policy would open what an owner's closes.
    let audience = configuration["assertion"]["audience"].as_str().unwrap();
    let policy = &workloads.get("AuthorizationPolicy", "portcullis")["spec"];
    let gateways = gateways(&Objects::of(&manifests().join("base")).await);
    let source = json!({ "principals": gateways, "notRequestPrincipals": [format!("{issuer}/*")] });
    let others = json!({ "key": "request.auth.audiences", "notValues": [audience] });
    let rules = json!([
        { "from": [{ "source": source }] },
        { "from": [{ "source": { "principals": gateways } }], "when": [others] },
    ]);
    assert_eq!(*policy, json!({ "action": "DENY", "rules": rules }));
    let rule = &workloads.get("RequestAuthentication", "portcullis")["spec"]["jwtRules"][0];
    assert_eq!(rule["audiences"], json!([audience]));
    // Without mutual TLS nobody has a principal.
    assert_eq!(workloads.get("PeerAuthentication", "portcullis")["spec"], json!({ "mtls": { "mode": "STRICT" } }));

    let mesh = Objects::parse(&component_in("istio-system", "verify-assertion-everywhere").await);
    let policy = &mesh.get("AuthorizationPolicy", "portcullis-assertion")["spec"];
    assert_eq!((&policy["action"], policy.get("selector")), (&json!("DENY"), None));
    assert_eq!(policy["rules"][0]["from"], json!([{ "source": source }]));
}

/// The identities that may call the check port.
fn gateways(objects: &Objects) -> Value {
    let ours = |policy: &&Value| policy["metadata"]["namespace"] == "portcullis";
    let policy = objects.all("AuthorizationPolicy").find(ours).unwrap();
    policy["spec"]["rules"][0]["from"][0]["source"]["principals"].clone()
}

#[tokio::test]
async fn logout_tokens_reach_the_public_listener_and_nothing_else_is_sent_there() {
    let component = Objects::parse(&component_in("portcullis", "back-channel-logout").await);
    let way = &component.get("VirtualService", "portcullis-back-channel-logout")["spec"]["http"];
    let prefix = way[0]["match"][0]["uri"]["prefix"].as_str().unwrap();
    assert_eq!(way[0]["match"][0]["method"], json!({ "exact": "POST" }));
    for folder in installations() {
        let objects = Objects::of(&folder).await;
        let http = port(&objects.configuration(), "http");
        assert_eq!(way[0]["route"][0]["destination"]["port"]["number"], http);
        let policy = objects.all("AuthorizationPolicy").find(|policy| policy["metadata"]["namespace"] == "portcullis");
        let rules = policy.unwrap()["spec"]["rules"].as_array().unwrap();
        let operations = rules.iter().flat_map(|rule| rule["to"].as_array().unwrap()).map(|to| &to["operation"]);
        let there: Vec<_> = operations.filter(|operation| operation["ports"] == json!([http.to_string()])).collect();
        let keys = json!({ "ports": [http.to_string()], "methods": ["GET", "HEAD"] });
        let tokens = json!({ "ports": [http.to_string()], "methods": ["POST"], "paths": [format!("{prefix}*")] });
        assert_eq!(there, [&keys, &tokens], "{}", folder.display());
    }
}

#[tokio::test]
async fn the_product_accepts_every_configuration() {
    for folder in installations() {
        let objects = Objects::of(&folder).await;
        let text = objects.get("ConfigMap", "portcullis")["data"]["portcullis.yaml"].as_str().unwrap();
        let mounts = objects.container()["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["name"] == "provider").unwrap()["mountPath"].as_str().unwrap();
        assert!(text.contains(&format!("file: {mount}/client-secret")), "the secret is read where it is mounted");

        let here = tempfile::tempdir().unwrap();
        fs::write(here.path().join("client-secret"), random_id()).unwrap();
        let file = here.path().join("portcullis.yaml");
        let mut text = text.replace(mount, here.path().to_str().unwrap());
        if objects.configuration()["sessions"]["store"]["type"] == "redis" {
            let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
            let authority = Authority::new("redis").unwrap().pem();
            let mut root = [0; 32];
            aws_lc_rs::rand::fill(&mut root).unwrap();
            for (name, content) in [
                ("keys/root", root.as_slice()),
                ("keys/assertion.pem", pem.as_bytes()),
                ("redis/password", b"a password"),
                ("redis/ca.pem", authority.as_bytes()),
            ] {
                let file = here.path().join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, content).unwrap();
                text = text.replace(&format!("/secrets/{name}"), file.to_str().unwrap());
            }
        }
        fs::write(&file, text).unwrap();
        let output = Command::new(binary().unwrap()).arg("check-config").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", folder.display());
    }
}

/// The instructions of the Dockerfile's last stage, with continued lines joined.
fn last_stage() -> Vec<String> {
    let text = fs::read_to_string(manifests().join("../Dockerfile")).unwrap().replace("\\\n", " ");
    let instructions = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let stages: Vec<_> = instructions.map(str::to_owned).collect();
    let last = stages.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    stages[last..].to_vec()
}

#[tokio::test]
async fn the_image_holds_no_system_and_runs_as_the_user_of_the_manifests() {
    let stage = last_stage();
    let one = |keyword: &str| {
        let found: Vec<_> = stage.iter().filter_map(|line| line.strip_prefix(keyword)).collect();
        assert_eq!(found.len(), 1, "{keyword}: {stage:#?}");
        found[0].trim().to_owned()
    };
    assert_eq!(one("FROM "), "scratch");
    assert_eq!(one("ARG VERSION="), env!("CARGO_PKG_VERSION"));
    assert!(stage.iter().all(|line| !line.starts_with("RUN") && !line.starts_with("SHELL")));
    let entry: Vec<String> = serde_json::from_str(&one("ENTRYPOINT ")).unwrap();
    assert_eq!(entry, ["/portcullis"]);
    let command: Value = serde_json::from_str(&one("CMD ")).unwrap();

    let objects = Objects::of(&manifests().join("base")).await;
    let user = &objects.get("Deployment", "portcullis")["spec"]["template"]["spec"]["securityContext"];
    assert_eq!(one("USER "), format!("{}:{}", user["runAsUser"], user["runAsGroup"]));
    assert_ne!(user["runAsUser"], 0);
    assert_eq!(objects.container()["args"], command);
    let configuration = objects.configuration();
    let ports = ["check", "http", "operations"].map(|name| port(&configuration, name).to_string());
    assert_eq!(one("EXPOSE "), ports.join(" "));
}
