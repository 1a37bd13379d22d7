//! What a request has beside host, method and path that a rule may look at.
//!
//! A rule is narrowed by conditions only where it denies, and a review where it asks for more: whoever adds or leaves
//! out what a condition looks at passes no rule that he would not pass otherwise.

use std::borrow::Cow;

use crate::request::{Parameter, Request, fully_decoded};

/// Something that a request has or has not. Held for true wherever any server behind could take it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The query has this parameter, in whatever spelling.
    Query(String),
    /// A header holds a text, in any case and however often it is encoded.
    Header {
        /// Its name, in lower case.
        name: String,
        /// The text, in lower case.
        contains: String,
    },
}

impl Condition {
    /// Whether it is so of this request.
    pub(super) fn holds(&self, request: &Request) -> bool {
        match self {
            Self::Query(parameter) => !matches!(request.query().for_every_server(parameter), Parameter::Absent),
            Self::Header { name, contains } => request.headers().values(name).any(|value| {
                let has = |text: &str| text.to_lowercase().contains(contains.as_str());
                // What has no end could hold anything.
                has(value) || fully_decoded(value).is_none_or(|decoded: Cow<'_, str>| has(&decoded))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::RawRequest;

    fn request(target: &str, referer: &str) -> Request {
        Request::parse(RawRequest::new("GET", "kf", target).header("referer", referer)).unwrap()
    }

    #[test]
    fn what_any_server_could_take_for_it_holds() {
        let query = Condition::Query("providerInfo".to_owned());
        for target in ["/?providerInfo=1", "/?a&PROVIDERINFO", "/?a;provider%49nfo=", "/?providerInfo[x]=1"] {
            assert!(query.holds(&request(target, "")), "{target}");
        }
        assert!(!query.holds(&request("/?provider=1", "")));
        let header = Condition::Header { name: "referer".to_owned(), contains: "/_proxy/".to_owned() };
        for referer in ["https://kf/a/_proxy/x", "https://kf/_PROXY/", "https://kf/%255Fproxy%2f", "%ff"] {
            assert!(header.holds(&request("/", referer)), "{referer}");
        }
        assert!(!header.holds(&request("/_proxy/", "https://kf/proxy/")));
    }
}
