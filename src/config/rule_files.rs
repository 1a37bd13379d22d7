//! The rules of the configuration and of the files that it names, in their order, each with where it stands.

use std::borrow::Cow;

use crate::config_file::{ConfigError, FieldError, FieldPath, forms, parse_rules};
use crate::config_values::Context;

/// A rule, and where it stands.
pub(super) struct Standing<'a> {
    pub(super) at: FieldPath,
    pub(super) rule: Cow<'a, forms::Rule>,
}

/// All rules.
pub(super) fn all<'a>(context: &mut Context<'_>, root: &FieldPath, file: &'a forms::File) -> Vec<Standing<'a>> {
    let at = root.key("rules");
    let own = file.rules.iter().enumerate();
    let mut all: Vec<Standing<'a>> =
        own.map(|(index, rule)| Standing { at: at.index(index), rule: Cow::Borrowed(rule) }).collect();
    for (index, path) in file.rules_from.iter().enumerate() {
        let at = root.key("rules_from").index(index);
        let Some(contents) = context.file(&at, path) else { continue };
        match std::str::from_utf8(contents.expose()).map(parse_rules) {
            Ok(Ok(rules)) => {
                let stand = rules.into_iter().enumerate();
                all.extend(
                    stand.map(|(index, rule)| Standing { at: at.key("rules").index(index), rule: Cow::Owned(rule) }),
                );
            }
            Ok(Err(ConfigError::Fields(errors))) => {
                for error in errors {
                    context.report(error.below(&at));
                }
            }
            Ok(Err(error)) => context.report(
                FieldError::new(&at, error.to_string()).write("write the path of a file that holds `rules: [...]`"),
            ),
            Err(_) => context.report(
                FieldError::new(&at, "it is no UTF-8 text").write("write the path of a file that holds `rules: [...]`"),
            ),
        }
    }
    all
}
