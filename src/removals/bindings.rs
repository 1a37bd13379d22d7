//! Who is in which team, as RoleBindings say it, and who went.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{kubernetes::ObjectChange, principal::Namespace};

/// Somebody who went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Removed {
    pub(super) namespace: Namespace,
    /// The name of the RoleBinding.
    pub(super) binding: String,
    pub(super) people: Vec<String>,
}

/// The RoleBindings that make somebody a member of a team.
#[derive(Debug)]
pub(super) struct Bindings {
    cluster_roles: Vec<String>,
    /// By their uids.
    known: BTreeMap<String, Binding>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Binding {
    namespace: Namespace,
    name: String,
    /// People and groups: ServiceAccounts have no tokens to keep.
    people: BTreeSet<String>,
}

impl Bindings {
    pub(super) fn new(cluster_roles: Vec<String>) -> Self {
        Self { cluster_roles, known: BTreeMap::new() }
    }

    /// Takes the whole list. Who is not in it any more went; of the first list, nobody did.
    pub(super) fn replace(&mut self, all: &[Value]) -> Vec<Removed> {
        let now: BTreeMap<String, Binding> = all.iter().filter_map(|object| self.read(object)).collect();
        let before = std::mem::replace(&mut self.known, now);
        before.iter().filter_map(|(uid, binding)| binding.left(self.known.get(uid))).collect()
    }

    /// Takes one change.
    pub(super) fn change(&mut self, change: &ObjectChange) -> Option<Removed> {
        let uid = change.object.get("metadata")?.get("uid")?.as_str()?;
        let now = if change.is_deleted { None } else { self.read(&change.object).map(|(_, binding)| binding) };
        let before = self.known.remove(uid);
        let removed = before.and_then(|before| before.left(now.as_ref()));
        if let Some(now) = now {
            self.known.insert(uid.to_owned(), now);
        }
        removed
    }

    fn read(&self, object: &Value) -> Option<(String, Binding)> {
        let (metadata, role) = (&object["metadata"], &object["roleRef"]);
        let is_ours = role["kind"] == "ClusterRole" && self.cluster_roles.iter().any(|name| role["name"] == **name);
        let people = object["subjects"].as_array().into_iter().flatten();
        let people = people.filter(|subject| subject["kind"] == "User" || subject["kind"] == "Group");
        let binding = Binding {
            namespace: Namespace::parse(metadata["namespace"].as_str()?).ok()?,
            name: metadata["name"].as_str()?.to_owned(),
            people: people.filter_map(|subject| subject["name"].as_str().map(str::to_owned)).collect(),
        };
        is_ours.then_some((metadata["uid"].as_str()?.to_owned(), binding))
    }
}

impl Binding {
    /// Who is not there any more.
    fn left(&self, now: Option<&Self>) -> Option<Removed> {
        let stays = |name: &&String| now.is_some_and(|now| now.people.contains(*name));
        let people: Vec<String> = self.people.iter().filter(|name| !stays(name)).cloned().collect();
        let removed = Removed { namespace: self.namespace.clone(), binding: self.name.clone(), people };
        (!removed.people.is_empty()).then_some(removed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(uid: &str, role: &str, people: &[&str]) -> Value {
        let subjects: Vec<Value> = people.iter().map(|name| json!({ "kind": "User", "name": name })).collect();
        json!({
            "metadata": { "uid": uid, "name": format!("b-{uid}"), "namespace": "team-a" },
            "roleRef": { "kind": "ClusterRole", "name": role },
            "subjects": subjects,
        })
    }

    fn change(is_deleted: bool, object: Value) -> ObjectChange {
        ObjectChange { is_deleted, object }
    }

    fn bindings(all: &[Value]) -> Bindings {
        let mut bindings = Bindings::new(vec!["kubeflow-edit".to_owned()]);
        assert_eq!(bindings.replace(all), [], "nobody went from the first list");
        bindings
    }

    #[test]
    fn who_is_in_no_binding_any_more_went() {
        let mut bindings = bindings(&[object("1", "kubeflow-edit", &["ada", "bob"]), object("2", "other", &["eve"])]);
        let went = |people: &[&str]| Removed {
            namespace: Namespace::parse("team-a").unwrap(),
            binding: "b-1".to_owned(),
            people: people.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(bindings.change(&change(false, object("1", "kubeflow-edit", &["ada", "bob", "cy"]))), None);
        assert_eq!(bindings.change(&change(false, object("1", "kubeflow-edit", &["ada", "cy"]))), Some(went(&["bob"])));
        assert_eq!(bindings.change(&change(true, object("2", "other", &["eve"]))), None, "another role");
        assert_eq!(
            bindings.change(&change(true, object("1", "kubeflow-edit", &["ada", "cy"]))),
            Some(went(&["ada", "cy"]))
        );
        assert_eq!(bindings.change(&change(true, object("1", "kubeflow-edit", &["ada"]))), None, "it is gone already");
    }

    #[test]
    fn what_went_between_two_lists_is_seen_in_the_second() {
        let first = [object("1", "kubeflow-edit", &["ada"]), object("3", "kubeflow-edit", &["cy"])];
        let mut bindings = bindings(&first);
        let removed =
            bindings.replace(&[object("3", "kubeflow-edit", &["cy"]), object("4", "kubeflow-edit", &["dan"])]);
        assert_eq!(removed.len(), 1);
        assert_eq!((removed[0].binding.as_str(), &removed[0].people[..]), ("b-1", &["ada".to_owned()][..]));
    }

    #[test]
    fn a_service_account_s_binding_is_nobody_s() {
        let mut account = object("1", "kubeflow-edit", &[]);
        account["subjects"] = json!([{ "kind": "ServiceAccount", "name": "default-editor", "namespace": "team-a" }]);
        let mut bindings = bindings(std::slice::from_ref(&account));
        assert_eq!(bindings.change(&change(true, account)), None);
    }
}
