//! The names of people that a cluster's objects hold: Kubeflow's profiles, the role bindings and the policies of
//! contributors. Services compare them to the byte, so two spellings of one address are two people there.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

use crate::kubernetes::{KubeLists, ListError};

/// The header whose values policies compare.
const USERID: &str = "request.headers[kubeflow-userid]";

/// Where a name stands, and how it is spelled there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterName {
    /// The object, such as `Profile team-a`.
    pub object: String,
    /// The name.
    pub name: String,
}

/// One name in more than one spelling, or in one that has capitals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spellings(Vec<ClusterName>);

impl Spellings {
    /// Whether objects spell the name otherwise than each other.
    #[must_use]
    pub fn differ(&self) -> bool {
        self.0.windows(2).any(|pair| matches!(pair, [one, other] if one.name != other.name))
    }

    /// Each spelling with the objects that have it, as a sentence says it.
    #[must_use]
    pub fn told(&self) -> String {
        let mut objects: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for ClusterName { object, name } in &self.0 {
            objects.entry(name).or_default().push(object);
        }
        let told = objects.iter().map(|(name, objects)| format!("`{name}` ({})", objects.join(", ")));
        told.collect::<Vec<_>>().join(" and ")
    }
}

/// The names that a cluster's objects hold, read with the rights of a kubeconfig.
///
/// # Errors
/// Where the API server does not answer.
pub async fn read(kubeconfig: PathBuf) -> Result<Vec<ClusterName>, ListError> {
    let lists = KubeLists::connect(kubeconfig).await?;
    let mut names = Vec::new();
    for (path, kind, find) in KINDS {
        for object in lists.all(path).await?.unwrap_or_default() {
            names.extend(named_by(kind, &object, find));
        }
    }
    Ok(names)
}

/// The names that are spelled in more than one way, or with capitals, each with all its objects.
#[must_use]
pub fn spellings(names: &[ClusterName]) -> Vec<Spellings> {
    let mut folded: BTreeMap<String, Vec<ClusterName>> = BTreeMap::new();
    for name in names {
        folded.entry(name.name.to_lowercase()).or_default().push(name.clone());
    }
    let has_capitals = |fold: &str, names: &[ClusterName]| names.iter().any(|name| name.name != fold);
    folded.into_iter().filter(|(fold, names)| has_capitals(fold, names)).map(|(_, names)| Spellings(names)).collect()
}

type Find = fn(&Value) -> Vec<&Value>;

/// Where each kind is listed, and where an object of it names people.
const KINDS: [(&str, &str, Find); 3] = [
    ("/apis/kubeflow.org/v1/profiles", "Profile", |profile| profile.pointer("/spec/owner/name").into_iter().collect()),
    ("/apis/rbac.authorization.k8s.io/v1/rolebindings", "RoleBinding", |binding| {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        subjects.filter(|subject| subject["kind"] == "User").filter_map(|subject| subject.get("name")).collect()
    }),
    ("/apis/security.istio.io/v1/authorizationpolicies", "AuthorizationPolicy", |policy| {
        let rules = policy.pointer("/spec/rules").and_then(Value::as_array).into_iter().flatten();
        let conditions = rules.filter_map(|rule| rule["when"].as_array()).flatten();
        let values = conditions.filter(|condition| condition["key"] == USERID).filter_map(|it| it["values"].as_array());
        values.flatten().collect()
    }),
];

/// The addresses in one object; a name of the cluster itself (`system:…`) is no person's.
fn named_by(kind: &str, object: &Value, find: Find) -> Vec<ClusterName> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let name = text("/metadata/name").unwrap_or_default();
    let place = text("/metadata/namespace").map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
    let people = find(object).into_iter().filter_map(Value::as_str).filter(|name| !name.starts_with("system:"));
    people.map(|person| ClusterName { object: format!("{kind} {place}"), name: person.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names_of(kind: &str, object: &Value) -> Vec<ClusterName> {
        let (_, kind, find) = KINDS.iter().find(|(_, known, _)| *known == kind).unwrap();
        named_by(kind, object, *find)
    }

    #[test]
    fn each_kind_names_its_people_and_nobody_else() {
        let profile =
            json!({ "metadata": { "name": "team-a" }, "spec": { "owner": { "kind": "User", "name": "Ann@x" } } });
        let binding = json!({
            "metadata": { "name": "ann", "namespace": "team-b" },
            "subjects": [
                { "kind": "User", "name": "ann@x" },
                { "kind": "User", "name": "system:kube-proxy" },
                { "kind": "Group", "name": "Admins" },
                { "kind": "ServiceAccount", "name": "Robot" },
            ],
        });
        let when = json!([{ "key": USERID, "values": ["ann@X"] }, { "key": "source.ip", "values": ["A"] }]);
        let policy = json!({
            "metadata": { "name": "ann", "namespace": "team-b" }, "spec": { "rules": [{ "when": when }, {}] }
        });
        let found = [
            names_of("Profile", &profile),
            names_of("RoleBinding", &binding),
            names_of("AuthorizationPolicy", &policy),
        ];
        let told = found.concat().iter().map(|name| format!("{}: {}", name.object, name.name)).collect::<Vec<_>>();
        assert_eq!(
            told,
            ["Profile team-a: Ann@x", "RoleBinding team-b/ann: ann@x", "AuthorizationPolicy team-b/ann: ann@X"]
        );
        assert!(
            names_of("Profile", &json!({})).is_empty() && names_of("RoleBinding", &json!({ "subjects": 7 })).is_empty()
        );
    }

    #[test]
    fn what_is_spelled_in_two_ways_is_told_apart_from_what_has_capitals() {
        let name = |object: &str, name: &str| ClusterName { object: object.to_owned(), name: name.to_owned() };
        let names =
            [name("A", "ann@x"), name("B", "Ann@x"), name("C", "Bob@x"), name("D", "eve@x"), name("E", "ann@x")];
        let found = spellings(&names);
        let told: Vec<_> = found.iter().map(|spellings| (spellings.told(), spellings.differ())).collect();
        assert_eq!(told, [("`Ann@x` (B) and `ann@x` (A, E)".to_owned(), true), ("`Bob@x` (C)".to_owned(), false)]);
    }
}
