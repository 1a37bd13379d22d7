//! What `docs/permissions.md` tells people to write, built in a checkout of the distribution.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use portcullis_integration::cluster::kustomize;
use portcullis_integration::project;
use serde_json::Value;
use tempfile::TempDir;

const MANUAL: &str = "docs/permissions.md";
/// What stands for the folders of the distribution that our components are put over.
const DISTRIBUTION: [(&str, &str); 2] = [
    ("applications/pipeline/overlays", "manifests/roles"),
    ("applications/dashboard/overlays/istio", "beside_the_gate/profile-controller"),
];

#[tokio::test]
async fn what_the_manual_tells_people_to_write_is_built_of_every_component() {
    let folder = TempDir::new().unwrap();
    let at = |path: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    symlink(project::root().join("manifests"), at("portcullis/manifests")).unwrap();
    for (place, stands_for_it) in DISTRIBUTION {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        symlink(tests.join(stands_for_it), at(place)).unwrap();
    }
    let text = project::read(MANUAL);
    let section = text.split("\n## ").find(|section| section.starts_with("Beside the gate\n")).unwrap();
    let mut used = BTreeSet::new();
    for block in section.split("```yaml\n# portcullis/site/").skip(1) {
        let (name, content) = block.split("```").next().unwrap().split_once('\n').unwrap();
        let name = name.split(',').next().unwrap();
        let file = at(&format!("portcullis/site/{name}"));
        fs::write(&file, content).unwrap();
        let kustomization: Value = serde_saphyr::from_str(content).unwrap();
        let components = kustomization["components"].as_array().unwrap();
        used.extend(components.iter().map(|path| path.as_str().unwrap().rsplit('/').next().unwrap().to_owned()));
        let built = kustomize(file.parent().unwrap()).await.unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&built).unwrap();
        assert!(!objects.is_empty(), "{name}");
        // What is ours says so by its name, so that nothing of the distribution's is replaced unseen.
        let ours = |object: &Value| object["metadata"]["name"].as_str().unwrap().starts_with("portcullis-");
        assert!(objects.iter().any(ours) || kustomization.get("resources").is_some(), "{name}");
    }
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told: BTreeSet<_> = rows.map(str::to_owned).collect();
    assert_eq!(used, told, "each is in the table, and has its kustomization");
    assert_eq!(told.len(), 6);
}
