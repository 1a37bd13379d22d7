//! Istio's own analyzer has nothing to say about the manifests.

use std::path::PathBuf;

use tokio::process::Command;

use super::applications::applications;
use super::kubeflow::{over_the_distribution, with_both_gateways};
use super::manual::Checkout;
use super::{component_in, fs, gates, installations, kustomize, manifests, shadow};

/// What the analyzer says about objects that are installed together; none where it has no complaint, not even a remark.
async fn complaint(texts: &[String]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..texts.len()).map(|number| folder.path().join(format!("{number}.yaml"))).collect();
    for (file, text) in files.iter().zip(texts) {
        fs::write(file, text).unwrap();
    }
    let output = Command::new(portcullis_integration::parts::path("istioctl").unwrap())
        .args([
            "analyze",
            "--use-kube=false",
            "--all-namespaces",
            "--failure-threshold=Info",
            "--output-threshold=Info",
        ])
        .args(&files)
        .env("HOME", folder.path())
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    let clean = output.status.success() && said.contains("No validation issues found");
    (!clean).then_some(said)
}

#[tokio::test]
async fn the_analyzer_complains_of_nothing() {
    let gateway = kustomize(&manifests().join("overlays/kubeflow/gateway")).await.unwrap();
    let team = component_in("team-a", "verify-assertion").await;
    let kubeflow = [over_the_distribution("kubeflow-tls").await, applications().await];
    for folder in installations() {
        let mut texts = vec![kustomize(&folder).await.unwrap(), team.clone()];
        if !gates().contains(&folder) {
            texts.extend([gateway.clone(), kustomize(&shadow()).await.unwrap()]);
            texts.extend(kubeflow.clone());
        }
        assert_eq!(complaint(&texts).await, None, "{}", folder.display());
    }
    let texts = [Vec::from(with_both_gateways().await), Vec::from(kubeflow.clone())].concat();
    assert_eq!(complaint(&texts).await, None, "with the gateway inside the cluster");
    let canary = kustomize(&Checkout::new().site_folder("canary")).await.unwrap();
    let texts = [vec![with_both_gateways().await[0].clone(), canary], Vec::from(kubeflow)].concat();
    assert_eq!(complaint(&texts).await, None, "the canary");
}

#[tokio::test]
async fn the_analyzer_is_asked_indeed() {
    // Its gateway is Kubeflow's, which nothing here is.
    let route = component_in("portcullis", "back-channel-logout").await;
    let said = complaint(&[route]).await.unwrap();
    assert!(said.contains("Referenced gateway not found") && said.contains("kubeflow-gateway"), "{said}");
}
