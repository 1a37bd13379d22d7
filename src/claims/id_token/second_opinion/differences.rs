//! Where the library and we differ, and why.

/// Cases on which the library and we differ, and why we do.
pub(super) struct Difference {
    pub(super) why: &'static str,
    pub(super) cases: &'static [&'static str],
}

/// What the library refuses and we accept.
pub(super) const ACCEPTED_BY_US_ALONE: &[Difference] = &[
    Difference { why: "the library lacks the algorithm", cases: &["ES512", "ES512 without a kid"] },
    Difference {
        why: "a curve is a part of the algorithm: no other key of the set could be meant",
        cases: &[
            "the header's kid is null",
            "ES256 without a kid",
            "ES384 without a kid",
            "two curves for a token without a name",
            "two curves under one name",
        ],
    },
    Difference {
        why: "a time that cannot be true counts as not told, and grants nothing",
        cases: &[
            "auth_time is 1e+300",
            "auth_time is 18446744073709551615",
            "auth_time is -9223372036854775808",
            r#"auth_time is "never""#,
            r#"auth_time is "1800000000""#,
            "auth_time is true",
            "auth_time is [1800000000]",
        ],
    },
    Difference {
        why: "nobody reads it",
        cases: &[
            "updated_at is 1e+300",
            "updated_at is 18446744073709551615",
            "updated_at is -9223372036854775808",
            r#"updated_at is "never""#,
            r#"updated_at is "1800000000""#,
            "updated_at is true",
            "updated_at is [1800000000]",
            "acr is 7",
            r#"acr is ["nonce-1"]"#,
            r#"acr is {"a":1}"#,
            "acr is true",
            r#"amr is "text""#,
            r#"amr is """#,
            "amr is 7",
            r#"amr is {"a":1}"#,
            "amr is true",
            "name is 7",
            r#"name is ["nonce-1"]"#,
            r#"name is {"a":1}"#,
            "name is true",
            "picture is 7",
            r#"picture is ["nonce-1"]"#,
            r#"picture is {"a":1}"#,
            "picture is true",
            "locale is 7",
            r#"locale is ["nonce-1"]"#,
            r#"locale is {"a":1}"#,
            "locale is true",
            "zoneinfo is 7",
            r#"zoneinfo is ["nonce-1"]"#,
            r#"zoneinfo is {"a":1}"#,
            "zoneinfo is true",
            r#"address is "text""#,
            r#"address is """#,
            "address is 7",
            r#"address is ["nonce-1"]"#,
            "address is true",
        ],
    },
    Difference {
        why: "it vouches for nothing, and names nobody: that is told where the person is read",
        cases: &[
            "email is 7",
            r#"email is ["nonce-1"]"#,
            r#"email is {"a":1}"#,
            "email is true",
            r#"email_verified is "yes""#,
            r#"email_verified is """#,
            "email_verified is 7",
            r#"email_verified is ["nonce-1"]"#,
            r#"email_verified is {"a":1}"#,
        ],
    },
    Difference { why: "it is another claim than the one without a language", cases: &[r#"email#de is "x""#] },
];

/// What we refuse and the library accepts.
pub(super) const REFUSED_BY_US_ALONE: &[Difference] = &[
    Difference {
        why: "an extension that is not supported is refused, whether or not the header calls it critical (RFC 7515 section 4.1.11)",
        cases: &[
            r#"the header's crit is "the value null""#,
            "the header's b64 is false",
            "the header's b64 is true",
            r#"the header's zip is "DEF""#,
            r#"the header's enc is "A128GCM""#,
            r#"the header's cty is "the value null""#,
        ],
    },
    Difference {
        why: "a member that is there has its type (RFC 7519 sections 2 and 4.1)",
        cases: &[
            r#"the header's typ is "the value null""#,
            r#"the header's kid is "the value null""#,
            r#"exp is "2027-01-15T08:00:00Z""#,
            r#"exp is "2099-01-01T00:00:00Z""#,
            r#"iat is "2027-01-15T08:00:00Z""#,
            r#"nbf is "the value null""#,
            "nbf is -1",
            "nbf is 1e+300",
            "nbf is 18446744073709551615",
            "nbf is -9223372036854775808",
            "nbf is 253402300800",
            r#"nbf is "never""#,
            r#"nbf is "1800000000""#,
            r#"nbf is "2027-01-15T08:00:00Z""#,
            r#"nbf is "2099-01-01T00:00:00Z""#,
            "nbf is true",
            "nbf is [1800000000]",
        ],
    },
    Difference {
        why: "a date lies within the calendar, and its fraction does not count",
        cases: &["exp is 253402300800", "exp is 1799999940.5"],
    },
    Difference {
        why: "the library leaves it to its caller (RFC 7519 section 4.1.5, OpenID Connect Core sections 3.1.3.7 and 3.3.2.11)",
        cases: &[
            "nbf is 1800000061",
            r#"aud is ["portcullis","another"]"#,
            r#"azp is "another""#,
            r#"azp is """#,
            r#"c_hash is "AAAAAAAAAAAAAAAAAAAAAA""#,
            r#"c_hash is """#,
        ],
    },
    Difference {
        why: "two readers of one text would take two values",
        cases: &["x said twice in the header", "groups said twice"],
    },
    Difference { why: "more than a token needs", cases: &["too deep is [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]"] },
    Difference {
        why: "the key is not for verifying, or no secret any more (RFC 7517 sections 4.3 and 9.2)",
        cases: &["a key for signing", "a key that tells its private part"],
    },
];

/// Whether the case of this name is on the list.
pub(super) fn is_listed(list: &[Difference], name: &str) -> bool {
    list.iter().any(|difference| difference.cases.contains(&name))
}
