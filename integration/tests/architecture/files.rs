//! Which file uses which, where that runs in a circle, and how many lines a room has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use portcullis_integration::project::files;

use crate::source::{Import, imports, modules_of_tests, names, paths, without_comments, without_tests};

/// A module by its path from the crate's root.
type Module = Vec<String>;

/// The files of a crate that a release holds.
pub(crate) struct Files {
    files: BTreeMap<Module, File>,
}

struct File {
    /// Its path from the crate's folder.
    path: String,
    /// How many lines it has without tests.
    lines: usize,
    imports: Vec<Import>,
    code: String,
}

/// An arrow's ends: the files' paths, and what the first one names of the second.
type Arrows = BTreeMap<Module, BTreeMap<Module, String>>;

impl Files {
    /// Reads a crate's folder. Binaries are crates of their own.
    pub(crate) fn read(folder: &Path) -> Self {
        let sources = files(folder, "rs").into_iter().map(|path| {
            let relative = path.strip_prefix(folder).expect("it was found there").display().to_string();
            (relative, fs::read_to_string(&path).expect("sources are text"))
        });
        Self::of(sources)
    }

    /// Of paths from the crate's folder and their sources.
    pub(crate) fn of(sources: impl IntoIterator<Item = (String, String)>) -> Self {
        let (mut files, mut of_tests) = (BTreeMap::new(), Vec::new());
        for (path, source) in sources {
            let module: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            if ["main", "bin"].contains(&&*module[0]) {
                continue;
            }
            let module = if module == ["lib"] { Vec::new() } else { module };
            let code = without_comments(&source);
            of_tests.extend(modules_of_tests(&code).into_iter().map(|name| below(&module, &[name])));
            let code = without_tests(&code);
            let lines = code.lines().count();
            let (imports, code) = imports(&code);
            files.insert(module, File { path, lines, imports, code });
        }
        files.retain(|module, _| !of_tests.iter().any(|of_tests| module.starts_with(of_tests)));
        Self { files }
    }

    /// Every circle, as a text that names its files and what each uses of the next.
    pub(crate) fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let circles: BTreeSet<Vec<&Module>> = arrows.keys().filter_map(|from| circle(&arrows, from)).collect();
        circles.into_iter().map(|circle| self.tell(&arrows, &circle)).collect()
    }

    /// How many lines each room has without tests: each top-level module with all below it.
    pub(crate) fn lines_of_rooms(&self) -> BTreeMap<String, usize> {
        let mut rooms: BTreeMap<String, usize> = BTreeMap::new();
        for (module, file) in &self.files {
            if let Some(room) = module.first() {
                *rooms.entry(room.clone()).or_default() += file.lines;
            }
        }
        rooms
    }

    fn tell(&self, arrows: &Arrows, circle: &[&Module]) -> String {
        let steps = circle.iter().zip(circle.iter().cycle().skip(1)).map(|(from, to)| {
            format!("{} uses `{}` of {}", self.files[*from].path, arrows[*from][*to], self.files[*to].path)
        });
        steps.collect::<Vec<_>>().join(", ")
    }

    fn arrows(&self) -> Arrows {
        self.files.keys().map(|module| (module.clone(), self.used_by(module))).collect()
    }

    /// The files that one uses, each with a path that says so.
    fn used_by(&self, module: &Module) -> BTreeMap<Module, String> {
        let file = &self.files[module];
        let used_here = |import: &&Import| !import.exported || names(&file.code, &import.name);
        let imported = file.imports.iter().filter(used_here).filter_map(|import| self.absolute(module, &import.path));
        let named = paths(&file.code).into_iter().filter_map(|path| {
            self.absolute(module, &path).or_else(|| {
                let import = file.imports.iter().find(|import| import.name == path[0])?;
                Some([self.absolute(module, &import.path)?, path[1..].to_vec()].concat())
            })
        });
        let mut used = BTreeMap::new();
        for mut path in imported.chain(named) {
            path.retain(|segment| segment != "*");
            let to = self.defining(&path);
            if to != *module {
                used.entry(to).or_insert_with(|| path.join("::"));
            }
        }
        used
    }

    /// A path from the crate's root, where it names something of this crate.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Vec<String>> {
        let from_here = path.iter().take_while(|segment| ["self", "super"].contains(&segment.as_str())).count();
        let first = path.first()?;
        if first == "crate" {
            return Some(path[1..].to_vec());
        }
        if from_here > 0 {
            let up = path.iter().filter(|segment| *segment == "super").count();
            return Some(below(&module[..module.len().checked_sub(up)?], &path[from_here..]));
        }
        let child = below(module, std::slice::from_ref(first));
        self.files.contains_key(&child).then(|| below(module, path))
    }

    /// The file that defines what a path from the crate's root names: re-exports are followed.
    fn defining(&self, path: &[String]) -> Module {
        let mut path = path.to_vec();
        // No chain of re-exports is longer.
        for _ in 0..10 {
            let depth = (0..=path.len()).rev().find(|depth| self.files.contains_key(&path[..*depth])).unwrap_or(0);
            let (module, rest) = path.split_at(depth);
            let module = module.to_vec();
            let next = rest.first().and_then(|name| {
                let import = self.files.get(&module)?.imports.iter().find(|import| import.name == *name)?;
                Some([self.absolute(&module, &import.path)?, rest[1..].to_vec()].concat())
            });
            match next {
                Some(next) if next != path => path = next,
                _ => return module,
            }
        }
        panic!("{} is exported from one file to the next without end", path.join("::"));
    }
}

fn below(module: &[String], names: &[String]) -> Module {
    [module, names].concat()
}

/// The shortest circle that leads from a file back to it, its first file put first.
fn circle<'a>(arrows: &'a Arrows, start: &'a Module) -> Option<Vec<&'a Module>> {
    let mut ways: Vec<Vec<&Module>> = vec![vec![start]];
    let mut seen = BTreeSet::new();
    let mut at = 0;
    while at < ways.len() {
        let way = ways[at].clone();
        for next in arrows[way[way.len() - 1]].keys() {
            if next == start {
                let first = way.iter().enumerate().min_by_key(|(_, module)| **module).map_or(0, |(at, _)| at);
                let mut circle = way;
                circle.rotate_left(first);
                return Some(circle);
            }
            if arrows.contains_key(next) && seen.insert(next) {
                ways.push([&way[..], &[next]].concat());
            }
        }
        at += 1;
    }
    None
}
