//! The house stands as ARCHITECTURE.md says: each module imports lower floors only, no files use each other in a circle,
//! and no room is too large to be known.

#[path = "architecture/files.rs"]
mod files_of_a_crate;
#[path = "architecture/source.rs"]
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use portcullis_integration::project::files;

use self::{
    files_of_a_crate::Files,
    source::{imports, paths, without_comments},
};

/// The most lines that a room may have without tests. Whoever changes one has to know it.
const MOST_LINES: usize = 3000;

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
fn modules_named(source: &str) -> BTreeSet<String> {
    let (imports, code) = imports(&without_comments(source));
    let named = imports.into_iter().map(|import| import.path).chain(paths(&code));
    named.filter(|path| path[0] == "crate").filter_map(|path| path.get(1).cloned()).collect()
}

/// Every arrow between modules: from, to, and the file that draws it.
fn arrows(src: &Path) -> BTreeSet<(String, String, String)> {
    let mut arrows = BTreeSet::new();
    for path in files(src, "rs") {
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
        for to in modules_named(&source) {
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
    assert_eq!(modules_named(source).into_iter().collect::<Vec<_>>(), ["a", "c", "f", "g", "i"]);
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let integration = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in [integration.with_file_name("src"), integration.join("src")] {
        let circles = Files::read(&folder).circles();
        assert!(circles.is_empty(), "files use each other in a circle:\n{}", circles.join("\n"));
    }
}

#[test]
fn no_room_has_more_than_3000_lines_without_tests() {
    let rooms = Files::read(&Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("src")).lines_of_rooms();
    assert!(rooms.len() > 30, "the sources were not read: {rooms:?}");
    let above = rooms.iter().filter(|(_, lines)| **lines > MOST_LINES);
    let above: Vec<String> = above.map(|(room, lines)| format!("`{room}` has {lines}")).collect();
    assert!(above.is_empty(), "rooms of more than {MOST_LINES} lines without tests: {}", above.join(", "));
}

/// A crate of these files.
fn crate_of(files: &[(&str, &str)]) -> Files {
    Files::of(files.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned())))
}

/// The circles of a crate of these files.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    crate_of(files).circles()
}

#[test]
fn a_room_s_lines_are_those_of_all_its_files_but_its_tests() {
    let files = [
        ("lib.rs", "mod a;\nmod d;\n\n#[cfg(any(test, feature = \"f\"))]\npub mod c;\n"),
        ("a.rs", "//! One.\n\nmod b;\n#[cfg(test)]\nmod tests;\n/* Four,\nfive. */\n"),
        (
            "a/b.rs",
            "const TEXT: &str = \"one \\\n    two\";\n\n#[cfg(test)]\nmod tests {\n    fn t() {\n        t();\n    }\n}\n",
        ),
        ("a/tests.rs", "mod more;\nfn t() {}\n"),
        ("a/tests/more.rs", "fn t() {}\n"),
        ("c.rs", "fn c() {}\n"),
        ("d.rs", "struct D {\n    #[cfg(test)]\n    told: bool,\n    told_too: bool,\n}\n"),
    ];
    let rooms = crate_of(&files).lines_of_rooms();
    assert_eq!(rooms, BTreeMap::from([("a".to_owned(), 5 + 3), ("d".to_owned(), 3)]));
}

#[test]
fn a_circle_is_told_by_its_files_and_what_they_use() {
    let siblings = [
        ("lib.rs", "mod a;"),
        ("a.rs", "mod b; mod c;"),
        ("a/b.rs", "use super::c::{self, Thing}; /* it's */ fn b(thing: Thing) -> char { '\"' }"),
        ("a/c.rs", "pub(super) struct Thing; fn c() -> &'static str { super::b::b(\"{;\") }"),
    ];
    let told = "a/b.rs uses `a::c` of a/c.rs, a/c.rs uses `a::b::b` of a/b.rs";
    assert_eq!(circles_of(&siblings), [told]);
    let rooms = [
        ("lib.rs", "mod a; mod d; mod e;"),
        ("a.rs", "use crate::d;"),
        ("d.rs", "use crate::{\n    e::E,\n};"),
        ("e.rs", "pub struct E(crate::a::A);"),
    ];
    let told = "a.rs uses `d` of d.rs, d.rs uses `e::E` of e.rs, e.rs uses `a::A` of a.rs";
    assert_eq!(circles_of(&rooms), [told]);
}

#[test]
fn a_parent_and_its_child_are_a_circle_where_each_uses_what_the_other_defines() {
    let parent = |parent: &'static str, child: &'static str| circles_of(&[("a.rs", parent), ("a/b.rs", child)]);
    let told = "a.rs uses `a::b::B` of a/b.rs, a/b.rs uses `a::Own` of a.rs";
    assert_eq!(parent("mod b; use self::b::B; struct Own(B);", "use super::Own; pub struct B(Own);"), [told]);
    assert_eq!(
        parent("mod b; pub use b::B; struct Own;", "use super::Own; pub struct B(Own);"),
        [""; 0],
        "hands it on"
    );
    assert_eq!(
        parent("mod b; use b::B;", "use super::other; pub struct B;"),
        ["a.rs uses `a::b::B` of a/b.rs, a/b.rs uses `a::other` of a.rs"]
    );
}

#[test]
fn what_a_parent_hands_on_is_used_of_the_file_that_defines_it() {
    let files = [
        ("a.rs", "mod b; mod c; pub use b::B; use c::C; fn a(_: B, _: C) {}"),
        ("a/b.rs", "pub struct B;"),
        ("a/c.rs", "use super::B; pub struct C(B);"),
    ];
    assert_eq!(circles_of(&files), [""; 0]);
}

#[test]
fn what_only_tests_use_is_no_circle() {
    let files = [
        ("a.rs", "mod b; use b::B; struct Own; #[cfg(test)] mod tests; #[cfg(test)] mod testing { use super::*; }"),
        ("a/b.rs", "pub struct B; #[cfg(test)] use super::{Own, other}; #[cfg(test)] fn t(own: super::Own) { x; }"),
        ("a/tests.rs", "use super::*;"),
        ("a/tests/more.rs", "use crate::a::Own;"),
    ];
    assert_eq!(circles_of(&files), [""; 0]);
}

/// A configuration that is read without its files has no keys, no secrets and no callers that are named: it is for who
/// judges rules, and nobody is served by it.
#[test]
fn what_is_read_without_its_files_serves_nobody() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("src");
    let uses = files(&src, "rs").into_iter().filter(|path| {
        let source = fs::read_to_string(path).expect("sources are text");
        without_comments(&source).contains("without_files")
    });
    let uses: BTreeSet<String> =
        uses.map(|path| path.strip_prefix(&src).expect("it was found there").display().to_string()).collect();
    let expected = ["cli/rules.rs", "config.rs", "config/offline.rs", "rule_tests/table.rs"].map(str::to_owned);
    assert_eq!(uses, BTreeSet::from(expected));
}
