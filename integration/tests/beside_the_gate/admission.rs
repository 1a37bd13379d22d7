//! `kubeflow-admission`: what the API server refuses in the namespaces of profiles.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_integration::cluster::{Cluster, kustomize_with};
use portcullis_integration::project;
use serde_json::{Value, json};

use super::{TEAM, cluster_of_a_team, component, eventually, the_policies_have_no_warnings};

const REFUSED: &str = include_str!("refused.yaml");
const HONEST: &str = include_str!("honest.yaml");
/// May do anything in the team's namespace, so that nothing but the policies refuses.
const MEMBER: &str = "member@example.com";
/// Writes the routes of notebooks, in every namespace.
const NOTEBOOKS: &str = "system:serviceaccount:kubeflow:notebook-controller-service-account";
/// Asks for notebooks for people, in every namespace.
const PAGES: &str = "system:serviceaccount:kubeflow:jupyter-web-app-service-account";

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn names(text: &str) -> BTreeSet<String> {
    let names = documents(text).into_iter().map(|object| object["metadata"]["name"].as_str().unwrap().to_owned());
    names.collect()
}

/// What the API server says of each object, by its name: none where it takes it.
async fn judged(cluster: &Cluster, who: &str, namespace: &str, text: &str) -> BTreeMap<String, Option<String>> {
    let mut arguments = vec!["apply", "--server-side", "--dry-run=server", "--field-manager=a-person", "-f", "-"];
    arguments.extend(["--namespace", namespace, "--as", who]);
    if who == ADMIN {
        arguments.extend(["--as-group", "system:masters"]);
    }
    let said = match cluster.kubectl_with(&cluster.admin_kubeconfig(), &arguments, text).await {
        Ok(said) => said,
        Err(error) => format!("{error:#}"),
    };
    let word_on = |name: &String| {
        let taken = said.lines().any(|line| line.contains(&format!("/{name} serverside-applied")));
        let refusal = said.lines().find(|line| line.contains(&format!("\"{name}\"")));
        assert!(taken != refusal.is_some(), "{name}: {said}");
        refusal.map(str::to_owned)
    };
    names(text).into_iter().map(|name| (name.clone(), word_on(&name))).collect()
}

/// Who administers the cluster.
const ADMIN: &str = "admin";

fn one(text: &str, name: &str) -> String {
    let object = documents(text).into_iter().find(|object| object["metadata"]["name"] == name);
    object.unwrap_or_else(|| panic!("no {name}")).to_string()
}

async fn is_refused(cluster: &Cluster, who: &str, text: &str) -> bool {
    judged(cluster, who, TEAM, text).await.into_values().all(|refusal| refusal.is_some())
}

fn is_of_a_policy(refusal: &str) -> bool {
    refusal.contains("ValidatingAdmissionPolicy 'portcullis-")
}

#[tokio::test]
async fn no_team_takes_the_platform_s_hosts_or_writes_the_gate_s_headers() {
    let cluster = cluster_of_a_team().await;
    cluster.create_namespace("no-profile").await.unwrap();
    cluster.apply(&people().to_string()).await.unwrap();
    let before = old_notebook();
    cluster.apply(&before.to_string()).await.unwrap();

    // Without it, all of them are taken.
    for text in [REFUSED, HONEST] {
        let refusals: Vec<_> = judged(&cluster, MEMBER, TEAM, text).await.into_values().flatten().collect();
        assert!(refusals.is_empty(), "{refusals:#?}");
    }

    cluster.apply(&component("kubeflow-admission").await).await.unwrap();
    let canaries = ["ingress-of-the-platform-s-host", "notebook-that-names-the-visitor", "volume-browser-at-the-top"];
    for canary in canaries.map(|name| one(REFUSED, name)) {
        eventually("the policies are in force", async || is_refused(&cluster, MEMBER, &canary).await).await;
    }
    for (name, refusal) in judged(&cluster, MEMBER, TEAM, REFUSED).await {
        assert!(refusal.as_deref().is_some_and(is_of_a_policy), "{name}: {refusal:?}");
    }
    for (name, refusal) in judged(&cluster, MEMBER, TEAM, HONEST).await {
        assert_eq!(refusal, None, "{name}");
    }
    // The namespaces of others are not concerned.
    for (name, refusal) in judged(&cluster, MEMBER, "no-profile", REFUSED).await {
        assert_eq!(refusal, None, "{name}");
    }
    the_platform_s_own_controllers_go_on(&cluster).await;
    kinds_of_workspaces_set_no_header_of_the_gate(&cluster).await;
    what_was_there_before_can_be_labelled_and_not_made_worse(&cluster, &before).await;
    the_policies_have_no_warnings(&cluster).await;
    the_operator_s_hosts_count(&cluster).await;
    without_parameters_everything_is_refused(&cluster).await;
}

