//! A container, and what it is told by its arguments, its environment and the files that are mounted into it.

use serde_json::Value as Tree;
use thiserror::Error;

use super::{
    found::Value,
    manifests::{Object, Objects, text_of},
};
use crate::secret::SecretString;

/// A container of an object that runs pods.
pub(crate) struct Container<'a> {
    objects: &'a Objects,
    owner: &'a Object,
    pod: &'a Tree,
    tree: &'a Tree,
}

/// Several containers run a product, and nobody said which one counts.
#[derive(Debug, Error)]
#[error("several containers run {product}: {names}; give the files of one of them")]
pub(crate) struct SeveralContainers {
    product: &'static str,
    names: String,
}

/// A variable of its environment.
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: Value,
    /// Where its value was found.
    pub(crate) place: String,
}

/// A file that is mounted.
pub(crate) struct Mounted {
    pub(crate) text: SecretString,
    pub(crate) place: String,
}

impl<'a> Container<'a> {
    /// The container that runs a product; none where there is none.
    pub(crate) fn of_product(
        objects: &'a Objects,
        product: &'static str,
        wanted: impl Fn(&Container<'_>) -> bool,
    ) -> Result<Option<Self>, SeveralContainers> {
        let mut found = Self::all(objects, wanted);
        if found.len() > 1 {
            let names = found.iter().map(Self::told).collect::<Vec<_>>().join(", ");
            return Err(SeveralContainers { product, names });
        }
        Ok(found.pop())
    }

    /// The containers that are `wanted`, each once: what an object makes of itself, such as its pods, is the same again.
    fn all(objects: &'a Objects, wanted: impl Fn(&Container<'_>) -> bool) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for owner in objects.iter() {
            let Some(pod) = owner.pod() else { continue };
            let each = pod.get("containers").and_then(Tree::as_array).into_iter().flatten();
            found.extend(each.map(|tree| Self { objects, owner, pod, tree }).filter(|one| wanted(one)));
        }
        if found.iter().any(|one| one.owner.made_by().is_none()) {
            found.retain(|one| one.owner.made_by().is_none());
        } else {
            found.dedup_by_key(|one| one.owner.made_by().map(str::to_owned));
        }
        found
    }

    /// Its owner's kind, namespace and name.
    pub(crate) fn told(&self) -> String {
        self.owner.told()
    }

    /// How many of it run, where that is said.
    pub(crate) fn replicas(&self) -> Option<u64> {
        self.owner.replicas()
    }

    /// Whether its image, its name or its command holds this word.
    pub(crate) fn is_of(&self, product: &str) -> bool {
        let texts = ["image", "name"].into_iter().filter_map(|field| self.tree.get(field)?.as_str());
        texts.chain(self.items("command")).any(|text| text.contains(product))
    }

    /// Whether a variable is named that begins so.
    pub(crate) fn has_variable(&self, prefix: &str) -> bool {
        let names = self.list("env").filter_map(|variable| variable.get("name")?.as_str());
        names.into_iter().any(|name| name.starts_with(prefix))
    }

    /// The words of its command line behind the program.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let environment = self.environment();
        let words = self.items("command").skip(1).chain(self.items("args"));
        words.map(|word| expanded(word, &environment)).collect()
    }

    /// Its environment, in the order in which later ones count more.
    pub(crate) fn environment(&self) -> Vec<Variable> {
        let mut all: Vec<Variable> = self.list("envFrom").flat_map(|source| self.variables_from(source)).collect();
        for variable in self.list("env") {
            let Some(name) = variable.get("name").and_then(Tree::as_str) else { continue };
            let (value, place) = match (variable.get("value"), variable.get("valueFrom")) {
                (Some(value), _) => (Value::text(expanded(&text_of(value), &all)), self.told()),
                (None, Some(source)) => match self.value_from(source) {
                    Some(found) => found,
                    None => continue,
                },
                (None, None) => (Value::text(""), self.told()),
            };
            all.retain(|before| before.name != name);
            all.push(Variable { name: name.to_owned(), value, place });
        }
        all
    }

    /// The file that is mounted at a path, from a `ConfigMap` or a `Secret` that is there.
    pub(crate) fn file(&self, path: &str) -> Option<Mounted> {
        let mounts = self.list("volumeMounts").filter_map(|mount| {
            let at = mount.get("mountPath")?.as_str()?.trim_end_matches('/');
            let sub_path = mount.get("subPath").and_then(Tree::as_str);
            let below = path.strip_prefix(at)?;
            let inside = match sub_path {
                Some(sub_path) if below.is_empty() => sub_path.to_owned(),
                Some(sub_path) => format!("{sub_path}/{}", below.strip_prefix('/')?),
                None => below.strip_prefix('/')?.to_owned(),
            };
            Some((mount.get("name")?.as_str()?, inside))
        });
        // The longest mount path is the one that shows.
        let mut mounts: Vec<(&str, String)> = mounts.collect();
        mounts.sort_by_key(|(_, inside)| inside.len());
        mounts.iter().find_map(|(volume, inside)| self.of_volume(volume, inside))
    }

    fn of_volume(&self, name: &str, inside: &str) -> Option<Mounted> {
        let volumes = self.pod.get("volumes").and_then(Tree::as_array)?;
        let volume = volumes.iter().find(|volume| volume.get("name").and_then(Tree::as_str) == Some(name))?;
        let sources = volume.pointer("/projected/sources").and_then(Tree::as_array);
        sources.map_or_else(|| vec![volume], |sources| sources.iter().collect()).into_iter().find_map(|source| {
            let (kind, source, name) = match (source.get("configMap"), source.get("secret")) {
                (Some(source), _) => ("ConfigMap", source, source.get("name")),
                (None, Some(source)) => ("Secret", source, source.get("secretName").or_else(|| source.get("name"))),
                (None, None) => return None,
            };
            let items = source.get("items").and_then(Tree::as_array);
            let key = items.and_then(|items| {
                let item = items.iter().find(|item| item.get("path").and_then(Tree::as_str) == Some(inside))?;
                item.get("key")?.as_str()
            });
            let object = self.object(kind, name?.as_str()?)?;
            let key = key.unwrap_or(inside);
            Some(Mounted { text: object.data(key)?, place: format!("{}, {key}", object.told()) })
        })
    }

    fn variables_from(&self, source: &Tree) -> Vec<Variable> {
        let prefix = source.get("prefix").and_then(Tree::as_str).unwrap_or_default();
        let (kind, reference) = match (source.get("configMapRef"), source.get("secretRef")) {
            (Some(reference), _) => ("ConfigMap", reference),
            (None, Some(reference)) => ("Secret", reference),
            (None, None) => return Vec::new(),
        };
        let name = reference.get("name").and_then(Tree::as_str).unwrap_or_default();
        let Some(object) = self.object(kind, name) else {
            let is_optional = reference.get("optional").and_then(Tree::as_bool) == Some(true);
            let place = format!("all of {kind} {name}, of {}", self.told());
            let missing = Variable { name: String::new(), value: Value::Elsewhere, place };
            return if is_optional { Vec::new() } else { vec![missing] };
        };
        let variable = |key: &str| {
            let value = object.data(key).map_or(Value::Elsewhere, Value::Text);
            Variable { name: format!("{prefix}{key}"), value, place: object.told() }
        };
        object.keys().into_iter().map(variable).collect()
    }

    /// A value and where it was found; nothing where it may be missing, and is.
    fn value_from(&self, source: &Tree) -> Option<(Value, String)> {
        let (kind, reference) = match (source.get("configMapKeyRef"), source.get("secretKeyRef")) {
            (Some(reference), _) => ("ConfigMap", reference),
            (None, Some(reference)) => ("Secret", reference),
            (None, None) => return Some((Value::Elsewhere, self.told())),
        };
        let text = |field: &str| reference.get(field).and_then(Tree::as_str).unwrap_or_default();
        let (name, key) = (text("name"), text("key"));
        match self.object(kind, name).and_then(|object| Some((object.data(key)?, object.told()))) {
            Some((value, told)) => Some((Value::Text(value), format!("{told}, {key}"))),
            None if reference.get("optional").and_then(Tree::as_bool) == Some(true) => None,
            None => Some((Value::Elsewhere, format!("{kind} {name}, {key}"))),
        }
    }

    fn object(&self, kind: &str, name: &str) -> Option<&'a Object> {
        self.objects.find(kind, self.owner.namespace.as_deref(), name)
    }

    fn list(&self, field: &str) -> impl Iterator<Item = &'a Tree> {
        self.tree.get(field).and_then(Tree::as_array).into_iter().flatten()
    }

    fn items(&self, field: &str) -> impl Iterator<Item = &'a str> {
        self.list(field).filter_map(Tree::as_str)
    }
}

