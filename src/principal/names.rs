//! Names as strict types: parsed once, trusted afterwards.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, NoncharacterCodePoint},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::memory;

/// The longest user id, in bytes.
const MAX_USERID_BYTES: usize = 320;
/// The longest e-mail address, in bytes (RFC 5321 section 4.5.3.1.3, less the angle brackets).
const MAX_EMAIL_BYTES: usize = 254;
/// The longest group name, in bytes.
const MAX_GROUP_BYTES: usize = 1024;
/// The namespace that is Kubernetes' own.
const KUBERNETES_PREFIX: &[u8] = b"system:";

/// Why a name cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// It holds a character that it must not hold.
    #[error("it holds a character that is not allowed")]
    Character,
    /// It stands in Kubernetes' namespace.
    #[error("it begins with `system:`, which is Kubernetes' own")]
    Reserved,
    /// It is no e-mail address.
    #[error("it is no plain ASCII e-mail address")]
    NotAnEmail,
}

/// The name of a provider in the configuration: `[a-z0-9-]{1,63}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderName(String);

impl ProviderName {
    /// Reads a name.
    ///
    /// # Errors
    /// Where it is empty, longer than 63 bytes or holds anything but `[a-z0-9-]`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        refuse_length(text, 63)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.bytes().all(plain) { Ok(Self(text.to_owned())) } else { Err(NameError::Character) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name that services know a person by: visible ASCII, at most 320 bytes, never in Kubernetes' namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Userid(String);

impl Userid {
    /// Reads a user id, prefix included.
    ///
    /// # Errors
    /// Where it is empty, too long, holds anything but visible ASCII, or begins with `system:` in any case.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        refuse_length(text, MAX_USERID_BYTES)?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NameError::Character);
        }
        if is_reserved(text) { Err(NameError::Reserved) } else { Ok(Self(text.to_owned())) }
    }

    /// The user id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An e-mail address: ASCII, one `@`, at most 254 bytes, folded to lower case as ASCII (never by Unicode's rules, which
/// turn the Kelvin sign into a `k`).
///
/// Its local part is of RFC 5322's atoms (section 3.2.3) and dots, wherever those stand: each character of `atext` may
/// be a person's (`O'Brien`, `a+b`, `x=y/z`). What is none is out, since a local part that holds it must be quoted, and an
/// address that has two spellings names two people here: the comma parts lists, `<` and `>` end an address, `(` begins a
/// comment that mail servers drop, and so on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// Reads an address and folds it.
    ///
    /// # Errors
    /// Where it is no plain ASCII address.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        refuse_length(text, MAX_EMAIL_BYTES)?;
        let (local, domain) = text.split_once('@').ok_or(NameError::NotAnEmail)?;
        let plain_local = !local.is_empty() && local.bytes().all(|byte| byte == b'.' || is_atext(byte));
        // A name, or an address in brackets.
        let in_domain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':');
        let plain_domain = !domain.is_empty() && domain.bytes().all(in_domain);
        if plain_local && plain_domain { Ok(Self(text.to_ascii_lowercase())) } else { Err(NameError::NotAnEmail) }
    }

    /// The address, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the `@`, in lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

/// A group's name: 1 to 1024 bytes without a control or a character that nobody sees, also where a service
/// brings it into a normal form; never in Kubernetes' namespace unless the API server said it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Group(String);

impl Group {
    /// Reads a group that Kubernetes told: `system:` is its own to give.
    ///
    /// # Errors
    /// Where it is empty, over 1024 bytes, or holds a control or a character that nobody sees ([`is_unseen`]), also in its
    /// compatibility form (Unicode's NFKC).
    pub fn parse_kubernetes(text: &str) -> Result<Self, NameError> {
        refuse_length(text, MAX_GROUP_BYTES)?;
        let usable = |text: &str| !text.chars().any(is_unseen);
        if text.trim() == text && usable(text) && usable(&folded(text)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Character)
        }
    }

    /// Reads a group that an identity provider told.
    ///
    /// # Errors
    /// As for [`Group::parse_kubernetes`], and where it begins with `system:` in any case.
    pub fn parse_provider(text: &str) -> Result<Self, NameError> {
        let group = Self::parse_kubernetes(text)?;
        if is_reserved(text) { Err(NameError::Reserved) } else { Ok(group) }
    }

    /// The group's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a list that is parted by commas can hold it: neither the name nor its compatibility form (Unicode's NFKC,
    /// which makes a comma of a fullwidth one) has one, as distinguished names do (`cn=admins,o=corp`).
    #[must_use]
    pub fn fits_in_list(&self) -> bool {
        !folded(&self.0).contains(',')
    }
}

/// The groups of a principal that may be used; those that may not are counted, never escaped and never split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    names: Vec<Group>,
    dropped: usize,
    #[serde(default)]
    incomplete: bool,
}