/// Who may act, and where.
fn people() -> Value {
    let everything = json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }]);
    let role = |name: &str, rules: &Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name },
            "rules": rules,
        })
    };
    let binding = |kind: &str, name: &str, namespace: Option<&str>, role: &str, subject: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": { "name": name, "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": subject }],
        })
    };
    let routes = json!([{ "apiGroups": ["networking.istio.io"], "resources": ["virtualservices"], "verbs": ["*"] }]);
    let notebooks = json!([{ "apiGroups": ["kubeflow.org"], "resources": ["notebooks"], "verbs": ["*"] }]);
    json!({ "apiVersion": "v1", "kind": "List", "items": [
        role("everything", &everything),
        role("routes", &routes),
        role("notebooks", &notebooks),
        binding("RoleBinding", "member", Some(TEAM), "everything", MEMBER),
        binding("RoleBinding", "member", Some("no-profile"), "everything", MEMBER),
        binding("ClusterRoleBinding", "notebook-controller", None, "routes", NOTEBOOKS),
        binding("ClusterRoleBinding", "jupyter-web-app", None, "notebooks", PAGES),
    ] })
}

/// What controllers write for notebooks and volumes is for every host.
async fn the_platform_s_own_controllers_go_on(cluster: &Cluster) {
    let route = one(REFUSED, "virtual-service-of-every-host");
    for who in [NOTEBOOKS, ADMIN] {
        assert!(!is_refused(cluster, who, &route).await, "{who}");
    }
    // Who asks for people has no right of its own to a name.
    for who in [PAGES, ADMIN] {
        assert!(is_refused(cluster, who, &one(REFUSED, "notebook-that-names-the-visitor")).await, "{who}");
        assert!(!is_refused(cluster, who, &one(HONEST, "notebook-with-headers-of-its-own")).await, "{who}");
    }
}

async fn kinds_of_workspaces_set_no_header_of_the_gate(cluster: &Cluster) {
    let kind = |headers: &Value| {
        json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "WorkspaceKind", "metadata": { "name": "kind" },
            "spec": { "podTemplate": { "ports": [
                { "id": "jupyterlab" },
                { "id": "rstudio", "httpProxy": { "requestHeaders": headers } },
            ] } },
        })
        .to_string()
    };
    for headers in [
        json!({ "set": { "kubeflow-userid": "a@example.com" } }),
        json!({ "set": { "X-RStudio-Root-Path": "/", "Kubeflow_UserID": "a@example.com" } }),
        json!({ "add": { "X-Auth-Request-Groups": "admins" } }),
        json!({ "add": { "portcullis-assertion": "e30" }, "remove": ["x-own"] }),
    ] {
        let refusal = judged(cluster, ADMIN, TEAM, &kind(&headers)).await["kind"].clone();
        assert!(refusal.as_deref().is_some_and(is_of_a_policy), "{headers}: {refusal:?}");
    }
    for headers in [
        json!({}),
        json!({ "set": { "X-RStudio-Root-Path": "{{ httpPathPrefix \"rstudio\" }}" }, "add": { "X-Own": "1" } }),
        json!({ "remove": ["kubeflow-userid"] }),
    ] {
        assert!(!is_refused(cluster, ADMIN, &kind(&headers)).await, "{headers}");
    }
}

/// As one may have been made before the policies were there.
fn old_notebook() -> Value {
    let mut object: Value = serde_json::from_str(&one(REFUSED, "notebook-that-names-the-visitor")).unwrap();
    object["metadata"]["name"] = json!("of-before");
    object["metadata"]["namespace"] = json!(TEAM);
    object
}

