//! Where its environment is found.

use crate::{
    gatekeepers::{Container, Inputs, Value, is_variable},
    migrate::{error::Cause, work::Work},
};

const PRODUCT: &str = "oidc-authservice";
/// Variables that every pod has, and that configure nothing.
const OF_PODS: [&str; 4] = ["PATH", "HOME", "HOSTNAME", "TZ"];

/// Finds all settings: those of the container, then those of files of variables, which count more.
pub(super) fn settings(inputs: &Inputs, work: &mut Work) -> Result<(), Cause> {
    let is_it = |container: &Container<'_>| container.is_of("authservice") || container.has_variable("AUTHSERVICE_");
    match Container::of_product(&inputs.objects, PRODUCT, is_it)? {
        Some(container) => {
            for variable in work.environment(&container) {
                add(work, &variable.name, variable.value, &variable.place);
            }
        }
        None => {
            for object in inputs.objects.iter() {
                for key in object.keys().into_iter().filter(|key| is_variable(key)) {
                    let value = object.data(key).map_or(Value::Elsewhere, Value::Text);
                    add(work, key, value, &object.told());
                }
            }
        }
    }
    for environment in &inputs.environments {
        for (name, value) in &environment.content {
            add(work, name, Value::Text(value.clone()), &environment.name);
        }
    }
    if work.settings.is_empty() { Err(Cause::Nothing(PRODUCT)) } else { Ok(()) }
}

fn add(work: &mut Work, name: &str, value: Value, place: &str) {
    if !OF_PODS.contains(&name) {
        // Quotes of a file of variables that somebody took for part of the value.
        let value = match value {
            Value::Text(text) => Value::text(text.expose().trim().trim_matches('"')),
            other => other,
        };
        work.add(name, name, value, place);
    }
}