impl Groups {
    /// The usable ones of what an identity provider said, in its order, each once.
    pub fn from_provider<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::collect(names.into_iter().map(Group::parse_provider))
    }

    /// The usable ones of what the API server said, in its order, each once.
    pub fn from_kubernetes<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::collect(names.into_iter().map(Group::parse_kubernetes))
    }

    fn collect(names: impl Iterator<Item = Result<Group, NameError>>) -> Self {
        let mut groups = Self::default();
        let mut seen = std::collections::HashSet::new();
        for name in names {
            match name {
                Ok(group) if seen.insert(group.clone()) => groups.names.push(group),
                Ok(_) => {}
                Err(_) => groups.dropped += 1,
            }
        }
        groups.names.shrink_to_fit();
        groups
    }

    /// The same groups, with `dropped` more counted as dropped: for groups that were read once before and stored.
    #[must_use]
    pub fn with_dropped(mut self, dropped: usize) -> Self {
        self.dropped = self.dropped.saturating_add(dropped);
        self
    }

    /// The same groups, of which the provider told that there are more than it named.
    #[must_use]
    pub fn incomplete(mut self) -> Self {
        self.incomplete = true;
        self
    }

    /// Whether there are more than were named: that somebody is in none of a list's says nothing then.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// The usable groups.
    #[must_use]
    pub fn names(&self) -> &[Group] {
        &self.names
    }

    /// About how many bytes the names take in memory.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let texts: usize = self.names.iter().map(|group| memory::block(group.as_str().len())).sum();
        memory::block(self.names.capacity() * size_of::<Group>()) + texts
    }

    /// How many were dropped as unusable.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether the principal is in the group of exactly this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|group| group.as_str() == name)
    }
}

macro_rules! conversions {
    ($($name:ident by $parse:ident,)+) => {$(
        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::$parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    )+};
}

conversions! {
    ProviderName by parse,
    Userid by parse,
    Email by parse,
    Group by parse_kubernetes,
}

/// RFC 5322 section 3.2.3.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn refuse_length(text: &str, most: usize) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty),
        length if length > most => Err(NameError::TooLong(most)),
        _ => Ok(()),
    }
}

/// Whether a character is none that people see: a control, a format character (a mark of direction, a space without
/// width), an end of a line or paragraph, a filler, or none at all. Services drop such, and pages and terminals obey some.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    if character.is_ascii() {
        // What the tables say of these, for a tenth of the time: each name of each group that a session has is read.
        return character.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        || CodePointSetData::new::<NoncharacterCodePoint>().contains(character)
}

/// A text with every character escaped that is unseen ([`is_unseen`]): one line, which no terminal obeys.
#[must_use]
pub fn escape_unseen(text: &str) -> String {
    text.chars()
        .map(|next| if is_unseen(next) { next.escape_default().to_string() } else { next.to_string() })
        .collect()
}

/// What services that bring names into a normal form make of one (Unicode Standard Annex 15, NFKC).
fn folded(text: &str) -> std::borrow::Cow<'_, str> {
    if text.is_ascii() {
        // It is in that form.
        return text.into();
    }
    ComposingNormalizerBorrowed::new_nfkc().normalize(text)
}

