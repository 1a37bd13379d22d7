//! Secrets that everybody knows, or that are none.

/// The shortest secret that is accepted, in bytes.
pub(crate) const MIN_BYTES: usize = 16;

/// Secrets from examples, manifests and documentation, in lower case.
const WELL_KNOWN: [&str; 17] = [
    // The client secret of Kubeflow's manifests for Dex.
    "pubnboy80snxgjibtym9zwnzy2xrengqok",
    // Dex's example application, and its text before base64.
    "zxhhbxbszs1hchatc2vjcmv0",
    "example-app-secret",
    // OpenID Connect's and OAuth's own examples.
    "7fjfp0zbr1ktdrbnfvdmiw",
    "gx1fbat3bv",
    "cf136dc3c1fc93f31185e5885805d",
    // What people write until they know better.
    "password",
    "changeme",
    "change-me",
    "changeit",
    "default",
    "example",
    "placeholder",
    "client-secret",
    "client_secret",
    "clientsecret",
    // After the longer words that it is part of.
    "secret",
];

/// Words around a well-known secret that make it no better, such as `my-client-secret` or `secretsecretsecret`.
const PADDING: [&str; 11] =
    ["your", "my", "the", "please", "dex", "oidc", "kubeflow", "portcullis", "here", "value", "test"];

/// Why `secret` cannot be used; nothing where it can.
pub(crate) fn weakness(secret: &[u8]) -> Option<&'static str> {
    if secret.is_empty() {
        return Some("the secret is empty");
    }
    let text = String::from_utf8_lossy(secret).to_ascii_lowercase();
    if is_well_known(&text) {
        return Some("the secret is a well-known or default one");
    }
    if is_placeholder(&text) {
        return Some("the secret is a placeholder that was never filled in");
    }
    if secret.len() < MIN_BYTES {
        return Some("the secret is shorter than 16 bytes");
    }
    let mut distinct = secret.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 6 {
        return Some("the secret repeats few characters");
    }
    None
}

fn is_well_known(text: &str) -> bool {
    if WELL_KNOWN.contains(&text) {
        return true;
    }
    // What is left when well-known words are taken out, and words around them: nothing, or separators and digits.
    let without = |text: String, words: &[&str]| words.iter().fold(text, |text, word| text.replace(word, ""));
    let rest = without(text.to_owned(), &WELL_KNOWN);
    let idle = |byte: u8| byte.is_ascii_digit() || !byte.is_ascii_alphanumeric();
    rest.len() < text.len() && without(rest, &PADDING).bytes().all(idle)
}

fn is_placeholder(text: &str) -> bool {
    (text.starts_with('<') && text.ends_with('>'))
        || (text.starts_with("${") && text.ends_with('}'))
        || (text.starts_with("{{") && text.ends_with("}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_and_short_secrets_are_refused() {
        for weak in [
            "",
            "password",
            "SECRET",
            "changeme",
            "pUBnBOY80SnXgjibTYM9ZWNzY2xreNGQok",
            "ZXhhbXBsZS1hcHAtc2VjcmV0",
            "changemechangeme",
            "my-client-secret-here",
            "secret-0123456789",
            "<the client secret>",
            "${CLIENT_SECRET}",
            "{{ .Values.secret }}",
            "aaaaaaaaaaaaaaaaaaaaaaaa",
            "tooshort-k3y",
        ] {
            assert!(weakness(weak.as_bytes()).is_some(), "{weak}");
        }
    }

    #[test]
    fn random_secrets_pass() {
        for good in ["3fA9kQz7LmXw2PbN", "b9a1c0de-77f3-4a0e-9d35-1f1e6a0d5c11", "secret:tRq81LxZpVw0"] {
            assert_eq!(weakness(good.as_bytes()), None, "{good}");
        }
    }
}
