//! Files that may configure a gatekeeper, sorted by what they are.

use serde_json::Value as Tree;
use thiserror::Error;

use super::manifests::Objects;
use crate::secret::SecretString;

/// A file, or what came from standard input. It may hold secrets.
#[derive(Clone, Debug)]
pub struct Input {
    name: String,
    text: SecretString,
}

impl Input {
    /// A file by its name, as it is told, and its text.
    #[must_use]
    pub const fn new(name: String, text: SecretString) -> Self {
        Self { name, text }
    }

    fn base(&self) -> &str {
        base(&self.name)
    }
}

/// Why a file cannot be used. What it holds is never told.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    #[error("{0}: it is neither flags, nor NAME=VALUE lines, nor TOML, nor YAML: see line {1}")]
    NoForm(String, usize),
    #[error("{0}: the YAML cannot be read: see line {1}")]
    Yaml(String, u64),
    #[error("{0}: it holds nothing")]
    Empty(String),
}

/// Something with the file that it stands in.
pub(crate) struct In<Content> {
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// All files, by what they are.
#[derive(Default)]
pub(crate) struct Inputs {
    /// Kubernetes objects, and what a kustomization makes.
    pub(crate) objects: Objects,
    /// NAME=VALUE lines.
    pub(crate) environments: Vec<In<Vec<(String, SecretString)>>>,
    /// Words of a command line.
    pub(crate) flags: Vec<In<Vec<String>>>,
    /// Settings in TOML.
    pub(crate) tables: Vec<In<toml::Table>>,
    /// Settings in YAML.
    pub(crate) trees: Vec<In<Tree>>,
    all: Vec<Input>,
}

impl Inputs {
    /// Sorts files. One that cannot be read as anything is an error, unless a kustomization or another file names it.
    pub(crate) fn sort(inputs: Vec<Input>) -> Result<Self, InputError> {
        let mut sorted = Self::default();
        let mut kustomizations = Vec::new();
        let mut without_form = Vec::new();
        for input in inputs {
            match Form::of(&input) {
                Ok(form) => sorted.add(&input, form, &mut kustomizations),
                Err(error) => without_form.push((input.base().to_owned(), error)),
            }
            sorted.all.push(input);
        }
        for kustomization in &kustomizations {
            let file = |name: &str| sorted.file(name).map(|(_, text)| text);
            let made = Objects::made_by(kustomization, file);
            sorted.objects.extend(made);
            // What it takes in counts as a part of what it makes.
            let taken = Objects::files_of(kustomization);
            let is_apart = |name: &str| !taken.iter().any(|taken| base(taken) == base(name));
            sorted.environments.retain(|one| is_apart(&one.name));
            sorted.tables.retain(|one| is_apart(&one.name));
        }
        // A list of addresses, say, has no form of its own, and is looked up by its name.
        let is_named = |base: &str| sorted.all.iter().any(|input| input.base() != base && names(input, base));
        match without_form.into_iter().find(|(base, _)| !is_named(base)) {
            Some((_, error)) => Err(error),
            None => Ok(sorted),
        }
    }

    /// The file that a path names, by the last part of both.
    pub(crate) fn file(&self, path: &str) -> Option<(&str, &SecretString)> {
        let wanted = Some(base(path)).filter(|base| !base.is_empty())?;
        let input = self.all.iter().find(|input| input.base() == wanted)?;
        Some((&input.name, &input.text))
    }

    /// What the files are called.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.all.iter().map(|input| input.name.as_str()).collect()
    }

    fn add(&mut self, input: &Input, form: Form, kustomizations: &mut Vec<Tree>) {
        let name = || input.name.clone();
        match form {
            Form::Flags(words) => self.flags.push(In { name: name(), content: words }),
            Form::Environment(lines) => self.environments.push(In { name: name(), content: lines }),
            Form::Toml(table) => self.tables.push(In { name: name(), content: table }),
            Form::Yaml(documents) => {
                for document in documents {
                    match document.get("kind").and_then(Tree::as_str) {
                        Some("Kustomization") => kustomizations.push(document),
                        Some(_) => self.objects.add(document),
                        // kustomize itself does not ask for a kind.
                        None if Objects::is_kustomization(&document) => kustomizations.push(document),
                        None => match document.as_array() {
                            Some(items) => {
                                let words = items.iter().filter_map(Tree::as_str).map(str::to_owned).collect();
                                self.flags.push(In { name: name(), content: words });
                            }
                            None => self.trees.push(In { name: name(), content: document }),
                        },
                    }
                }
            }
        }
    }
}

/// Whether a file is TOML by its name.
pub(crate) fn is_toml(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("cfg" | "toml"))
}

/// The last part of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn names(input: &Input, base: &str) -> bool {
    input.text.expose().contains(base)
}

enum Form {
    Flags(Vec<String>),
    Environment(Vec<(String, SecretString)>),
    Toml(toml::Table),
    Yaml(Vec<Tree>),
}