async fn what_was_there_before_can_be_labelled_and_not_made_worse(cluster: &Cluster, before: &Value) {
    let annotate = async |annotation: &str| {
        let arguments = ["annotate", "notebook", "of-before", "--overwrite", "--namespace", TEAM, annotation];
        cluster.kubectl(&arguments).await
    };
    // As the controller does that stops who idles.
    annotate("kubeflow-resource-stopped=now").await.unwrap();
    let header = "notebooks.kubeflow.org/http-headers-request-set";
    let worse = annotate(&format!("{header}={{\"kubeflow-userid\":\"b@example.com\"}}")).await.unwrap_err().to_string();
    assert!(is_of_a_policy(&worse), "{worse}");
    annotate(&format!("{header}={{}}")).await.unwrap();
    let again = annotate(&format!("{header}={}", before["metadata"]["annotations"][header].as_str().unwrap())).await;
    assert!(is_of_a_policy(&again.unwrap_err().to_string()), "what was given up does not come back");
}

/// As the component's comment tells an operator to write them.
async fn the_operator_s_hosts_count(cluster: &Cluster) {
    let comment = project::read("manifests/components/kubeflow-admission/kustomization.yaml");
    let written: String =
        comment.lines().filter_map(|line| line.strip_prefix("#   ")).map(|line| format!("{line}\n")).collect();
    let written: Value = serde_saphyr::from_str(&written).unwrap();
    let own = kustomize_with(|root| {
        let mut own = written.clone();
        own["components"] = json!([root.join("manifests/components/kubeflow-admission")]);
        own
    })
    .await
    .unwrap();
    let map = |text: &str| documents(text).into_iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    let (own_map, delivered) = (map(&own), map(&component("kubeflow-admission").await));
    assert_eq!(own_map["metadata"]["name"], "portcullis-admission");
    assert_eq!(own_map["data"]["hosts"], "kubeflow.your-site.example");
    for key in ["headers", "hosts-inside", "ingress-classes"] {
        assert_eq!(own_map["data"][key], delivered["data"][key], "the rest stays");
    }

    cluster.apply(&own).await.unwrap();
    let delivered = one(REFUSED, "ingress-of-the-platform-s-host");
    let theirs = delivered.replace("kubeflow.example.com", "kubeflow.your-site.example");
    eventually("their host is refused", async || is_refused(cluster, MEMBER, &theirs).await).await;
    eventually("ours is not any more", async || !is_refused(cluster, MEMBER, &delivered).await).await;
}

async fn without_parameters_everything_is_refused(cluster: &Cluster) {
    let host = one(HONEST, "ingress-of-the-team-s-host");
    let notebook = one(HONEST, "notebook-with-headers-of-its-own");
    assert!(!is_refused(cluster, MEMBER, &host).await && !is_refused(cluster, MEMBER, &notebook).await);
    let nothing = r#"{"data": {"hosts": "", "headers": ""}}"#;
    let map = ["configmap", "portcullis-admission", "--namespace", "portcullis"];
    cluster.kubectl(&[&["patch"], &map[..], &["--patch", nothing]].concat()).await.unwrap();
    for object in [&host, &notebook] {
        eventually("empty lists refuse", async || is_refused(cluster, MEMBER, object).await).await;
    }
    cluster.apply(&component("kubeflow-admission").await).await.unwrap();
    eventually("it is back", async || !is_refused(cluster, MEMBER, &host).await).await;
    cluster.kubectl(&[&["delete"], &map[..]].concat()).await.unwrap();
    for object in [&host, &notebook] {
        eventually("no list refuses", async || is_refused(cluster, MEMBER, object).await).await;
    }
}

/// What the policies keep is what Portcullis sets and strips.
#[tokio::test]
async fn the_names_are_the_configuration_s() {
    let objects = documents(&component("kubeflow-admission").await);
    let map = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    let list = |key: &str| -> BTreeSet<String> {
        map["data"][key].as_str().unwrap().split_whitespace().map(str::to_owned).collect()
    };
    let text = project::read("manifests/overlays/kubeflow/portcullis/portcullis.yaml");
    let configuration: Value = serde_saphyr::from_str(&text).unwrap();
    let identity = &configuration["identity"];
    let set = identity["headers"].as_object().unwrap().values();
    for name in set.chain(identity["strip"].as_array().unwrap()) {
        assert!(list("headers").contains(name.as_str().unwrap()), "{name}");
    }
    let origin = configuration["origins"][0]["url"].as_str().unwrap().strip_prefix("https://").unwrap();
    let exact = |host: &&Value| !host.as_str().unwrap().contains('*');
    let mut hosts: BTreeSet<String> = configuration["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(exact)
        .map(|host| host.as_str().unwrap().to_owned())
        .collect();
    hosts.insert(origin.to_owned());
    assert_eq!(&list("hosts") | &list("hosts-inside"), hosts);
}
