//! The manual for Kubeflow: what it tells people to write and to run, done in a checkout.

use std::os::unix::fs::symlink;

use portcullis_integration::project;
use tempfile::TempDir;

use super::{Cluster, Objects, Path, PathBuf, Value, fs, json, manifests};

const MANUAL: &str = "docs/kubeflow.md";
/// What stands in for the distribution.
const DISTRIBUTION: &str = include_str!("distribution/objects.yaml");
/// Where the distribution has what our kustomizations are over.
const FOLDERS: [&str; 3] = [
    "common/istio/istio-install/base",
    "common/dex/overlays/oauth2-proxy",
    "common/istio/kubeflow-istio-resources/base",
];

/// A checkout of the distribution with our release in it, and with what the manual tells people to write.
pub(super) struct Checkout(TempDir);

impl Checkout {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let at = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        symlink(manifests(), at("portcullis/manifests")).unwrap();
        for base in FOLDERS {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests/distribution"), at(base)).unwrap();
        }
        let text = project::read(MANUAL);
        let written = text.split("```yaml\n# portcullis/site/").skip(1).map(|block| block.split("```").next().unwrap());
        let mut names = Vec::new();
        for block in written {
            let (name, content) = block.split_once('\n').unwrap();
            fs::write(at(&format!("portcullis/site/{name}")), content).unwrap();
            names.push(name.strip_suffix("/kustomization.yaml").unwrap_or(name).to_owned());
        }
        let wanted = ["portcullis", "gateway", "istio", "dex", "kubeflow-gateway", "canary/gateway.yaml", "canary"];
        assert_eq!(names, wanted);
        let copies = [
            ("overlays/kubeflow/portcullis/portcullis.yaml", "portcullis/portcullis.yaml"),
            ("components/kubeflow-dex/client.yaml", "dex/client.yaml"),
        ];
        for (from, to) in copies {
            fs::copy(manifests().join(from), at(&format!("portcullis/site/{to}"))).unwrap();
        }
        Self(folder)
    }

    /// Runs the manual's commands below a comment, but what waits for controllers, of which there are none here.
    pub(super) async fn paste(&self, cluster: &Cluster, comment: &str) {
        let commands = project::commands(MANUAL, comment);
        let lines: Vec<_> = commands.lines().filter(|line| !line.contains(" rollout status ")).collect();
        cluster.paste(self.0.path(), &lines.join("\n")).await.unwrap();
    }

    pub(super) fn site_folder(&self, name: &str) -> PathBuf {
        self.0.path().join("portcullis/site").join(name)
    }

    async fn site(&self, name: &str) -> Objects {
        Objects::of(&self.site_folder(name)).await
    }
}