impl Form {
    fn of(input: &Input) -> Result<Self, InputError> {
        let text = input.text.expose();
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let Some(first) = lines().next() else { return Err(InputError::Empty(input.name.clone())) };
        if first.strip_prefix("--").is_some_and(|name| name.starts_with(|next: char| next.is_ascii_alphabetic())) {
            return Ok(Self::Flags(words(text)));
        }
        if let Some(variables) = lines().map(variable).collect() {
            return Ok(Self::Environment(variables));
        }
        let is_object = lines().any(|line| line.starts_with("apiVersion:") || line.starts_with("\"apiVersion\""));
        if !is_object {
            match text.parse::<toml::Table>() {
                Ok(table) => return Ok(Self::Toml(table)),
                Err(error) if is_toml(input.base()) => {
                    return Err(InputError::NoForm(input.name.clone(), line_of(text, &error)));
                }
                Err(_) => {}
            }
        }
        let documents = yaml(text).map_err(|line| InputError::Yaml(input.name.clone(), line))?;
        if documents.iter().all(|document| document.is_object() || document.is_array()) && !documents.is_empty() {
            Ok(Self::Yaml(documents))
        } else {
            Err(InputError::NoForm(input.name.clone(), 1))
        }
    }
}

/// The documents of a YAML text; else the line that cannot be read. What the line holds stays untold.
pub(crate) fn yaml(text: &str) -> Result<Vec<Tree>, u64> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| error.location().map_or(1, |location| location.line()))
}

/// The line on which a text ceases to be TOML.
pub(crate) fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    before.matches('\n').count() + 1
}

/// Whether a name is written as those of variables are.
pub(crate) fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// `NAME=VALUE`, as files of variables and shells write it.
fn variable(line: &str) -> Option<(String, SecretString)> {
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line.split_once('=')?;
    if name.is_empty() || !is_variable(name) {
        return None;
    }
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    Some((name.to_owned(), SecretString::new(value.to_owned())))
}

/// The words of a command line, as a shell would take them, without its expansions.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| {
        let line = line.trim_end();
        line.strip_suffix('\\').unwrap_or(line).chars().chain(['\n'])
    });
    while let Some(next) = letters.next() {
        match (next, quote) {
            ('\'' | '"', None) => {
                quote = Some(next);
                word.get_or_insert_default();
            }
            (next, Some(quoted)) if next == quoted => quote = None,
            ('\\', None) => word.get_or_insert_default().extend(letters.next()),
            (next, None) if next.is_whitespace() => words.extend(word.take()),
            (next, _) => word.get_or_insert_default().push(next),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, text: &str) -> Input {
        Input::new(name.to_owned(), SecretString::new(text.to_owned()))
    }

    fn sorted(name: &str, text: &str) -> Inputs {
        Inputs::sort(vec![input(name, text)]).map_err(|error| error.to_string()).unwrap()
    }

    #[test]
    fn files_are_sorted_by_what_they_hold() {
        let flags =
            sorted("flags", "# ours\n--http-address=0.0.0.0:4180 --scope 'openid email' \\\n  --banner=\"a b\"\n");
        assert_eq!(flags.flags[0].content, ["--http-address=0.0.0.0:4180", "--scope", "openid email", "--banner=a b"]);
        let environment = sorted("params.env", "A=x=y\nexport B_2=\"8080\"\n\n# C=1\nD=\n");
        let told: Vec<_> =
            environment.environments[0].content.iter().map(|(name, value)| (&**name, value.expose())).collect();
        assert_eq!(told, [("A", "x=y"), ("B_2", "8080"), ("D", "")]);
        assert_eq!(sorted("x.cfg", "a = 1\nb = [\"c\"]\n").tables.len(), 1);
        assert_eq!(sorted("alpha.yaml", "providers:\n  - id: dex\n").trees.len(), 1);
        assert_eq!(sorted("args.yaml", "- --a=b\n- --c\n").flags[0].content, ["--a=b", "--c"]);
        assert!(sorted("x", "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").trees.is_empty());
    }

    #[test]
    fn a_file_of_no_form_is_told_by_its_line_and_not_by_what_it_holds() {
        for (name, text, told) in [
            (
                "a.cfg",
                "x = \"y\"\nclient_secret = hunter2\n",
                "a.cfg: it is neither flags, nor NAME=VALUE lines, nor TOML, nor YAML: see line 2",
            ),
            (
                "a.txt",
                "hunter2 hunter3\n",
                "a.txt: it is neither flags, nor NAME=VALUE lines, nor TOML, nor YAML: see line 1",
            ),
            ("a.yaml", "apiVersion: v1\nkind: {hunter2\n", "a.yaml: the YAML cannot be read: see line"),
            ("a.env", "# nothing\n", "a.env: it holds nothing"),
        ] {
            let error = Inputs::sort(vec![input(name, text)]).err().unwrap().to_string();
            assert!(error.starts_with(told) && !error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn a_file_that_another_one_names_needs_no_form() {
        let emails = input("x/emails.txt", "ada@example.com\n");
        let naming = input("a.cfg", "authenticated_emails_file = \"/etc/emails.txt\"\n");
        let inputs = Inputs::sort(vec![emails, naming]).map_err(|error| error.to_string()).unwrap();
        let (name, text) = inputs.file("/etc/emails.txt").unwrap();
        assert_eq!((name, text.expose()), ("x/emails.txt", "ada@example.com\n"));
    }
}
