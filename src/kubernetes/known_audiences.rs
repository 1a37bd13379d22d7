//! Audiences that can be nobody's but another service's, known by their names.

/// Audiences that tokens of every pod carry.
const API_SERVERS: [&str; 4] = ["kubernetes", "kubernetes.default", "api", "k3s"];
/// Audiences that stand for another service than this one.
const OTHERS: [&str; 2] = ["konnectivity-server", "istio-ca"];
/// The API server's Service, in a cluster of any domain.
const API_SERVER: &str = "kubernetes.default.svc";

/// Whether an audience is known to be the API server's own or another service's. Who accepted it would let tokens pass
/// that are meant for somebody else.
pub(super) fn is_another_services_audience(audience: &str) -> bool {
    let name = plain(audience);
    is_services_name(&name) || OTHERS.contains(&name.as_str())
}

fn is_services_name(name: &str) -> bool {
    let of_a_domain =
        |name: &str| name.strip_prefix(API_SERVER).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    of_a_domain(name) || API_SERVERS.contains(&name)
}

/// Whether an audience is the API server's own: one of its Service's names, or of its issuers, which its audiences are
/// unless `--api-audiences` names others.
#[must_use]
pub fn is_api_servers_audience(audience: &str, issuers: &[String]) -> bool {
    is_services_name(&plain(audience)) || issuers.iter().any(|issuer| is_same_audience(issuer, audience))
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
