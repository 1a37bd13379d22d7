//! Audiences that can be nobody's but another service's, known by their names.

/// Audiences that tokens of every pod carry, or that stand for another service than this one.
const OTHERS: [&str; 6] = ["kubernetes", "kubernetes.default", "api", "k3s", "konnectivity-server", "istio-ca"];
/// The API server's Service, in a cluster of any domain.
const API_SERVER: &str = "kubernetes.default.svc";

/// Whether an audience is known to be the API server's own or another service's. Who accepted it would let tokens pass
/// that are meant for somebody else.
pub(super) fn is_another_services_audience(audience: &str) -> bool {
    let name = plain(audience);
    let service = name.strip_prefix(API_SERVER).is_some_and(|domain| domain.is_empty() || domain.starts_with('.'));
    service || OTHERS.contains(&name.as_str())
}

/// Whether two texts are spellings of one audience: with `https://` and a slash at the end or without, in any case.
#[must_use]
pub fn is_same_audience(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
}

fn plain(audience: &str) -> String {
    let lower = audience.to_ascii_lowercase();
    lower.strip_prefix("https://").unwrap_or(&lower).trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audiences_of_others_are_known_in_every_spelling() {
        for audience in [
            "api",
            "k3s",
            "istio-ca",
            "Konnectivity-Server",
            "kubernetes",
            "https://kubernetes.default/",
            "kubernetes.default.svc",
            "https://kubernetes.default.svc",
            "https://Kubernetes.default.svc.cluster.local/",
            "kubernetes.default.svc.example.org",
        ] {
            assert!(is_another_services_audience(audience), "{audience}");
        }
        for audience in ["portcullis.example.com", "kubernetes.example.com", "kubernetes.default.svcs", "api2", ""] {
            assert!(!is_another_services_audience(audience), "{audience}");
        }
        assert!(is_same_audience("https://A.example/", "a.example") && !is_same_audience("a.example", "b.example"));
    }
}
