//! The query, which only our own endpoints read.

use std::fmt;

use thiserror::Error;

/// Why a parameter cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the parameter occurs more than once")]
pub struct QueryError;

/// The query of a request, without the `?`. It may hold a code or an application's token, and does not print.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Query(Option<String>);

impl fmt::Debug for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "[redacted]" } else { "none" })
    }
}

impl Query {
    /// Takes a query as it came.
    #[must_use]
    pub fn new(raw: Option<&str>) -> Self {
        Self(raw.map(str::to_owned))
    }

    /// The query as it came.
    #[must_use]
    pub fn raw(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The decoded value of a parameter (`application/x-www-form-urlencoded`), where it occurs.
    ///
    /// # Errors
    /// Where it occurs more than once: two readers could take different ones.
    pub fn parameter(&self, name: &str) -> Result<Option<String>, QueryError> {
        let Some(raw) = self.raw() else { return Ok(None) };
        let mut values = url::form_urlencoded::parse(raw.as_bytes()).filter(|(have, _)| have == name);
        let first = values.next().map(|(_, value)| value.into_owned());
        if values.next().is_some() { Err(QueryError) } else { Ok(first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_counts_only_once() {
        let query = Query::new(Some("a=1&b=x%20y&c=1&%63=2"));
        assert_eq!(query.parameter("a"), Ok(Some("1".into())));
        assert_eq!(query.parameter("b"), Ok(Some("x y".into())));
        assert_eq!(query.parameter("c"), Err(QueryError));
        assert_eq!(query.parameter("d"), Ok(None));
        assert_eq!(Query::new(None).parameter("a"), Ok(None));
    }
}
