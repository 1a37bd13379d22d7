//! The manual for Kubeflow: what it tells people to write and to run, done in a checkout.

use std::os::unix::fs::symlink;

use portcullis_integration::project;
use tempfile::TempDir;

use super::{Cluster, Objects, Path, Value, fs, json, kustomize, manifests};

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
            names.push(name.strip_suffix("/kustomization.yaml").unwrap().to_owned());
        }
        assert_eq!(names, ["portcullis", "gateway", "istio", "dex", "kubeflow-gateway"]);
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

    async fn site(&self, name: &str) -> Objects {
        Objects::parse(&kustomize(&self.0.path().join("portcullis/site").join(name)).await.unwrap())
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
}
