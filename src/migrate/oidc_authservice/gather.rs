//! Where its environment is found.

use crate::migrate::{
    container::Container,
    error::Cause,
    found::{Setting, Value},
    input::Inputs,
    work::Work,
};

const PRODUCT: &str = "oidc-authservice";
/// Variables that every pod has, and that configure nothing.
const OF_PODS: [&str; 4] = ["PATH", "HOME", "HOSTNAME", "TZ"];

/// Finds all settings: those of the container, then those of files of variables, which count more.
pub(super) fn settings(inputs: &Inputs, work: &mut Work) -> Result<(), Cause> {
    let is_it = |container: &Container<'_>| container.is_of("authservice") || container.has_variable("AUTHSERVICE_");
    let mut containers = Container::all(&inputs.objects, is_it);
    if containers.len() > 1 {
        let names = containers.iter().map(Container::told).collect::<Vec<_>>().join(", ");
        return Err(Cause::Several { product: PRODUCT, names });
    }
    match containers.pop() {
        Some(container) => {
            for variable in container.environment() {
                if variable.name.is_empty() {
                    work.report.by_hand(format!("give {} as well: it is not among the files", variable.place));
                } else {
                    add(work, &variable.name, &variable.value, &variable.place);
                }
            }
        }
        None => {
            for object in inputs.objects.iter() {
                for key in object.keys().into_iter().filter(|key| is_variable(key)) {
                    let value = object.data(key).map_or(Value::Elsewhere, Value::Text);
                    add(work, key, &value, &object.told());
                }
            }
        }
    }
    for environment in &inputs.environments {
        for (name, value) in &environment.content {
            add(work, name, &Value::Text(value.clone()), &environment.name);
        }
    }
    if work.settings.is_empty() { Err(Cause::Nothing(PRODUCT)) } else { Ok(()) }
}

fn add(work: &mut Work, name: &str, value: &Value, place: &str) {
    if !OF_PODS.contains(&name) {
        // Quotes of a file of variables that somebody took for part of the value.
        let value = match value {
            Value::Text(text) => Value::text(text.expose().trim().trim_matches('"')),
            other => other.clone(),
        };
        let (spelled, place) = (name.to_owned(), place.to_owned());
        work.settings.add(Setting { name: name.to_owned(), spelled, place, value }, &mut work.report);
    }
}

fn is_variable(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
