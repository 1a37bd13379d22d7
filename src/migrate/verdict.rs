//! What our own reading says of a draft. What it refuses is taken out again, so that what is printed passes
//! `check-config`; nothing that is taken out opens anything.

use crate::{
    config,
    config_draft::{Entry, Fields, Node, closed_rule},
    config_file::{FieldError, FieldPath, Segment},
    gatekeepers::Report,
};

/// How much is taken out at most.
const MOST: usize = 200;
/// Lists that close something: where one of them runs empty, more would be open than before.
const CLOSING: [&str; 3] = ["groups", "emails", "email_domains"];

/// Takes out what our configuration refuses, and tells it.
pub(super) fn agree(file: &mut Fields, report: &mut Report) {
    let mut left_in: Vec<String> = Vec::new();
    for _ in 0..MOST {
        let faults = config::faults(&file.yaml());
        let is_new = |fault: &&FieldError| !is_of_a_file(fault.path()) && !left_in.contains(&fault.to_string());
        let Some(fault) = faults.iter().find(is_new) else { return };
        match take_out(file, &steps(fault.path())) {
            Outcome::Gone => report.dropped(fault.path().to_string(), refusal(fault)),
            Outcome::Closed => {
                report.dropped(fault.path().to_string(), refusal(fault));
                close(file, &fault.path().to_string());
                report.by_hand(closed(&fault.path().to_string()));
            }
            Outcome::Needed => {
                left_in.push(fault.to_string());
                report.by_hand(format!("`check-config` will not pass before this is mended: {fault}"));
            }
        }
    }
}

/// What is told where nobody passes for now.
pub(super) fn closed(what: &str) -> String {
    format!("{what}: nobody passes the rule `signed-in` until you have written there who may")
}

fn refusal(fault: &FieldError) -> String {
    format!("our configuration does not take it: {fault}")
}

/// A step on the way to a field.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

fn steps(path: &FieldPath) -> Vec<Step<'_>> {
    let step = |segment| match segment {
        &Segment::Index(at) => Step::Index(at),
        Segment::Key(key) => Step::Key(key),
    };
    path.segments().iter().map(step).collect()
}

/// Whether a field names a file, which the operator is still to put there.
fn is_of_a_file(path: &FieldPath) -> bool {
    use Step::{Index, Key};

    matches!(
        steps(path).as_slice(),
        [Key("keys"), Key("root" | "assertion"), Index(_)]
            | [Key("providers"), Index(_), Key("client_secret"), Key("file")]
            | [Key("providers"), Index(_), Key("ca_file" | "client_key")]
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Gone,
    /// It was all of a list that closed something.
    Closed,
    /// Nothing works without it.
    Needed,
}

fn take_out(file: &mut Fields, path: &[Step<'_>]) -> Outcome {
    use Step::{Index, Key};

    match path {
        [Key("rules"), Index(at), rest @ ..] => take_out_of_rule(file, *at, rest),
        [Key("providers"), Index(_), Key(key), rest @ ..] => take_out_of_provider(file, key, rest),
        [Key("origins"), Index(_), Key("url" | "provider"), ..] => Outcome::Needed,
        [Key("origins"), Index(_), Key("aliases"), Key(kind), Index(at)] => {
            match first(file, "origins").and_then(|origin| origin.get_mut("aliases")) {
                Some(Node::Map(aliases)) => item(aliases, kind, *at),
                _ => Outcome::Needed,
            }
        }
        [Key("origins"), Index(_), Key(key), ..] => gone(first(file, "origins"), key),
        [Key(key @ ("service_accounts" | "identity" | "logging")), ..] => gone(Some(file), key),
        [Key("sessions"), Key(key @ ("absolute_lifetime" | "idle_lifetime"))] => match file.get_mut("sessions") {
            Some(Node::Map(sessions)) => gone(Some(sessions), key),
            _ => Outcome::Needed,
        },
        _ => Outcome::Needed,
    }
}

fn take_out_of_provider(file: &mut Fields, key: &str, rest: &[Step<'_>]) -> Outcome {
    let Some(provider) = first(file, "providers") else { return Outcome::Needed };
    match (key, rest.first()) {
        ("name" | "issuer" | "client_id" | "client_secret" | "allow_http", _) => Outcome::Needed,
        // Who may sign in: without it, more could.
        ("required_claims", _) => closed_where(gone(Some(provider), key)),
        // What is wrong is that the list is not there.
        ("email_domains", None) => gone(Some(provider), "trust_unverified_email"),
        (key, Some(Step::Index(at))) => item(provider, key, *at),
        (key, Some(Step::Key(inner))) => match provider.get_mut(key) {
            Some(Node::Map(fields)) if fields.has(inner) => gone(Some(fields), inner),
            _ => gone(Some(provider), key),
        },
        (key, None) => gone(Some(provider), key),
    }
}

/// Where one path of a rule is wrong, the others stay. A rule that opens paths goes with the last of them, since without
/// paths it would hold for all; and with whatever else is wrong about it.
fn take_out_of_rule(file: &mut Fields, at: usize, rest: &[Step<'_>]) -> Outcome {
    let Some(Node::List(rules)) = file.get_mut("rules") else { return Outcome::Needed };
    let Some(Entry { node: Node::Map(rule), .. }) = rules.get_mut(at) else { return Outcome::Needed };
    let is_of_paths = rule.has("paths");
    let outcome = match rest {
        [Step::Key(key), Step::Index(index), ..] => item(rule, key, *index),
        [Step::Key(key), Step::Key(inner), ..] if !is_of_paths => match rule.get_mut(key) {
            Some(Node::Map(fields)) => gone(Some(fields), inner),
            _ => gone(Some(rule), key),
        },
        _ => Outcome::Needed,
    };
    if is_of_paths && (outcome == Outcome::Needed || !rule.has("paths")) {
        rules.remove(at);
        if rules.is_empty() {
            file.remove("rules");
        }
        return Outcome::Gone;
    }
    outcome
}

/// Takes a field out.
fn gone(fields: Option<&mut Fields>, key: &str) -> Outcome {
    if fields.is_some_and(|fields| fields.remove(key)) { Outcome::Gone } else { Outcome::Needed }
}

fn closed_where(outcome: Outcome) -> Outcome {
    if outcome == Outcome::Gone { Outcome::Closed } else { outcome }
}

/// An item of a list, and the list where it runs empty.
fn item(fields: &mut Fields, key: &str, at: usize) -> Outcome {
    let Some(Node::List(items)) = fields.get_mut(key) else { return gone(Some(fields), key) };
    if at < items.len() {
        items.remove(at);
    }
    if !items.is_empty() {
        return Outcome::Gone;
    }
    let outcome = gone(Some(fields), key);
    if CLOSING.contains(&key) { closed_where(outcome) } else { outcome }
}

fn first<'a>(file: &'a mut Fields, key: &str) -> Option<&'a mut Fields> {
    let Some(Node::List(items)) = file.get_mut(key) else { return None };
    match items.first_mut().map(|entry| &mut entry.node) {
        Some(Node::Map(fields)) => Some(fields),
        _ => None,
    }
}

/// Nobody passes the last rule, which is made where there is none.
fn close(file: &mut Fields, what: &str) {
    let rule = closed_rule(&[what.to_owned()]);
    match file.get_mut("rules") {
        Some(Node::List(rules)) => {
            rules.retain(|rule| matches!(&rule.node, Node::Map(rule) if rule.has("paths")));
            rules.push(Entry { comment: Vec::new(), node: rule.into() });
        }
        _ => file.set("rules", vec![rule], "The first match decides."),
    }
}
