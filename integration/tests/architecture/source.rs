//! Rust as far as imports need it: code without comments, texts and tests, and the paths that it names.

/// What an attribute says of code that no release holds.
const OF_TESTS: [&str; 2] = ["#[cfg(test)]", "#[cfg(any(test"];

/// Whether a character is one of a name's.
fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Without comments, and with every text emptied.
pub(crate) fn without_comments(source: &str) -> String {
    let (mut code, mut rest) = (String::new(), source);
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if next == 'r' && !code.ends_with(is_name) {
            raw_text(rest)
        } else if next == '"' {
            text(rest)
        } else if next == '\'' {
            character(rest)
        } else {
            0
        };
        if skipped == 0 {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            if !rest.starts_with('/') {
                code.push_str("\"\"");
            }
            // Lines are counted: each stays one.
            code.extend(rest[..skipped].chars().filter(|next| *next == '\n'));
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of a text, which `rest` begins with.
fn text(rest: &str) -> usize {
    let mut escaped = true;
    for (at, next) in rest.char_indices() {
        if next == '"' && !escaped {
            return at + 1;
        }
        // The opening quotation mark ends nothing.
        escaped = next == '\\' && !escaped;
    }
    rest.len()
}

/// The length of a raw text, or 0 where it is a raw name.
fn raw_text(rest: &str) -> usize {
    let hashes = rest[1..].chars().take_while(|next| *next == '#').count();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let inside = 2 + hashes;
    rest[inside..].find(&end).map_or(rest.len(), |at| inside + at + end.len())
}

/// The length of a character, or 0 where it is a lifetime.
fn character(rest: &str) -> usize {
    let mut inside = rest[1..].chars();
    match (inside.next(), inside.next()) {
        (Some('\\'), Some(escaped)) => {
            let from = 2 + escaped.len_utf8();
            rest[from..].find('\'').map_or(0, |at| from + at + 1)
        }
        (Some(one), Some('\'')) => 2 + one.len_utf8(),
        _ => 0,
    }
}

/// Without the items that only tests have, and without their lines: whatever stands below one of their attributes.
pub(crate) fn without_tests(code: &str) -> String {
    let mut kept = code.to_owned();
    while let Some(from) = OF_TESTS.iter().filter_map(|attribute| kept.find(attribute)).min() {
        let attribute = kept[from..].find(']').map_or(kept.len(), |end| from + end + 1);
        let end = attribute + item(&kept[attribute..]);
        let end = end + usize::from(kept[end..].starts_with('\n'));
        kept.replace_range(from..end, "");
    }
    kept
}

/// The length of the item, field or arm that `code` begins with.
fn item(code: &str) -> usize {
    let mut depth = 0_i32;
    for (at, next) in code.char_indices() {
        match next {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        let is_over = match next {
            // A `use` of a group ends at its semicolon.
            '}' => depth == 0 && !code[at + 1..].trim_start().starts_with(';'),
            ';' | ',' => depth == 0,
            _ => false,
        };
        if is_over {
            return at + 1;
        }
        if depth < 0 {
            return at;
        }
    }
    code.len()
}

/// The names of the modules that only tests have, of code with its attributes.
pub(crate) fn modules_of_tests(code: &str) -> Vec<String> {
    let below = OF_TESTS.iter().flat_map(|attribute| {
        code.match_indices(attribute).filter_map(|(at, _)| {
            let item = code[at..].split_once(']')?.1.split_once(';')?.0;
            let (_, name) = item.rsplit_once("mod ")?;
            Some(name.trim().to_owned())
        })
    });
    below.filter(|name| name.chars().all(is_name)).collect()
}

/// What a `use` names, and how it is called here (`*` for all).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    pub(crate) name: String,
    /// Whether others may name it from here.
    pub(crate) exported: bool,
}

/// The imports of code, and the code without them.
pub(crate) fn imports(code: &str) -> (Vec<Import>, String) {
    let (mut found, mut body, mut rest) = (Vec::new(), String::new(), code);
    while let Some(at) = rest.find("use ") {
        let (before, from) = rest.split_at(at);
        body.push_str(before);
        let exported = ["pub", ")"].iter().any(|end| before.trim_end().ends_with(end));
        match from.split_once(';') {
            Some((tree, after)) if !before.ends_with(is_name) => {
                expand(tree["use ".len()..].trim(), &[], exported, &mut found);
                rest = after;
            }
            _ => {
                body.push_str("use ");
                rest = &from["use ".len()..];
            }
        }
    }
    body.push_str(rest);
    (found, body)
}

/// Adds what a tree of a `use` names below `prefix`.
fn expand(tree: &str, prefix: &[String], exported: bool, found: &mut Vec<Import>) {
    let tree = tree.trim();
    if let Some((before, group)) = tree.strip_suffix('}').and_then(|tree| tree.split_once('{')) {
        let prefix = [prefix, &segments(before)].concat();
        for member in members(group) {
            expand(member, &prefix, exported, found);
        }
        return;
    }
    if tree.is_empty() {
        return;
    }
    let (path, renamed) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim())));
    let mut path = [prefix, &segments(path)].concat();
    if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
        path.pop();
    }
    let name = renamed.map_or_else(|| path.last().cloned().unwrap_or_default(), str::to_owned);
    found.push(Import { path, name, exported });
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(str::trim).filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

/// The members of a group, each with the groups inside it.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, next) in group.char_indices() {
        match next {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&group[start..]);
    found
}

/// Every path of more than one segment that code names outside of its imports.
pub(crate) fn paths(code: &str) -> Vec<Vec<String>> {
    code.split(|next| !is_name(next) && next != ':')
        .filter(|word| word.contains("::") && !word.starts_with(':'))
        .map(segments)
        .filter(|path| path.len() > 1)
        .collect()
}

/// Whether code names this.
pub(crate) fn names(code: &str, name: &str) -> bool {
    code.split(|next| !is_name(next)).any(|word| word == name)
}