/// Whether a name stands in Kubernetes' namespace, also once it is brought into a normal form.
fn is_reserved(text: &str) -> bool {
    let text = folded(text);
    text.as_bytes().get(..KUBERNETES_PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(KUBERNETES_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_userid_is_visible_ascii_outside_kubernetes_namespace() {
        assert_eq!(Userid::parse("user@example.com").unwrap().as_str(), "user@example.com");
        for reserved in ["system:masters", "SYSTEM:admin", "System:serviceaccount:a:b"] {
            assert_eq!(Userid::parse(reserved), Err(NameError::Reserved), "{reserved}");
        }
        for bad in ["a b", "a\r\nb", "\u{212a}elvin", "a\u{0}"] {
            assert_eq!(Userid::parse(bad), Err(NameError::Character), "{bad:?}");
        }
        assert_eq!(Userid::parse(""), Err(NameError::Empty));
        assert_eq!(Userid::parse(&"a".repeat(321)), Err(NameError::TooLong(320)));
    }

    #[test]
    fn an_email_folds_as_ascii_and_has_one_at() {
        assert_eq!(Email::parse("User@Example.COM").unwrap().as_str(), "user@example.com");
        for bad in
            ["a@x@corp", "@x", "a@", "plain", "a b@c", "a,b@c", "\"a\"@c", "<a@c>", "\u{212a}@c", "a@b,c", "a@o'c"]
        {
            assert_eq!(Email::parse(bad), Err(NameError::NotAnEmail), "{bad:?}");
        }
    }

    #[test]
    fn a_local_part_may_hold_each_character_of_an_atom_and_none_that_would_be_quoted() {
        let atext = "!#$%&'*+-/=?^_`{|}~.";
        for character in '\0'..='\u{7f}' {
            let accepted = Email::parse(&format!("o{character}brien@example.com")).is_ok();
            let expected = character.is_ascii_alphanumeric() || atext.contains(character);
            assert_eq!(accepted, expected, "{character:?}");
        }
        assert_eq!(Email::parse("O'Brien@Example.com").unwrap().as_str(), "o'brien@example.com");
        assert!(Email::parse("a..b.@example.com").is_ok(), "some providers gave such addresses away");
        assert!(Email::parse("a@[192.0.2.1]").is_ok());
    }

    #[test]
    fn unusable_groups_are_dropped_and_counted() {
        let groups = Groups::from_provider(["dev", "system:masters", "a,b", "", "dev", "Größe", "x\u{7f}"]);
        assert_eq!(groups.names().iter().map(Group::as_str).collect::<Vec<_>>(), ["dev", "a,b", "Größe"]);
        assert_eq!(groups.dropped(), 3);
        assert!(groups.contains("dev") && !groups.contains("system:masters"));
        assert!(Groups::from_kubernetes(["system:authenticated"]).contains("system:authenticated"));
    }

    #[test]
    fn a_group_that_a_service_takes_for_another_one_is_dropped_and_counted() {
        let bad = [
            "adm\u{200b}ins",        // a space without width
            "\u{feff}admins",        // a byte order mark
            "admins\u{200d}",        // a joiner
            "adm\u{ad}ins",          // a soft hyphen
            "\u{202e}snimda",        // right to left
            "a\u{2066}b\u{2069}",    // an isolate
            "a\u{2028}b",            // the end of a line
            "a\u{2029}b",            // the end of a paragraph
            "a\u{3164}b",            // a filler
            "a\u{fe0f}",             // a selector of a variant
            "a\u{e0041}",            // a tag
            "a\u{ffff}",             // no character
            "a\u{fdd0}",             // no character either
            "\u{ff53}ystem:masters", // a fullwidth letter
            "\u{17f}ystem:masters",  // a long s
            "system\u{ff1a}masters", // a fullwidth colon
            "a\u{85}b",
        ];
        let groups = Groups::from_provider(bad);
        assert_eq!((groups.names(), groups.dropped()), (&[][..], bad.len()));
        let honest = [
            "Größe",
            "Straße & Wege",
            "営業部",
            "営業　部",
            "管理、総務",
            "Ünïcode №1",
            "команда",
            "فريق",
            "ทีม",
            "🚀",
            "½ Team",
            "a/b:c",
        ];
        let groups = Groups::from_provider(honest);
        assert_eq!((groups.names().len(), groups.dropped()), (honest.len(), 0), "{groups:?}");
        let kubernetes = Groups::from_kubernetes(["system:authenticated", "a\u{200b}"]);
        assert_eq!((kubernetes.names().len(), kubernetes.dropped()), (1, 1));
    }

    #[test]
    fn a_group_that_holds_what_some_service_takes_for_a_comma_fits_in_no_list() {
        let apart = [
            "cn=ml-admins,ou=groups,o=corp",
            "dev\u{ff0c}admins", // a fullwidth comma
            "dev\u{fe50}admins", // a small comma
            "dev\u{fe10}admins", // a comma of vertical text
            "\u{1f101}",         // a digit and a comma
        ];
        let groups = Groups::from_provider(apart);
        assert_eq!((groups.names().len(), groups.dropped()), (apart.len(), 0));
        assert!(groups.names().iter().all(|group| !group.fits_in_list()));
        assert!(groups.contains("cn=ml-admins,ou=groups,o=corp") && !groups.contains("cn=ml-admins"));
        for honest in ["dev", "Größe", "営業部", "管理、総務", "a;b"] {
            assert!(Group::parse_provider(honest).unwrap().fits_in_list(), "{honest}");
        }
    }

    #[test]
    fn ascii_is_judged_as_by_unicode() {
        let (categories, nfkc) = (CodePointMapData::<GeneralCategory>::new(), ComposingNormalizerBorrowed::new_nfkc());
        for character in '\0'..='\u{7f}' {
            let is_control = categories.get(character) == GeneralCategory::Control;
            let is_ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character);
            assert_eq!((is_unseen(character), is_ignorable), (is_control, false), "{character:?}");
            let text = character.to_string();
            assert_eq!(nfkc.normalize(&text), folded(&text));
        }
    }

    #[test]
    fn names_are_checked_when_they_are_read_from_a_store() {
        assert!(serde_json::from_str::<Userid>("\"system:masters\"").is_err());
        assert!(serde_json::from_str::<ProviderName>("\"A\"").is_err());
    }
}
