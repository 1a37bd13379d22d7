//! Kubernetes objects as far as they configure a container: maps, secrets, and what runs pods; also those that a
//! kustomization makes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value as Tree;

use crate::secret::SecretString;

/// One object.
pub(crate) struct Object {
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    tree: Tree,
}

/// All objects that were given.
#[derive(Default)]
pub(crate) struct Objects(Vec<Object>);

impl Object {
    /// Its kind, namespace and name.
    pub(crate) fn told(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!("{} {namespace}{}", self.kind, self.name)
    }

    /// One of its data, where it is a `ConfigMap` or a `Secret`.
    pub(crate) fn data(&self, key: &str) -> Option<SecretString> {
        let text = |field: &str| self.tree.get(field)?.get(key).map(text_of);
        let decoded = |encoded: String| {
            let bytes = STANDARD.decode(encoded.split_whitespace().collect::<String>()).ok()?;
            String::from_utf8(bytes).ok()
        };
        let text = match self.kind.as_str() {
            "Secret" => text("stringData").or_else(|| decoded(text("data")?)),
            _ => text("data"),
        };
        text.map(SecretString::new)
    }

    /// The names of its data.
    pub(crate) fn keys(&self) -> Vec<&str> {
        let fields = ["data", "stringData"].into_iter().filter_map(|field| self.tree.get(field)?.as_object());
        fields.flatten().map(|(key, _)| key.as_str()).collect()
    }

    /// The specification of the pods that it runs.
    pub(super) fn pod(&self) -> Option<&Tree> {
        let spec = self.tree.get("spec")?;
        if self.kind == "Pod" {
            return Some(spec);
        }
        let spec = spec.pointer("/jobTemplate/spec").unwrap_or(spec);
        spec.pointer("/template/spec")
    }

    /// The name of the object that made it, where another one did.
    pub(super) fn made_by(&self) -> Option<&str> {
        self.tree.pointer("/metadata/ownerReferences/0/name")?.as_str()
    }

    /// How many pods it runs, where it says so.
    pub(super) fn replicas(&self) -> Option<u64> {
        self.tree.pointer("/spec/replicas")?.as_u64()
    }
}

impl Objects {
    /// Adds an object, or each of a list.
    pub(super) fn add(&mut self, tree: Tree) {
        if let Some(items) = tree.get("items").and_then(Tree::as_array) {
            return items.iter().for_each(|item| self.add(item.clone()));
        }
        let text = |pointer: &str| tree.pointer(pointer).and_then(Tree::as_str).map(str::to_owned);
        if let (Some(kind), Some(name)) = (text("/kind"), text("/metadata/name")) {
            self.0.push(Object { kind, namespace: text("/metadata/namespace"), name, tree });
        }
    }

    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Object> {
        self.0.iter()
    }

    /// An object by its kind and name. One without a namespace is of any: a kustomization may give it one.
    pub(super) fn find(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<&Object> {
        let is_there = |object: &&Object| match (object.namespace.as_deref(), namespace) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        self.0.iter().filter(|object| object.kind == kind && object.name == name).find(is_there)
    }

    /// Whether a document without a kind is a kustomization.
    pub(super) fn is_kustomization(document: &Tree) -> bool {
        ["configMapGenerator", "secretGenerator", "resources"]
            .iter()
            .any(|field| document.get(field).is_some_and(Tree::is_array))
    }

    /// The objects that a kustomization makes of literals, and of files as far as they are there.
    pub(super) fn made_by<'a>(kustomization: &Tree, file: impl Fn(&str) -> Option<&'a SecretString>) -> Self {
        let mut made = Self::default();
        for (generator, kind) in [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")] {
            let each = kustomization.get(generator).and_then(Tree::as_array).into_iter().flatten();
            for one in each {
                let namespace = one.get("namespace").or_else(|| kustomization.get("namespace"));
                let data: serde_json::Map<String, Tree> =
                    generated(one, &file).into_iter().map(|(key, value)| (key, value.into())).collect();
                let mut tree = serde_json::json!({
                    "kind": kind,
                    "metadata": { "name": one.get("name"), "namespace": namespace },
                });
                if let Some(fields) = tree.as_object_mut() {
                    fields.insert(if kind == "Secret" { "stringData" } else { "data" }.to_owned(), Tree::Object(data));
                }
                made.add(tree);
            }
        }
        made
    }

    /// The files that a kustomization takes into what it makes.
    pub(super) fn files_of(kustomization: &Tree) -> Vec<&str> {
        let generators = ["configMapGenerator", "secretGenerator"].into_iter();
        let each = generators.filter_map(|generator| kustomization.get(generator)?.as_array()).flatten();
        each.flat_map(|one| {
            let single = one.get("env").and_then(Tree::as_str);
            let named = strings(one, "files").map(|named| named.split_once('=').map_or(named, |(_, path)| path));
            named.chain(strings(one, "envs")).chain(single).collect::<Vec<_>>()
        })
        .collect()
    }
}

/// The data of one generator.
fn generated<'a>(generator: &Tree, file: &impl Fn(&str) -> Option<&'a SecretString>) -> Vec<(String, String)> {
    let pair = |text: &str| text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.to_owned()));
    let mut data: Vec<(String, String)> = strings(generator, "literals").filter_map(pair).collect();
    let single = generator.get("env").and_then(Tree::as_str);
    for path in strings(generator, "envs").chain(single) {
        let lines = file(path).map(|text| text.expose().lines()).into_iter().flatten();
        data.extend(lines.filter(|line| !line.trim_start().starts_with('#')).filter_map(pair));
    }
    for named in strings(generator, "files") {
        let (key, path) = named.split_once('=').unwrap_or_else(|| (named.rsplit('/').next().unwrap_or(named), named));
        data.extend(file(path).map(|text| (key.to_owned(), text.expose().to_owned())));
    }
    data
}

/// The texts of a list.
fn strings<'a>(tree: &'a Tree, field: &str) -> impl Iterator<Item = &'a str> {
    tree.get(field).and_then(Tree::as_array).into_iter().flatten().filter_map(Tree::as_str)
}

/// A scalar as the text that it would be as a string: honest files forget quotes.
pub(crate) fn text_of(value: &Tree) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
