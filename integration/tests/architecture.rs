//! The house stands as ARCHITECTURE.md says: each module imports lower floors only.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The floor of each module, from the table in ARCHITECTURE.md: `| 2 | `kubernetes` `session` | … |`.
fn floors(document: &str) -> BTreeMap<String, u32> {
    let rows = document.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let floor: u32 = cells.next()?.parse().ok()?;
        Some((floor, cells.next()?.to_owned()))
    });
    rows.flat_map(|(floor, names)| {
        let names: Vec<String> = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        names.into_iter().map(move |name| (name, floor))
    })
    .collect()
}

/// The modules of this crate that a source names as `crate::module`, also in groups: `crate::{a::B, c}`.
fn imports(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().map(|line| line.split("//").next().unwrap_or_default()).fold(String::new(), |mut code, line| {
            code.push_str(line);
            code.push('\n');
            code
        });
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(leading_name(rest)),
        }
    }
    found
}

fn leading_name(text: &str) -> Option<String> {
    let name: String = text.trim_start().chars().take_while(|next| next.is_alphanumeric() || *next == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The first name of each member of a group, whose opening brace has been read.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut start) = (1, Vec::new(), 0);
    for (at, next) in group.char_indices() {
        match next {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (next == ',' && depth == 1) || depth == 0 {
            heads.extend(leading_name(&group[start..at]));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources can be listed") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every arrow between modules: from, to, and the file that draws it.
fn arrows(src: &Path) -> BTreeSet<(String, String, String)> {
    let mut arrows = BTreeSet::new();
    for path in sources(src) {
        let relative = path.strip_prefix(src).expect("it was found there");
        let from =
            relative.components().next().expect("a file has a name").as_os_str().to_string_lossy().replace(".rs", "");
        if from == "lib" {
            continue;
        }
        let mut source = fs::read_to_string(&path).expect("sources are text");
        if from == "main" {
            // The binary is a crate of its own.
            source = source.replace("portcullis::", "crate::");
        }
        for to in imports(&source) {
            if to != from {
                arrows.insert((from.clone(), to, relative.display().to_string()));
            }
        }
    }
    arrows
}

#[test]
fn modules_import_lower_floors_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let floors = floors(&fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    let arrows = arrows(&root.join("src"));
    assert!(arrows.len() > 30, "the sources were not read: {arrows:?}");
    let floor = |name: &str, file: &str| {
        *floors.get(name).unwrap_or_else(|| panic!("{file}: the module `{name}` stands on no floor of ARCHITECTURE.md"))
    };
    let wrong: Vec<String> = arrows
        .iter()
        .filter(|(from, to, file)| floor(from, file) <= floor(to, file))
        .map(|(from, to, file)| {
            format!("{file}: `{from}` (floor {}) imports `{to}` (floor {})", floors[from], floors[to])
        })
        .collect();
    assert!(wrong.is_empty(), "imports run upward or across:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_of_the_document_is_there_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let floors = floors(&fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    let library = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let mut modules: BTreeSet<String> = library
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned))
        .collect();
    modules.insert("main".to_owned());
    assert_eq!(floors.keys().cloned().collect::<BTreeSet<_>>(), modules);
}

#[test]
fn imports_are_read_in_every_spelling() {
    let source = "use crate::a::B; use crate::{c::{D, e}, f, g as h}; // crate::comment\nfn x() { crate::i::j() }";
    assert_eq!(imports(source).into_iter().collect::<Vec<_>>(), ["a", "c", "f", "g", "i"]);
}
