//! Paths that need no sign-in, as rules.

use super::work::Work;
use crate::{
    config_draft::{Fields, Node},
    gatekeepers::{
        Setting,
        routes::{Opened, Path, RouteError, opened},
    },
};

/// Writes a rule for what one item of a setting opens.
fn open(work: &mut Work, setting: &Setting, item: &str, method: Option<&str>, route: Result<Opened, RouteError>) {
    let told = setting.told_item(item);
    let Opened { paths, differences } = match route {
        Ok(opened) => opened,
        Err(error) => {
            work.report.dropped(&told, format!("{error}: nothing is opened for it"));
            work.report.by_hand(format!("write a rule with `access: public` for each path that {told} is to open"));
            return;
        }
    };
    let name = free_name(work, &paths);
    let to = format!("rules: {name}");
    let mut rule = Fields::default();
    rule.set("name", name, told.as_str());
    if let Some(method) = method {
        rule.set("methods", vec![method], "");
    }
    let patterns: Vec<Fields> = paths
        .iter()
        .map(|path| match path {
            Path::Exact(path) => Fields::one("exact", path.as_str()),
            Path::Below(path) => Fields::one("prefix", path.as_str()),
        })
        .collect();
    rule.set("paths", patterns, "");
    rule.set("access", "public", "");
    work.draft.rules.push(rule);
    if differences.is_empty() {
        work.report.carried(told, to);
    } else {
        work.report.changed(told, to, differences.join("; "));
    }
}

/// What is open as it was, and could be closed further: below Dex's path, teams' own pods may have theirs.
pub(super) fn tell_of_dex(work: &mut Work) {
    let is_dex = work.draft.provider.texts().next() == Some("dex");
    let opens = |rule: &Fields| rule.yaml().contains("{prefix: /dex}");
    if is_dex && work.draft.rules.iter().any(opens) {
        work.report.by_hand(
            "narrow the rule for `/dex` to Dex's own addresses, as docs/kubeflow.md has them: as before, it opens whatever else \
             lies below",
        );
    }
}

/// Writes rules for expressions over paths, each perhaps with a method in front: `GET=^/a`, `GET!=^/a`, `^/a`.
pub(super) fn open_routes(work: &mut Work, setting: &Setting) {
    for item in items(work, setting) {
        let (method, expression) = item.split_once('=').map_or((None, item), |(method, rest)| (Some(method), rest));
        if let Some(method) = method.filter(|method| method.ends_with('!')) {
            let told = setting.told_item(item);
            work.report.dropped(&told, "it opens everything but a path: nothing is opened for it");
            work.report.by_hand(format!(
                "write a rule with `access: public` for each path that {told} is to open for {}",
                method.trim_end_matches('!')
            ));
            continue;
        }
        let method = method.map(str::to_ascii_uppercase).filter(|method| !method.is_empty());
        open(work, setting, item, method.as_deref(), opened(expression));
    }
}

/// Writes rules for prefixes of paths: compared as texts there, by whole segments here.
pub(super) fn open_prefixes(work: &mut Work, setting: &Setting) {
    for item in items(work, setting) {
        open(work, setting, item, None, prefix(item));
    }
}

/// What a setting opens; where that is not known, rules are left to be written.
fn items<'a>(work: &mut Work, setting: &'a Setting) -> Vec<&'a str> {
    setting.items().unwrap_or_else(|| {
        work.report.by_hand(format!("{}: its value is in none of the files; write `rules` for it", setting.told()));
        Vec::new()
    })
}

/// What a prefix of a path opens, where it was compared as a text.
fn prefix(text: &str) -> Result<Opened, RouteError> {
    let path = text.trim_end_matches('/');
    if path.is_empty() {
        return Err(RouteError::OpensAll);
    }
    if !path.starts_with('/') {
        return Err(RouteError::SaysMore);
    }
    let differences = if text.ends_with('/') {
        vec![format!("`{path}` itself is open, too")]
    } else {
        vec![format!("`{path}` with more in its last segment, such as `{path}x`, is closed now")]
    };
    Ok(Opened { paths: vec![Path::Below(path.to_owned())], differences })
}

/// A name for a rule, made of its first path, that no other rule has.
fn free_name(work: &Work, paths: &[Path]) -> String {
    let path = match paths.first() {
        Some(Path::Exact(path) | Path::Below(path)) => path.to_ascii_lowercase(),
        None => String::new(),
    };
    let words = path.split(|next: char| !next.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let stem = words.fold("public".to_owned(), |name, word| format!("{name}-{word}"));
    let stem: String = stem.chars().take(56).collect();
    let is_taken = |name: &str| {
        let wanted = Node::from(name);
        work.draft.rules.iter().any(|rule| rule.0.iter().any(|(key, entry)| key == "name" && entry.node == wanted))
    };
    let numbered = (2..).map(|number| format!("{stem}-{number}"));
    std::iter::once(stem.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(stem)
}
