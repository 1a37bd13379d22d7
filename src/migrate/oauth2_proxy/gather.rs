//! Where its settings are found: flags count more than its environment, and that more than its files.

use super::{alpha, names};
use crate::{
    gatekeepers::{Container, InputError, Inputs, Mounted, Objects, Setting, Value, is_toml, line_of, yaml},
    migrate::{error::Cause, work::Work},
};

const PRODUCT: &str = "oauth2-proxy";

/// What is around the settings.
pub(super) struct Found<'a> {
    inputs: &'a Inputs,
    container: Option<Container<'a>>,
    /// How many of it run, where that is said.
    pub(super) replicas: Option<u64>,
}

impl Found<'_> {
    /// A file that a setting names: as it is mounted, else one of the files that were given.
    pub(super) fn file(&self, path: &str) -> Option<Mounted> {
        self.mounted(path).or_else(|| {
            let (name, text) = self.inputs.file(path)?;
            Some(Mounted { text: text.clone(), place: name.to_owned() })
        })
    }

    /// The file that a flag names, where it is mounted. One that was given is read by itself; one that is nowhere is left to
    /// be given.
    fn of_flag(&self, work: &mut Work, flag: &str, path: &str) -> Option<Mounted> {
        let mounted = self.mounted(path);
        if mounted.is_none() && self.inputs.file(path).is_none() {
            work.report
                .by_hand(format!("give the file {path} as well, which `--{flag}` names: it is not among the files"));
        }
        mounted
    }

    fn mounted(&self, path: &str) -> Option<Mounted> {
        self.container.as_ref()?.file(path)
    }
}

/// Finds all settings.
pub(super) fn settings<'a>(inputs: &'a Inputs, work: &mut Work) -> Result<Found<'a>, Cause> {
    let is_it = |container: &Container<'_>| container.is_of(PRODUCT) || container.has_variable(names::PREFIX);
    let container = Container::of_product(&inputs.objects, PRODUCT, is_it)?;
    let replicas = container.as_ref().and_then(Container::replicas);
    let found = Found { inputs, container, replicas };
    let flags = found.container.as_ref().map(|one| flags(&one.arguments(), &format!("arguments of {}", one.told())));
    let flags: Vec<Setting> = flags.into_iter().flatten().collect();
    let path = |name: &str| flags.iter().find(|flag| flag.name == name)?.text();

    for table in &inputs.tables {
        add_table(work, &table.content, &table.name);
    }
    if let Some(file) = path("config").and_then(|path| found.of_flag(work, "config", path)) {
        add_text(work, &file)?;
    }
    for tree in &inputs.trees {
        alpha::add(work, &tree.content, &tree.name);
    }
    if let Some(file) = path("alpha_config").and_then(|path| found.of_flag(work, "alpha-config", path)) {
        let documents = yaml(file.text.expose()).map_err(|line| InputError::Yaml(file.place.clone(), line))?;
        for document in &documents {
            alpha::add(work, document, &file.place);
        }
    }
    match &found.container {
        Some(container) => {
            for variable in work.environment(container) {
                add_variable(work, &variable.name, variable.value, &variable.place);
            }
        }
        None => add_loose(work, &inputs.objects)?,
    }
    for environment in &inputs.environments {
        for (name, value) in &environment.content {
            add_variable(work, name, Value::Text(value.clone()), &environment.name);
        }
    }
    let given = inputs.flags.iter().flat_map(|words| self::flags(&words.content, &words.name));
    for flag in flags.into_iter().chain(given).filter(|flag| !matches!(flag.name.as_str(), "config" | "alpha_config")) {
        work.settings.add(flag, &mut work.report);
    }
    if work.settings.is_empty() { Err(Cause::Nothing(PRODUCT)) } else { Ok(found) }
}

/// Objects without the container that they are for: files and variables by their names.
fn add_loose(work: &mut Work, objects: &Objects) -> Result<(), Cause> {
    for object in objects.iter() {
        for key in object.keys() {
            let Some(text) = object.data(key) else { continue };
            if is_toml(key) {
                add_text(work, &Mounted { text, place: format!("{}, {key}", object.told()) })?;
            } else {
                add_variable(work, key, Value::Text(text), &object.told());
            }
        }
    }
    Ok(())
}

fn add_variable(work: &mut Work, spelled: &str, value: Value, place: &str) {
    if spelled.starts_with(names::PREFIX) {
        work.add(&names::canonical(spelled), spelled, value, place);
    }
}

fn add_text(work: &mut Work, file: &Mounted) -> Result<(), Cause> {
    let text = file.text.expose();
    let table = text.parse::<toml::Table>();
    let table = table.map_err(|error| InputError::NoForm(file.place.clone(), line_of(text, &error)))?;
    add_table(work, &table, &file.place);
    Ok(())
}

fn add_table(work: &mut Work, table: &toml::Table, place: &str) {
    for (spelled, value) in table {
        let value = match value {
            toml::Value::Array(items) => Value::list(items.iter().map(text_of)),
            value => Value::text(text_of(value)),
        };
        work.add(&names::canonical(spelled), spelled, value, place);
    }
}

fn text_of(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(switch) => switch.to_string(),
        toml::Value::Datetime(moment) => moment.to_string(),
        // No setting of it is one.
        toml::Value::Array(_) | toml::Value::Table(_) => "a table".to_owned(),
    }
}

/// The settings of a command line: `--name=value`, `--name value`, `--switch`.
fn flags(words: &[String], place: &str) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        if !word.starts_with('-') || word.trim_matches('-').is_empty() {
            continue;
        }
        let (spelled, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let name = names::canonical(spelled);
        let value = match value {
            Some(value) => value.to_owned(),
            None if names::is_switch(&name) => "true".to_owned(),
            None => words.next_if(|next| !next.starts_with("--")).cloned().unwrap_or_else(|| "true".to_owned()),
        };
        let value = Value::text(value);
        match settings.iter_mut().find(|setting| setting.name == name) {
            Some(before) if names::is_list(&name) => before.value = both(&before.value, &value),
            Some(before) => before.value = value,
            None => settings.push(Setting { name, spelled: spelled.to_owned(), place: place.to_owned(), value }),
        }
    }
    settings
}

/// A list flag that is said twice says both.
fn both(one: &Value, other: &Value) -> Value {
    let items = |value: &Value| match value {
        Value::Text(text) => vec![text.clone()],
        Value::List(items) => items.clone(),
        Value::Elsewhere => Vec::new(),
    };
    Value::List([items(one), items(other)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_read_as_it_is_by_it() {
        let words =
            ["--http-address", "0.0.0.0:4180", "--email-domain=a", "--email-domain=b", "-skip-provider-button", "x"];
        let read = flags(&words.map(str::to_owned), "here");
        let told: Vec<_> = read.iter().map(|flag| (flag.name.as_str(), flag.items().unwrap())).collect();
        assert_eq!(
            told,
            [
                ("http_address", vec!["0.0.0.0:4180"]),
                ("email_domains", vec!["a", "b"]),
                ("skip_provider_button", vec!["true"]),
            ]
        );
    }
}
