//! What is written: a tree of values with comments, and how it becomes YAML.
//!
//! The writer is small because it is strict: whatever is not plain beyond doubt stands in quotes, so that any reader of YAML
//! reads what was meant. A comment is one line, whatever it holds.

use std::fmt::Write as _;

use crate::principal::escape_unseen;

/// From this width on, a list has a line for each item.
const WIDTH: usize = 100;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Text(String),
    Switch(bool),
    List(Vec<Entry>),
    Map(Fields),
}

/// A value, and what is told of it above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) comment: Vec<String>,
    pub(crate) node: Node,
}

/// The fields of a map, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(pub(crate) Vec<(String, Entry)>);

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Node {
    fn from(switch: bool) -> Self {
        Self::Switch(switch)
    }
}

impl From<Fields> for Node {
    fn from(fields: Fields) -> Self {
        Self::Map(fields)
    }
}

impl<Item: Into<Self>> From<Vec<Item>> for Node {
    fn from(items: Vec<Item>) -> Self {
        Self::List(items.into_iter().map(|item| Entry { comment: Vec::new(), node: item.into() }).collect())
    }
}

impl Fields {
    /// A map of one field.
    pub(crate) fn one(key: &str, node: impl Into<Node>) -> Self {
        let mut fields = Self::default();
        fields.set(key, node, "");
        fields
    }

    /// Sets a field; a comment that is empty is none.
    pub(crate) fn set(&mut self, key: &str, node: impl Into<Node>, comment: impl Into<String>) {
        let comment = Some(comment.into()).filter(|comment| !comment.is_empty()).into_iter().collect();
        self.put(key, Entry { comment, node: node.into() });
    }

    /// Sets a field, unless it is a list or a map of nothing.
    pub(super) fn set_unless_empty(&mut self, key: &str, node: impl Into<Node>, comment: &str) {
        let node = node.into();
        let is_empty = match &node {
            Node::Text(_) | Node::Switch(_) => false,
            Node::List(items) => items.is_empty(),
            Node::Map(fields) => fields.is_empty(),
        };
        if !is_empty {
            self.set(key, node, comment);
        }
    }

    /// Sets a field with several lines of comment.
    pub(super) fn put(&mut self, key: &str, entry: Entry) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, there)) => *there = entry,
            None => self.0.push((key.to_owned(), entry)),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|(name, _)| name == key).map(|(_, entry)| &mut entry.node)
    }

    /// Takes a field out. Whether there was one.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(name, _)| name != key);
        self.0.len() < before
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields that are texts.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(_, entry)| match &entry.node {
            Node::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The whole document.
    pub(crate) fn yaml(&self) -> String {
        let mut writer = Writer::default();
        writer.fields(self, 0);
        writer.0
    }
}

/// Writes block style, and what is short in flow style.
#[derive(Default)]
struct Writer(String);

impl Writer {
    fn fields(&mut self, fields: &Fields, indent: usize) {
        for (key, entry) in &fields.0 {
            self.comment(&entry.comment, indent);
            self.indent(indent);
            self.field(key, &entry.node, indent);
        }
    }

    /// A field whose line has begun.
    fn field(&mut self, key: &str, node: &Node, indent: usize) {
        self.0.push_str(&scalar(key));
        self.0.push(':');
        match node {
            Node::Map(fields) if !fields.is_empty() => {
                self.0.push('\n');
                self.fields(fields, indent + 2);
            }
            Node::List(items) if !items.is_empty() && !fits_in_flow(node) => {
                self.0.push('\n');
                self.items(items, indent + 2);
            }
            node => {
                self.0.push(' ');
                self.0.push_str(&flow(node));
                self.0.push('\n');
            }
        }
    }

    fn items(&mut self, items: &[Entry], indent: usize) {
        for entry in items {
            self.comment(&entry.comment, indent);
            match &entry.node {
                Node::Map(Fields(fields)) if !fits_in_flow(&entry.node) => {
                    let mut is_first = true;
                    for (key, entry) in fields {
                        // The dash stands before the first field, whose comment stands above it.
                        let at = if is_first { indent } else { indent + 2 };
                        self.comment(&entry.comment, at);
                        self.indent(at);
                        self.0.push_str(if is_first { "- " } else { "" });
                        self.field(key, &entry.node, indent + 2);
                        is_first = false;
                    }
                }
                node => {
                    self.indent(indent);
                    self.0.push_str("- ");
                    self.0.push_str(&flow(node));
                    self.0.push('\n');
                }
            }
        }
    }

    fn comment(&mut self, lines: &[String], indent: usize) {
        for line in lines {
            self.indent(indent);
            self.0.push_str("# ");
            self.0.push_str(&escape_unseen(line));
            self.0.push('\n');
        }
    }

