//! The pages of `docs/providers`, and the configurations that they show.

use portcullis_integration::project::{files, read, root};
use serde_json::Value;

/// Where the pages are.
const FOLDER: &str = "docs/providers";
/// How a fence begins that holds another part of the page's configuration.
const VARIANT: &str = "# instead of providers above";

/// The page of one provider.
pub(crate) struct Page {
    /// Its name without the extension, which is the provider's.
    pub(crate) name: String,
    fences: Vec<String>,
}

impl Page {
    /// All pages of providers.
    pub(crate) fn all() -> Vec<Self> {
        let paths = files(&root().join(FOLDER), "md");
        let names = paths.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
        names.filter(|name| name != "README").map(|name| Self::read(&name)).collect()
    }

    pub(crate) fn read(name: &str) -> Self {
        let fences = yaml_fences(&read(format!("{FOLDER}/{name}.md")));
        assert!(!fences.is_empty(), "{name}: there is no configuration");
        Self { name: name.to_owned(), fences }
    }

    /// The page's configuration.
    pub(crate) fn config(&self) -> Value {
        self.parsed(&self.fences[0])
    }

    /// The page's configuration with each of the parts that may take its parts' place.
    pub(crate) fn variants(&self) -> impl Iterator<Item = Value> {
        self.fences.iter().filter(|fence| fence.starts_with(VARIANT)).map(|fence| self.with(fence))
    }

    /// The configuration for a profile: the page's own, or that of the one variant that holds this text.
    pub(crate) fn config_for(&self, variant: Option<&str>) -> Value {
        let Some(text) = variant else { return self.config() };
        let holds = |fence: &&String| fence.starts_with(VARIANT) && fence.contains(text);
        let fences: Vec<_> = self.fences.iter().filter(holds).collect();
        assert_eq!(fences.len(), 1, "{}: variants that hold {text:?}", self.name);
        self.with(fences[0])
    }

    fn with(&self, fence: &str) -> Value {
        let mut config = self.config();
        let part = self.parsed(fence);
        for (name, value) in part.as_object().expect("a configuration is an object") {
            config[name] = value.clone();
        }
        config
    }

    fn parsed(&self, fence: &str) -> Value {
        serde_saphyr::from_str(fence).unwrap_or_else(|error| panic!("{}: {error}\n{fence}", self.name))
    }
}

/// What stands between fences of YAML.
fn yaml_fences(text: &str) -> Vec<String> {
    let mut fences = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "```yaml" {
            let indent = line.len() - line.trim_start().len();
            let inside = lines.by_ref().map(|line| line.get(indent..).unwrap_or_default());
            fences.push(inside.take_while(|line| line.trim() != "```").collect::<Vec<_>>().join("\n"));
        }
    }
    fences
}