#[tokio::test]
async fn what_the_manual_tells_people_to_write_is_what_the_overlays_are() {
    let checkout = Checkout::new();
    let ours = Objects::of(&manifests().join("overlays/kubeflow/portcullis")).await;
    let site = checkout.site("portcullis").await;
    assert_eq!(site.configuration(), ours.configuration());
    let [image, own] = [&site, &ours].map(|objects| objects.container()["image"].as_str().unwrap());
    assert_eq!(image.rsplit(':').next(), own.rsplit(':').next(), "the version is the release's");
    assert!(image.starts_with("registry.your-site.example/portcullis:"), "{image}");
    assert_eq!(checkout.site("gateway").await.0, Objects::of(&manifests().join("overlays/kubeflow/gateway")).await.0);
    assert_eq!(providers(checkout.site("istio").await.get("ConfigMap", "istio")), ["portcullis", "oauth2-proxy"]);
    checkout.site("dex").await.get("NetworkPolicy", "allow-portcullis");
    let gateway = checkout.site("kubeflow-gateway").await;
    assert_eq!(gateway.get("Gateway", "kubeflow-gateway")["spec"]["servers"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_canary_s_policies_are_the_second_step_s_and_leave_the_first_gateway_alone() {
    const CANARY: &str = "istio-ingressgateway-canary";
    let checkout = Checkout::new();
    let (canary, gateway) = (checkout.site("canary").await, checkout.site("gateway").await);
    let selects = json!({ "matchLabels": { "app": CANARY } });
    let own = |spec: &Value| {
        let mut spec = spec.clone();
        assert_eq!(spec.as_object_mut().unwrap().remove("selector").unwrap(), selects, "{spec}");
        spec
    };
    for object in &gateway.0 {
        let [kind, name] = [&object["kind"], &object["metadata"]["name"]].map(|text| text.as_str().unwrap());
        let mut wanted = object["spec"].clone();
        wanted.as_object_mut().unwrap().remove("selector");
        let at_the_canary = if name == "portcullis" { name } else { "istio-ingressgateway-canary-require-jwt" };
        assert_eq!(own(&canary.get(kind, at_the_canary)["spec"]), wanted, "{kind} {name}");
    }
    // And as Kubeflow's own at the first: requests are let in, and a Service leads there.
    assert_eq!(canary.0.len(), gateway.0.len() + 2);
    let lets_in = own(&canary.get("AuthorizationPolicy", CANARY)["spec"]);
    assert_eq!(lets_in, json!({ "action": "ALLOW", "rules": [{}] }));
    let labels = json!({ "app": CANARY, "istio": "ingressgateway" });
    assert_eq!(canary.get("Service", CANARY)["spec"]["selector"], labels);
}

/// The names of the providers in the mesh's configuration.
fn providers(map: &Value) -> Vec<String> {
    let mesh: Value = serde_saphyr::from_str(map["data"]["mesh"].as_str().unwrap()).unwrap();
    let providers = mesh["extensionProviders"].as_array().unwrap();
    providers.iter().map(|provider| provider["name"].as_str().unwrap().to_owned()).collect()
}

/// On what the distribution has applied.
pub(super) async fn the_manual_s_commands_do_what_they_say(cluster: &Cluster, checkout: &Checkout) {
    cluster.apply(DISTRIBUTION).await.unwrap();
    // The first command of it makes the namespace, which is there already.
    let secret = project::commands(MANUAL, "the client's secret").replace("kubectl create namespace", "true");
    cluster.paste(checkout.0.path(), &secret).await.unwrap();
    for comment in
        ["TLS at Kubeflow's gateway", "Dex: one more client", "the mesh: one more provider", "Portcullis, beside"]
    {
        checkout.paste(cluster, comment).await;
    }
    let get = async |kind: &str, name: &str, namespace: &str| -> Value {
        let text = cluster.kubectl(&["get", kind, name, "-n", namespace, "-o", "json"]).await.unwrap();
        serde_json::from_str(&text).unwrap()
    };
    // The very same text on both sides, and no end of a line in it.
    let mine = &get("secret", "portcullis-provider", "portcullis").await["data"]["client-secret"];
    assert_eq!(*mine, get("secret", "portcullis-client", "auth").await["data"]["client-secret"]);
    assert_eq!(mine.as_str().unwrap().len(), 88, "64 digits in base64");

    let dex = get("configmap", "dex", "auth").await;
    let dex: Value = serde_saphyr::from_str(dex["data"]["config.yaml"].as_str().unwrap()).unwrap();
    let clients: Vec<_> = dex["staticClients"].as_array().unwrap().iter().map(|client| &client["name"]).collect();
    assert_eq!(clients, ["Portcullis", "Dex Login Application"]);
    assert_eq!(dex["connectors"], json!([{ "type": "ldap", "id": "ldap" }]), "the rest stays");
    let container = get("deployment", "dex", "auth").await["spec"]["template"]["spec"]["containers"][0].clone();
    assert_eq!(container["env"][0]["name"], "PORTCULLIS_CLIENT_SECRET");
    get("networkpolicy", "allow-portcullis", "auth").await;
    assert_eq!(providers(&get("configmap", "istio", "istio-system").await), ["portcullis", "oauth2-proxy"]);
    let servers = get("gateways.networking.istio.io", "kubeflow-gateway", "kubeflow").await["spec"]["servers"].clone();
    assert_eq!(servers.as_array().unwrap().len(), 2);
    get("secret", "kubeflow-gateway-tls", "istio-system").await;
    get("deployment", "portcullis", "portcullis").await;

    checkout.paste(cluster, "a second gateway").await;
    let [first, second] = [
        get("deployment", "istio-ingressgateway", "istio-system").await["spec"]["template"].clone(),
        get("deployment", "istio-ingressgateway-canary", "istio-system").await["spec"]["template"].clone(),
    ];
    let [names, seconds] = [&first, &second].map(|pod| pod["metadata"]["labels"].clone());
    assert_eq!([&seconds["app"], &seconds["istio"]], ["istio-ingressgateway-canary", "ingressgateway"]);
    assert_eq!(seconds["sidecar.istio.io/inject"], names["sidecar.istio.io/inject"]);
    for part in ["serviceAccountName", "volumes"] {
        assert_eq!(second["spec"][part], first["spec"][part], "{part}");
    }
    let [one, other] = [&first, &second].map(|pod| pod["spec"]["containers"][0].clone());
    assert_eq!([&other["image"], &other["ports"]], [&one["image"], &one["ports"]]);
    let selector = get("deployment", "istio-ingressgateway-canary", "istio-system").await["spec"]["selector"].clone();
    assert_eq!(selector, json!({ "matchLabels": { "app": "istio-ingressgateway-canary", "istio": "ingressgateway" } }));
}

/// After the switch, which holds for every gateway again.
pub(super) async fn the_canary_goes(cluster: &Cluster, checkout: &Checkout) {
    checkout.paste(cluster, "the canary goes").await;
    let kinds = "deployments,services,authorizationpolicies,requestauthentications";
    let left = cluster.kubectl(&["get", kinds, "-n", "istio-system", "-o", "json"]).await.unwrap();
    assert!(!left.contains("ingressgateway-canary"), "{left}");
    let left = Objects(serde_json::from_str::<Value>(&left).unwrap()["items"].as_array().unwrap().clone());
    let spec = |kind: &str| &left.get(kind, "portcullis")["spec"];
    let selects = json!({ "matchLabels": { "istio": "ingressgateway" } });
    assert_eq!(spec("AuthorizationPolicy")["selector"], selects);
    assert_eq!(spec("RequestAuthentication").get("selector"), None);
}