    fn indent(&mut self, indent: usize) {
        self.0.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Whether a value stands on one line: short, without comments, and without a list of several maps.
fn fits_in_flow(node: &Node) -> bool {
    let bare = |entry: &Entry| entry.comment.is_empty();
    let is_flat = match node {
        Node::Text(_) | Node::Switch(_) => true,
        Node::List(items) => items.iter().all(|item| bare(item) && fits_in_flow(&item.node)),
        Node::Map(Fields(fields)) => {
            let is_scalar = |node: &Node| matches!(node, Node::Text(_) | Node::Switch(_));
            fields.len() <= 1 && fields.iter().all(|(_, entry)| bare(entry) && is_scalar(&entry.node))
        }
    };
    is_flat && flow(node).len() <= WIDTH
}

/// A value on one line, without its comments.
fn flow(node: &Node) -> String {
    match node {
        Node::Text(text) => scalar(text),
        Node::Switch(switch) => switch.to_string(),
        Node::List(items) => {
            let items: Vec<String> = items.iter().map(|item| flow(&item.node)).collect();
            format!("[{}]", items.join(", "))
        }
        Node::Map(Fields(fields)) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, entry)| format!("{}: {}", scalar(key), flow(&entry.node))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// A text, in quotes unless every reader of YAML takes it for that very text.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for next in text.chars() {
        match next {
            '"' | '\\' => quoted.extend(['\\', next]),
            ' '..='~' => quoted.push(next),
            next if next.is_alphanumeric() => quoted.push(next),
            next => {
                let code = u32::from(next);
                let _ = if code > 0xffff { write!(quoted, "\\U{code:08X}") } else { write!(quoted, "\\u{code:04X}") };
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Begins with a letter or `/`, has nothing that YAML gives a meaning, and is no word that some reader takes for another
/// value.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity"];
    let begins = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'/';
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./@+:".contains(&byte);
    let is_word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    (text.as_bytes().first().is_some_and(begins) || is_duration(text))
        && text.bytes().all(inside)
        && !text.ends_with(':')
        && !is_word
}

/// `24h`, `90m` and `5s` are texts to every reader.
fn is_duration(text: &str) -> bool {
    let digits = text.trim_end_matches(['h', 'm', 's']);
    text.len() == digits.len() + 1 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What a reader is to find.
    fn meant(node: &Node) -> Value {
        match node {
            Node::Text(text) => text.as_str().into(),
            Node::Switch(switch) => (*switch).into(),
            Node::List(items) => items.iter().map(|item| meant(&item.node)).collect(),
            Node::Map(Fields(fields)) => {
                Value::Object(fields.iter().map(|(key, entry)| (key.clone(), meant(&entry.node))).collect())
            }
        }
    }

    /// Texts that readers of YAML are known to mistake, beside any.
    fn texts() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "",
            " ",
            "a: b",
            "a #b",
            "- a",
            "? a",
            "[a",
            "{a",
            "a]",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "'a'",
            "\"a\"",
            "%a",
            "@a",
            "`a`",
            "~",
            "null",
            "Yes",
            "on",
            "0x10",
            "1_000",
            "12:30:45",
            "1e3",
            ".5",
            "2001-01-01",
            "---",
            "...",
            "a\nb",
            "\u{feff}a",
            "a\u{2028}b",
            "\u{85}",
            "é",
            "a:",
            ":a",
            "a\tb",
            "\\",
            "24h",
            "5",
            "0o7",
            "<<",
            "=",
            "😀\u{200d}",
            "/dex",
            "https://dex.example.com:5556/dex",
            "a@b",
            "NaN",
            "-",
            "--x",
        ]);
        prop_oneof![known.prop_map(str::to_owned), "\\PC{0,12}", any::<String>()]
    }

    fn nodes() -> impl Strategy<Value = Node> {
        let leaf = prop_oneof![texts().prop_map(Node::Text), any::<bool>().prop_map(Node::Switch)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let entry = (prop::collection::vec(any::<String>(), 0..2), inner)
                .prop_map(|(comment, node)| Entry { comment, node });
            let fields = prop::collection::vec((texts(), entry.clone()), 0..4).prop_map(|fields| {
                let mut map = Fields::default();
                for (key, entry) in fields {
                    map.put(&key, entry);
                }
                map
            });
            prop_oneof![prop::collection::vec(entry, 0..4).prop_map(Node::List), fields.prop_map(Node::Map)]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(node in nodes(), comment in any::<String>()) {
            let mut fields = Fields::default();
            fields.set("field", node, comment);
            let yaml = fields.yaml();
            let options = serde_saphyr::options! { strict_booleans: true };
            let read: Value = serde_saphyr::from_str_with_options(&yaml, options).unwrap();
            prop_assert_eq!(read, meant(&Node::Map(fields)), "{}", yaml);
        }
    }

    #[test]
    fn what_is_short_stands_on_one_line() {
        let mut rule = Fields::default();
        rule.set("name", "dex", "from there");
        rule.set("paths", vec![Fields::one("prefix", "/dex")], "");
        let mut fields = Fields::default();
        fields.set("rules", vec![rule], "all of them");
        fields.set("scopes", vec!["openid", "a b"], "");
        assert_eq!(
            fields.yaml(),
            "# all of them\nrules:\n  # from there\n  - name: dex\n    paths: [{prefix: /dex}]\nscopes: [openid, \"a b\"]\n"
        );
    }
}
