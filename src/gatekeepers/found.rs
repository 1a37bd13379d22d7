//! Settings as they were found, whatever form they had.

use std::collections::BTreeMap;

use super::{go, report::Report};
use crate::secret::SecretString;

/// What a setting says. It may be a secret, so that it prints nowhere by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// One text; a list in one text has commas.
    Text(SecretString),
    /// Several texts.
    List(Vec<SecretString>),
    /// It is named, and lies in an object or a file that is not there.
    Elsewhere,
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(SecretString::new(text.into()))
    }

    pub(crate) fn list(items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::List(items.into_iter().map(|item| SecretString::new(item.into())).collect())
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.expose().trim().is_empty(),
            Self::List(items) => items.iter().all(|item| item.expose().trim().is_empty()),
            Self::Elsewhere => false,
        }
    }

    /// All that it says. A text is split at its commas, as the products before us do.
    fn items(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => go::list(text.expose()),
            Self::List(items) => {
                items.iter().map(|item| item.expose().trim()).filter(|item| !item.is_empty()).collect()
            }
            Self::Elsewhere => Vec::new(),
        }
    }
}

/// One setting.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The name that this program knows it by.
    pub(crate) name: String,
    /// The name as it is written there.
    pub(crate) spelled: String,
    /// Where it was found.
    pub(crate) place: String,
    /// What it says.
    pub(crate) value: Value,
}

impl Setting {
    /// Its name and where it was found: for comments and the report.
    pub(crate) fn told(&self) -> String {
        format!("`{}` ({})", self.spelled, self.place)
    }

    /// One of its items, as it is told. Never of a setting that may be a secret.
    pub(crate) fn told_item(&self, item: &str) -> String {
        format!("`{}` `{item}` ({})", self.spelled, self.place)
    }

    /// What it says as one text; nothing where that is not known.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text.expose().trim()),
            Value::List(items) => match items.as_slice() {
                [one] => Some(one.expose().trim()),
                _ => None,
            },
            Value::Elsewhere => None,
        }
    }

    /// What it says as a list; nothing where that is not known.
    pub(crate) fn items(&self) -> Option<Vec<&str>> {
        (self.value != Value::Elsewhere).then(|| self.value.items())
    }
}

/// All settings by their names. Whoever carries one over takes it, so that what is left is what nobody knows.
#[derive(Debug, Default)]
pub(crate) struct Settings(BTreeMap<String, Setting>);

impl Settings {
    /// Adds a setting, which counts more than those that were added before.
    pub(crate) fn add(&mut self, setting: Setting, report: &mut Report) {
        if setting.value.is_empty() {
            report.dropped(setting.told(), "it is empty, as if it were not there");
            return;
        }
        let told = setting.told();
        let value = setting.value.clone();
        let Some(before) = self.0.insert(setting.name.clone(), setting) else { return };
        if before.value != value {
            report.dropped(before.told(), format!("{told} says something else, and counts more"));
        }
    }

    /// Takes a setting out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Setting> {
        self.0.remove(name)
    }

    /// Takes those out whose names begin so.
    pub(crate) fn take_all(&mut self, prefix: &str) -> Vec<Setting> {
        let names: Vec<String> = self.0.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        names.iter().filter_map(|name| self.0.remove(name)).collect()
    }

    /// Looks at a setting that somebody else takes.
    pub(crate) fn look(&self, name: &str) -> Option<&Setting> {
        self.0.get(name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What nobody took.
    pub(crate) fn rest(self) -> impl Iterator<Item = Setting> {
        self.0.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(place: &str, value: Value) -> Setting {
        Setting { name: "a".to_owned(), spelled: "A".to_owned(), place: place.to_owned(), value }
    }

    #[test]
    fn a_later_setting_counts_and_the_earlier_one_is_told() {
        let (mut settings, mut report) = (Settings::default(), Report::default());
        settings.add(setting("one", Value::text("x")), &mut report);
        settings.add(setting("two", Value::text("x")), &mut report);
        settings.add(setting("three", Value::text("secret-y")), &mut report);
        settings.add(setting("four", Value::text("")), &mut report);
        assert_eq!(settings.take("a").unwrap().place, "three");
        assert!(settings.is_empty());
        let told = report.text();
        assert!(
            told.contains("`A` (two)\n      `A` (three) says something else") && told.contains("`A` (four)"),
            "{told}"
        );
        assert!(!told.contains("`A` (one)") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn nothing_that_was_found_prints() {
        let told = format!("{:?}", setting("one", Value::list(["hunter2", "hunter3"])));
        assert!(!told.contains("hunter"), "{told}");
    }
}