/// `$(NAME)` as the kubelet replaces it, by what is known; `$$(NAME)` is `$(NAME)`.
fn expanded(text: &str, environment: &[Variable]) -> String {
    let (mut whole, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("$(") {
        let Some((name, behind)) = after.split_once(')') else { break };
        let value = environment.iter().rev().find(|variable| variable.name == name).map(|variable| &variable.value);
        let replaced = match (before.strip_suffix('$'), value) {
            (Some(before), _) => [before, "$(", name, ")"],
            (None, Some(Value::Text(value))) => [before, value.expose(), "", ""],
            (None, _) => [before, "$(", name, ")"],
        };
        whole.extend(replaced);
        rest = behind;
    }
    whole + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gatekeepers::yaml;

    const OBJECTS: &str = r"
kind: List
items:
- kind: Deployment
  metadata: {name: gate, namespace: auth}
  spec:
    replicas: 2
    template:
      spec:
        volumes:
        - {name: one, configMap: {name: files, items: [{key: cfg, path: a.cfg}]}}
        - {name: two, projected: {sources: [{secret: {name: keys}}, {configMap: {name: files}}]}}
        containers:
        - {name: other, image: busybox}
        - name: gate
          image: registry/gate:1
          command: [/bin/gate, --first]
          args: ['--id=$(ID)', '--literal=$$(ID)', '--unknown=$(NOBODY)']
          envFrom: [{configMapRef: {name: files}, prefix: P_}, {secretRef: {name: absent}}]
          env:
          - {name: ID, valueFrom: {secretKeyRef: {name: keys, key: id}}}
          - {name: GONE, valueFrom: {secretKeyRef: {name: keys, key: gone, optional: true}}}
          - {name: AWAY, valueFrom: {configMapKeyRef: {name: absent, key: away}}}
          volumeMounts:
          - {name: one, mountPath: /etc/gate}
          - {name: two, mountPath: /etc/gate/secret, subPath: id}
- kind: Pod
  metadata: {name: gate-x1, namespace: auth, ownerReferences: [{kind: Deployment, name: gate}]}
  spec: {containers: [{name: gate, image: 'registry/gate:1'}]}
- kind: ConfigMap
  metadata: {name: files, namespace: auth}
  data: {cfg: a = 1, number: 5}
- kind: Secret
  metadata: {name: keys}
  data: {id: bWUK}
";

    #[test]
    fn a_container_is_told_by_arguments_environment_and_files() {
        let mut objects = Objects::default();
        yaml(OBJECTS).unwrap().into_iter().for_each(|document| objects.add(document));
        let found = Container::all(&objects, |container| container.is_of("gate"));
        let [container] = found.as_slice() else { panic!("{}", found.len()) };
        assert_eq!((container.told().as_str(), container.replicas()), ("Deployment auth/gate", Some(2)));
        assert_eq!(container.arguments(), ["--first", "--id=me\n", "--literal=$(ID)", "--unknown=$(NOBODY)"]);
        let environment: Vec<_> = container
            .environment()
            .into_iter()
            .map(|one| (one.name, one.value == Value::Elsewhere, one.place))
            .collect();
        let told = |name: &str, elsewhere, place: &str| (name.to_owned(), elsewhere, place.to_owned());
        assert_eq!(
            environment,
            [
                told("P_cfg", false, "ConfigMap auth/files"),
                told("P_number", false, "ConfigMap auth/files"),
                told("", true, "all of Secret absent, of Deployment auth/gate"),
                told("ID", false, "Secret keys, id"),
                told("AWAY", true, "ConfigMap absent, away"),
            ]
        );
        let file = |path: &str| container.file(path).map(|file| (file.text.expose().to_owned(), file.place));
        assert_eq!(file("/etc/gate/a.cfg"), Some(("a = 1".to_owned(), "ConfigMap auth/files, cfg".to_owned())));
        assert_eq!(file("/etc/gate/secret"), Some(("me\n".to_owned(), "Secret keys, id".to_owned())));
        assert_eq!(file("/etc/gate/b.cfg"), None);
    }
}
