//! What a request names, found by templates.

use crate::reason::Reason;

/// Values by the names of their variables. A request names few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Captured(Vec<(String, String)>);

impl Captured {
    /// The value of a variable, where the request names it.
    #[must_use]
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Adds what another place of the request names.
    ///
    /// # Errors
    /// [`Reason::ResourceAmbiguous`] where it names something else.
    pub(super) fn agree(&mut self, other: Self) -> Result<(), Reason> {
        for (name, value) in other.0 {
            match self.get(&name) {
                None => self.0.push((name, value)),
                Some(have) if have == value => {}
                Some(_) => return Err(Reason::ResourceAmbiguous),
            }
        }
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
