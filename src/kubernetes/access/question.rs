//! A question to the API server: may this subject do that?

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use crate::{kubernetes::joined::joined, secret::sha256};

/// What would be done (`ResourceAttributes` of `authorization.k8s.io/v1`). An empty text is what Kubernetes takes it for: the
/// core group, no subresource, every name; an empty namespace is the whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessAttributes {
    /// The namespace.
    pub namespace: String,
    /// The verb.
    pub verb: String,
    /// The API group.
    pub group: String,
    /// The resource, in the plural.
    pub resource: String,
    /// The subresource.
    pub subresource: String,
    /// The object's name.
    pub name: String,
}

/// As `kubectl auth can-i` has it: `create pods/exec notebook-0 -n team-a`.
impl fmt::Display for AccessAttributes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.verb, self.resource)?;
        for (mark, text) in [('.', &self.group), ('/', &self.subresource), (' ', &self.name)] {
            if !text.is_empty() {
                write!(formatter, "{mark}{text}")?;
            }
        }
        if self.namespace.is_empty() { Ok(()) } else { write!(formatter, " -n {}", self.namespace) }
    }
}

/// Who would do it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessSubject {
    /// The user name: the very text that services are told.
    pub user: String,
    /// The uid, where there is one.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// Further attributes, as a TokenReview told them.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// May this subject do that?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessQuestion {
    /// Who.
    pub subject: Arc<AccessSubject>,
    /// What.
    pub attributes: AccessAttributes,
}

/// The name of a question in the cache: a hash of all of it. No two questions that anybody can find share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct QuestionKey([u8; 32]);

impl AccessQuestion {
    pub(super) fn key(&self) -> QuestionKey {
        QuestionKey(sha256(&joined(self.fields())))
    }

    /// About how many bytes its texts have.
    pub(super) fn bytes(&self) -> usize {
        self.fields().map(|text| text.len() + size_of::<u64>()).sum()
    }

    /// All of it as texts; before each list stands how many it has, so that no two questions have the same.
    fn fields(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let AccessSubject { user, uid, groups, extra } = &*self.subject;
        let AccessAttributes { namespace, verb, group, resource, subresource, name } = &self.attributes;
        let texts = [namespace, verb, group, resource, subresource, name, user, uid]
            .into_iter()
            .map(|text| text.as_str().into());
        let extra = extra.iter().flat_map(|(key, values)| std::iter::once(key.as_str().into()).chain(list(values)));
        texts.chain(list(groups)).chain(extra)
    }
}

fn list(texts: &[String]) -> impl Iterator<Item = Cow<'_, str>> {
    std::iter::once(texts.len().to_string().into()).chain(texts.iter().map(|text| text.as_str().into()))
}
