//! Where a claim stands: under its own name, or at the end of steps.
//!
//! The exact name comes first, since names may hold dots and slashes (`https://corp.example/claims/groups`). Else the text
//! is a path: `realm_access.roles` is `roles` in the object `realm_access`. A step into a list is one into each of its
//! objects. What is null is not there.

use serde_json::{Map, Value};

type Claims = Map<String, Value>;

/// The claim at this path.
pub(super) fn find<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    find_all(claims, path)?.into_iter().next()
}

/// The claims at this path: several where a step leads into a list. None where there is no such claim.
pub(super) fn find_all<'a>(claims: &'a Claims, path: &str) -> Option<Vec<&'a Value>> {
    if let Some(value) = claims.get(path).filter(|value| !value.is_null()) {
        return Some(vec![value]);
    }
    let mut steps =
        path.match_indices('.').filter_map(|(at, dot)| Some((path.get(..at)?, path.get(at + dot.len()..)?)));
    steps.find_map(|(step, rest)| below(claims.get(step)?, rest))
}

fn below<'a>(value: &'a Value, rest: &str) -> Option<Vec<&'a Value>> {
    match value {
        Value::Object(object) => find_all(object, rest),
        Value::Array(values) => {
            let objects = values.iter().filter_map(Value::as_object);
            let found: Vec<&Value> = objects.filter_map(|object| find_all(object, rest)).flatten().collect();
            (!found.is_empty()).then_some(found)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_exact_name_comes_first_and_then_the_steps() {
        let claims = json!({
            "https://corp.example/claims/groups": ["exact"],
            "realm_access": {"roles": ["nested"]},
            "realm_access.roles": ["exact, too"],
            "resource_access": {"my.client": {"roles": ["of a client"]}},
            "memberships": [{"group": "a"}, {"group": "b"}, {"other": "c"}, 7],
            "nothing": null,
            "a": {"b": null},
        });
        let mut claims = claims.as_object().unwrap().clone();
        let at = |claims: &Claims, path: &str| find_all(claims, path).map(|found| json!(found));
        assert_eq!(at(&claims, "https://corp.example/claims/groups"), Some(json!([["exact"]])));
        assert_eq!(at(&claims, "realm_access.roles"), Some(json!([["exact, too"]])));
        claims.remove("realm_access.roles");
        assert_eq!(at(&claims, "realm_access.roles"), Some(json!([["nested"]])));
        assert_eq!(at(&claims, "resource_access.my.client.roles"), Some(json!([["of a client"]])));
        assert_eq!(at(&claims, "memberships.group"), Some(json!(["a", "b"])));
        for absent in ["nothing", "a.b", "a.c", "", ".", "a.", ".a", "realm_access.roles.x", "memberships.none", "x.y"]
        {
            assert_eq!(at(&claims, absent), None, "{absent:?}");
        }
        assert_eq!(find(&claims, "memberships.group"), Some(&json!("a")));
    }
}
