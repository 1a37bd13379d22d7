//! What is wrong, where it is told, and in which words.

use super::{GOOD, errors, load, with};

/// Each: what is replaced, by what, and the field that is told. The words are in the snapshot.
const TABLE: &[(&str, &str, &str)] = &[
    // Shape.
    ("keys:\n", "colour: red\nkeys:\n", "colour"),
    ("    client_id: portcullis\n", "", "providers[0].client_id"),
    ("client_id: portcullis", "client_id: [a]", "providers[0].client_id"),
    ("provider: dex\n", "provider: dex\n    aliases: {logut: [/a]}\n", "origins[0].aliases.logut"),
    ("access: public", "access: everybody", "rules[0].access"),
    ("type: embedded", "type: valkey", "sessions.store.type"),
    ("client_id: portcullis", "client_id: a\n    client_id: b", "providers[0].client_id"),
    ("client_id: portcullis", "client_id: a\n    allow_http: 1", "providers[0].allow_http"),
    // Listeners.
    ("'127.0.0.1:9001'", "'0.0.0.0:9001'", "listeners.check.bind"),
    ("{bind: '127.0.0.1:9001'}", "{bind: '127.0.0.1:9001'}\n  admin: {bind: '127.0.0.1:9004'}", "listeners.admin.bind"),
    (
        "{bind: '127.0.0.1:9001'}",
        "{bind: 'unix:/run/c.sock'}\n  admin: {bind: 'unix:/run/c.sock'}",
        "listeners.admin.bind",
    ),
    (
        "{bind: '127.0.0.1:9001'}",
        "{bind: '127.0.0.1:9001'}\n  admin: {bind: 'unix:/run/a.sock', tls: {certificate: /tls.crt, key: /tls.key}}",
        "listeners.admin.tls",
    ),
    ("'127.0.0.1:9001'", "'localhost:9001'", "listeners.check.bind"),
    ("'127.0.0.1:9001'", "'127.0.0.1:9002'", "listeners.http.bind"),
    ("'127.0.0.1:9001'", "'unix:check.sock'", "listeners.check.bind"),
    (
        "{bind: '127.0.0.1:9001'}",
        "{bind: 'unix:/run/c.sock', tls: {certificate: /tls.crt, key: /tls.key}}",
        "listeners.check.tls",
    ),
    (
        "{bind: '127.0.0.1:9001'}",
        "{bind: '0.0.0.0:1', tls: {certificate: /tls.crt, key: /tls.key, client_ca: /ca.pem}}",
        "listeners.check.tls.allowed_sans",
    ),
    (
        "{bind: '127.0.0.1:9001'}",
        "{bind: '0.0.0.0:1', tls: {certificate: /tls.crt, key: /tls.key, allowed_sans: ['spiffe://a/b']}}",
        "listeners.check.tls.client_ca",
    ),
    (
        "{bind: '127.0.0.1:9001'}",
        "{tls: {certificate: /tls.crt, key: /tls.key, client_ca: /ca.pem, allowed_sans: ['spiffe://a/*']}}",
        "listeners.check.tls.allowed_sans[0]",
    ),
    ("{bind: '127.0.0.1:9001'}", "{tls: {certificate: /tls.crt, key: /other.key}}", "listeners.check.tls.key"),
    (
        "{bind: '127.0.0.1:9001'}",
        "{tls: {certificate: /garbage, key: /missing.key}}",
        "listeners.check.tls.certificate",
    ),
    // Keys and sessions.
    ("/var/lib/portcullis/keys", "keys", "keys.directory"),
    ("/var/lib/portcullis/keys", "/var/lib/portcullis/sessions/keys", "keys.directory"),
    ("/var/lib/portcullis/keys", "/var/lib/portcullis", "keys.directory"),
    ("directory: /var/lib/portcullis/keys", "publish_ahead: 1h", "keys"),
    ("directory: /var/lib/portcullis/keys", "root: [/root-1]", "keys.assertion"),
    ("/var/lib/portcullis/keys", "/k\n  root: [/root-1]", "keys.directory"),
    ("directory: /var/lib/portcullis/keys", "{root: [/root-1, /short], assertion: [/assertion]}", "keys.root[1]"),
    ("directory: /var/lib/portcullis/keys", "{root: [/root-1], assertion: [/garbage]}", "keys.assertion[0]"),
    ("directory: /var/lib/portcullis/keys", "{root: [/root-1], assertion: []}", "keys.assertion"),
    (
        "directory: /var/lib/portcullis/keys",
        "{root: [/var/lib/portcullis/sessions/root-1], assertion: [/assertion]}",
        "keys.root[0]",
    ),
    ("{type: embedded, path: /var/lib/portcullis/sessions/sessions.redb}", "{type: embedded}", "sessions.store.path"),
    ("type: embedded", "type: memory", "sessions.store.path"),
    ("sessions:\n", "sessions:\n  idle_lifetime: 25h\n", "sessions.idle_lifetime"),
    ("sessions:\n", "sessions:\n  idle_lifetime: 8\n", "sessions.idle_lifetime"),
    ("keys:\n", "drain: {delay: 1day}\nkeys:\n", "drain.delay"),
    // Providers.
    ("name: dex", "name: Dex!", "providers[0].name"),
    ("https://dex.example.com/dex", "http://dex.example.com/dex", "providers[0].issuer"),
    ("https://dex.example.com/dex", "https://a:hunter2@dex/", "providers[0].issuer"),
    ("https://dex.example.com/dex", "'https://{tenant}.example.com'", "providers[0].issuer"),
    ("https://kubeflow.example.com", "'https://a;b,c.example.com'", "origins[0].url"),
    ("https://dex.example.com/dex", "https://dex/?a=b", "providers[0].issuer"),
    ("{file: /secrets/client-secret}", "{file: /missing}", "providers[0].client_secret.file"),
    ("{file: /secrets/client-secret}", "{file: /short}", "providers[0].client_secret.file"),
    ("{file: /secrets/client-secret}", "{file: /well-known}", "providers[0].client_secret.file"),
    ("{file: /secrets/client-secret}", "{file: /binary}", "providers[0].client_secret.file"),
    ("{file: /secrets/client-secret}", "{env: missing_variable}", "providers[0].client_secret.env"),
    ("{file: /secrets/client-secret}", "{file: /a, env: B}", "providers[0].client_secret"),
    ("{file: /secrets/client-secret}", "{}", "providers[0].client_secret"),
    ("client_id: portcullis", "client_id: portcullis\n    trust_unverified_email: true", "providers[0].email_domains"),
    ("client_id: portcullis", "client_id: p\n    userid_prefix: 'System:'", "providers[0].userid_prefix"),
    ("client_id: portcullis", "client_id: p\n    email_domains: [A.example]", "providers[0].email_domains[0]"),
    ("client_id: portcullis", "client_id: p\n    ca_file: /garbage", "providers[0].ca_file"),
    ("client_id: portcullis", "client_id: p\n    timeout: 2m", "providers[0].timeout"),
    ("client_id: portcullis", "client_id: p\n    refresh: {ahead: 2h}", "providers[0].refresh.ahead"),
    ("client_id: portcullis", "client_id: p\n    strict: {every: 0s}", "providers[0].strict.every"),
    ("client_id: portcullis", "client_id: p\n    strict: {}", "providers[0].strict.every"),
    ("client_id: portcullis", "client_id: p\n    strict: {every: 5s, ask: nobody}", "providers[0].strict.ask"),
    ("client_id: portcullis", "client_id: p\n    logout: {at: 1}", "providers[0].logout.at"),
    (
        "client_id: portcullis",
        "client_id: p\n    logout: {redirect_parameter: ''}",
        "providers[0].logout.redirect_parameter",
    ),
    ("client_id: portcullis", "client_id: p\n    discovery_url: 'http://dex/'", "providers[0].discovery_url"),
    ("client_id: portcullis", "client_id: p\n    endpoints: {token: 'ftp://dex/'}", "providers[0].endpoints.token"),
    (
        "client_id: portcullis",
        "client_id: p\n    client_authentication: private_key_jwt",
        "providers[0].client_authentication",
    ),
    ("client_secret: {file: /secrets/client-secret}", "client_key: /garbage", "providers[0].client_key"),
    (
        "client_secret: {file: /secrets/client-secret}",
        "client_assertion_file: token",
        "providers[0].client_assertion_file",
    ),
    (
        "client_id: portcullis",
        "client_id: p\n    authorization_parameters: {state: a}",
        "providers[0].authorization_parameters.state",
    ),
    (
        "client_id: portcullis",
        "client_id: p\n    id_token_signing_algorithms: [RS256, HS256]",
        "providers[0].id_token_signing_algorithms[1]",
    ),
    (
        "client_id: portcullis",
        "client_id: p\n    id_token_signing_algorithms: []",
        "providers[0].id_token_signing_algorithms",
    ),
    ("client_id: portcullis", "client_id: p\n    proxy: proxy.example.com", "providers[0].proxy"),
    ("client_id: portcullis", "client_id: p\n    email_claim: upn", "providers[0].email_claim"),
    (
        "issuer: https://dex.example.com/dex",
        "issuer: https://login.microsoftonline.com/organizations/v2.0\n    email_claim: upn\n    \
         trust_unverified_email: true\n    email_domains: [a.example]",
        "providers[0].email_claim",
    ),
    ("client_id: portcullis", "client_id: p\n    required_claims: {hd: []}", "providers[0].required_claims.hd"),
    ("client_id: portcullis", "client_id: p\n    userinfo: sometimes", "providers[0].userinfo"),
    // Origins and hosts.
    ("https://kubeflow.example.com", "http://kubeflow.example.com", "origins[0].url"),
    ("https://kubeflow.example.com", "https://Kubeflow.example.com/", "origins[0].url"),
    ("https://kubeflow.example.com", "https://kubeflow.example.com:443", "origins[0].url"),
    ("https://kubeflow.example.com", "https://kube!flow.example.com", "origins[0].url"),
    ("provider: dex", "provider: okta", "origins[0].provider"),
    ("provider: dex", "provider: dex\n    cookie: __Host-a", "origins[0].cookie"),
    ("provider: dex", "provider: dex\n    path_prefix: /", "origins[0].path_prefix"),
    ("provider: dex", "provider: dex\n    path_prefix: /auth!", "origins[0].path_prefix"),
    ("provider: dex", "provider: dex\n    path_prefix: '/a{b}'", "origins[0].path_prefix"),
    ("provider: dex", "provider: dex\n    path_prefix: //a", "origins[0].path_prefix"),
    ("provider: dex", "provider: dex\n    aliases: {logout: ['/out!']}", "origins[0].aliases.logout[0]"),
    ("provider: dex", "provider: dex\n    aliases: {callback: ['/back|\"']}", "origins[0].aliases.callback[0]"),
    ("provider: dex", "provider: dex\n    aliases: {login: [/in//to]}", "origins[0].aliases.login[0]"),
    ("provider: dex", "provider: dex\n    after_logout_url: /bye!", "origins[0].after_logout_url"),
    ("provider: dex", "provider: dex\n    path_prefix: /a/../b", "origins[0].path_prefix"),
    ("provider: dex", "provider: dex\n    after_logout_url: //evil", "origins[0].after_logout_url"),
    ("provider: dex", "provider: dex\n    aliases: {login: [/portcullis/x]}", "origins[0].aliases.login[0]"),
    (
        "provider: dex\n",
        "provider: dex\n  - {url: 'https://kubeflow.example.com:8443', provider: dex, cookie: b}\n",
        "origins[1].url",
    ),
    ("service_accounts:\n", "hosts: [kubeflow.example.com]\nservice_accounts:\n", "hosts[0]"),
    ("service_accounts:\n", "hosts: ['**.uk']\nservice_accounts:\n", "hosts[0]"),
    ("service_accounts:\n", "hosts: ['a.*.models.example.com']\nservice_accounts:\n", "hosts[0]"),
    ("service_accounts:\n", "hosts: ['*.A.models.example.com']\nservice_accounts:\n", "hosts[0]"),
    ("https://kubeflow.example.com", "https://*.kubeflow.example.com", "origins[0].url"),
    ("service_accounts:\n", "hosts: ['a.example:80']\nservice_accounts:\n", "hosts[0]"),
    // ServiceAccount tokens.
    ("[portcullis.example.com]", "[]", "service_accounts.audiences"),
    ("[portcullis.example.com]", "[a, 'https://kubernetes.default.svc']", "service_accounts.audiences[1]"),
    ("[portcullis.example.com]", "['https://kubernetes.default.svc.cluster.local/']", "service_accounts.audiences[0]"),
    ("[portcullis.example.com]", "['https://dex.example.com/dex']", "service_accounts.audiences[0]"),
    ("[portcullis.example.com]", "[istio-ca]", "service_accounts.audiences[0]"),
    ("[portcullis.example.com]", "['https://dex.example.com/dex/']", "service_accounts.audiences[0]"),
    ("issuers: [https://kubernetes", "issuers: [https://dex.example.com/dex, https://k", "service_accounts.issuers[0]"),
    ("assertion:\n", "  negative_cache_ttl: 11s\nassertion:\n", "service_accounts.negative_cache_ttl"),
    ("assertion:\n", "  max_concurrent_reviews: 0\nassertion:\n", "service_accounts.max_concurrent_reviews"),
    ("assertion:\n", "  kubeconfig: /missing\nassertion:\n", "service_accounts.kubeconfig"),
    // Identity and the assertion.
    ("rules:\n", "identity: {headers: {user: ':path'}}\nrules:\n", "identity.headers.user"),
    ("rules:\n", "identity: {headers: {user: Host}}\nrules:\n", "identity.headers.user"),
    ("rules:\n", "identity: {headers: {user: content_length}}\nrules:\n", "identity.headers.user"),
    ("rules:\n", "identity: {strip: [transfer-encoding]}\nrules:\n", "identity.strip[0]"),
    ("rules:\n", "identity: {strip: [authorization]}\nrules:\n", "identity.strip[0]"),
    ("rules:\n", "identity: {strip: [x-a, Kubeflow_UserID]}\nrules:\n", "identity.strip[1]"),
    ("https://portcullis.example.com", "http://portcullis.example.com", "assertion.issuer"),
    ("https://portcullis.example.com", "https://portcullis.example.com/", "assertion.issuer"),
    ("https://portcullis.example.com", "https://dex.example.com/dex", "assertion.issuer"),
    ("audience: kubeflow", "audience: a b", "assertion.audience"),
    ("audience: kubeflow", "audience: a\n  lifetime: 11m", "assertion.lifetime"),
    // Rules.
    ("access: public", "access: public\n  - {name: assets, access: deny}", "rules[1].name"),
    ("access: public", "access: public\n    hosts: [other.example.com]", "rules[0].hosts[0]"),
    ("access: public", "access: public\n    hosts: [Kubeflow.example.com.]", "rules[0].hosts[0]"),
    ("access: public", "access: public\n    methods: [get]", "rules[0].methods[0]"),
    ("access: public", "access: public\n    groups: [a]", "rules[0].groups"),
    ("access: public", "access: authenticated\n    groups: ['a ']", "rules[0].groups[0]"),
    ("access: public", "access: authenticated\n    emails: [a]", "rules[0].emails[0]"),
    ("access: public", "access: authenticated\n    service_accounts: ['*/a']", "rules[0].service_accounts[0]"),
    ("access: public", "access: deny\n    keep_bearer: true", "rules[0].keep_bearer"),
    ("access: public", "access: deny\n    bearer: application", "rules[0].bearer"),
    ("access: public", "access: optional\n    bearer: mine", "rules[0].bearer"),
    ("access: public", "access: optional\n    keep_bearer: true\n    bearer: application", "rules[0].keep_bearer"),
    (
        "access: public",
        "access: authenticated\n    service_accounts: [ci/a]\n    bearer: application",
        "rules[0].service_accounts",
    ),
    ("access: public", "access: public\n    headers: {user: x-user}", "rules[0].headers"),
    ("access: public", "access: optional\n    headers: {user: Kubeflow_UserID}", "rules[0].headers.user"),
    ("access: public", "access: optional\n    headers: {user: x-user, email: X_User}", "rules[0].headers.email"),
    ("access: public", "access: optional\n    headers: {groups: authorization}", "rules[0].headers.groups"),
    ("access: public", "access: optional\n    headers: {name: x-name}", "rules[0].headers.name"),
    ("access: public", "access: public\n    allowed_origins: ['https://a/']", "rules[0].allowed_origins[0]"),
    ("{prefix: /assets/}", "{prefix: '/assets!'}", "rules[0].paths[0].prefix"),
    ("{prefix: /assets/}", "{exact: '/as sets'}", "rules[0].paths[0].exact"),
    ("access: public", "access: authenticated\n    groups: [\"adm\\u200bins\"]", "rules[0].groups[0]"),
    ("{prefix: /assets/}", "{prefix: '/a%20b'}", "rules[0].paths[0].prefix"),
    ("{prefix: /assets/}", "{prefix: /a, exact: /a}", "rules[0].paths[0]"),
    ("{prefix: /assets/}", "{glob: '/*'}", "rules[0].paths[0].glob"),
    (
        "access: public",
        "access: authenticated\n    further_audience: {audience: theirs, until: soon}",
        "rules[0].further_audience.until",
    ),
    (
        "access: public",
        "access: authenticated\n    further_audience: {audience: theirs, until: '2027-02-30'}",
        "rules[0].further_audience.until",
    ),
    (
        "access: public",
        "access: authenticated\n    further_audience: {audience: 'https://kubernetes.default.svc', until: 2027-01-31}",
        "rules[0].further_audience.audience",
    ),
    (
        "access: public",
        "access: authenticated\n    further_audience: {audience: portcullis.example.com, until: 2027-01-31}",
        "rules[0].further_audience.audience",
    ),
    (
        "access: public",
        "access: public\n    further_audience: {audience: theirs, until: 2027-01-31}",
        "rules[0].further_audience",
    ),
    (
        "rules:\n",
        "rules:\n  - {name: all, further_audience: {audience: theirs, until: 2027-01-31}}\n",
        "rules[0].further_audience",
    ),
    ("access: public", "access: public\n    mode: shadows", "rules[0].mode"),
    // What rules ask Kubernetes.
    ("rules:\n", "rules_from: [/missing-rules.yaml]\nrules:\n", "rules_from[0]"),
    ("rules:\n", "rules_from: [/garbage-rules.yaml]\nrules:\n", "rules_from[0]"),
    ("rules:\n", "rules_from: [/wrong-rules.yaml]\nrules:\n", "rules_from[0].rules[0].path"),
    ("rules:\n", "access_reviews: {cache_ttl: 6m}\nrules:\n", "access_reviews.cache_ttl"),
    ("rules:\n", "access_reviews: {denied_cache_ttl: 11s}\nrules:\n", "access_reviews.denied_cache_ttl"),
    ("rules:\n", "access_reviews: {max_concurrent_reviews: 0}\nrules:\n", "access_reviews.max_concurrent_reviews"),
    ("rules:\n", "access_reviews: {kubeconfig: /missing}\nrules:\n", "access_reviews.kubeconfig"),
    ("rules:\n", "rules:\n  - {name: all, reviews: [{resource: pods}]}\n", "rules[0].reviews"),
    ("access: public", "access: public\n    reviews: [{resource: pods}]", "rules[0].reviews"),
    ("access: public", "access: authenticated\n    captures: [{query: namespace}]", "rules[0].captures"),
    ("access: public", "access: public\n    only_where: [{query: a}]", "rules[0].only_where"),
    ("access: public", "access: deny\n    only_where: [{header: referer}]", "rules[0].only_where[0]"),
    ("access: public", "access: deny\n    only_where: [{query: 'a b'}]", "rules[0].only_where[0].query"),
    ("{prefix: /assets/}", "{template: '/a/**/b'}", "rules[0].paths[0].template"),
    ("{prefix: /assets/}", "{template: '/a%20b/*'}", "rules[0].paths[0].template"),
    ("rules:\n", "default: {access: public}\nrules:\n", "default.access"),
    ("rules:\n", "default: {access: optional}\nrules:\n", "default.access"),
];

/// The same of one rule that asks Kubernetes: what is replaced of it.
const REVIEWS: &[(&str, &str, &str)] = &[
    ("/n/{ns}/**", "n/{ns}/**", "rules[0].captures[0].path[0]"),
    ("/n/{ns}/**", "/n/{ns}-x/**", "rules[0].captures[0].path[0]"),
    ("{path: ['/n/{ns}/**']}", "{path: ['/n/{ns}/**'], query: ns}", "rules[0].captures[0]"),
    ("{path: ['/n/{ns}/**']}", "{path: ['/n/{ns}/**'], as: ns}", "rules[0].captures[0]"),
    ("{path: ['/n/{ns}/**']}", "{query: ns, as: ns, key: ['a/{ns}']}", "rules[0].captures[0].as"),
    ("{path: ['/n/{ns}/**']}", "{query: 'n s'}", "rules[0].captures[0].query"),
    ("{path: ['/n/{ns}/**']}", "{header: X-NS}", "rules[0].captures[0]"),
    ("{path: ['/n/{ns}/**']}", "{header: 'x ns', as: ns}", "rules[0].captures[0].header"),
    ("{path: ['/n/{ns}/**']}", "{path: ['/n/{ns}/**']}, {query: name}", "rules[0].captures[1]"),
    ("namespace: '{ns}'", "namespace: '{namespace}'", "rules[0].reviews[0].namespace"),
    ("namespace: '{ns}'", "namespace: '{ns'", "rules[0].reviews[0].namespace"),
    ("resource: pods", "resource: Pods", "rules[0].reviews[0].resource"),
    ("resource: pods", "resource: pods.v1", "rules[0].reviews[0].resource"),
    ("resource: pods", "resource: pods, verb: GET", "rules[0].reviews[0].verb"),
    ("resource: pods", "resource: pods, only_where: [{contains: a}]", "rules[0].reviews[0].only_where[0]"),
];

#[test]
fn what_a_rule_asks_kubernetes_is_read_strictly() {
    const RULE: &str = "access_reviews: {}\nrules:\n  - {name: n, captures: [{path: ['/n/{ns}/**']}], reviews: [{resource: pods, namespace: '{ns}'}]}\n";
    assert_eq!(errors(&with("rules:\n", RULE)), Vec::<String>::new());
    for (old, new, path) in REVIEWS {
        assert!(RULE.contains(old), "{old}");
        let errors = errors(&with("rules:\n", &RULE.replace(old, new)));
        assert!(
            errors.iter().any(|error| error.starts_with(&format!("{path}: ")) && error.contains("; write")),
            "{new}: {errors:?}"
        );
    }
}

#[test]
fn rules_of_another_file_come_after_these() {
    let settings = load(&with("rules:\n", "rules_from: [/more-rules.yaml]\nrules:\n")).unwrap();
    assert_eq!(settings.rules.rules.last().unwrap().name, "more");
    let twice = "rules_from: [/more-rules.yaml, /more-rules.yaml]\nrules:\n";
    assert!(errors(&with("rules:\n", twice))[0].starts_with("rules_from[1].rules[0].name: "));
    let kubeflow = "access_reviews: {}\nrules_from: [/etc/portcullis/kubeflow-rules.yaml]\nrules:\n";
    assert!(load(&with("rules:\n", kubeflow)).unwrap().rules.rules.len() > 30);
}

#[test]
fn every_error_tells_its_field_and_what_to_write() {
    for (old, new, path) in TABLE {
        let errors = errors(&with(old, new));
        // A problem, and what to write instead.
        let told = errors.iter().any(|error| error.starts_with(&format!("{path}: ")) && error.contains("; "));
        assert!(told, "{new:?} should tell {path}, and what to write, but told {errors:#?}");
    }
}

#[test]
fn every_error_is_as_its_snapshot_says() {
    let each = |(old, new, _): &(&str, &str, &str)| {
        let told = errors(&with(old, new)).join("\n  ");
        format!("{}\n  {told}\n", new.trim().escape_debug())
    };
    insta::assert_snapshot!("errors", TABLE.iter().map(each).collect::<String>());
}

#[test]
fn a_table_s_error_is_the_only_one() {
    // But for the two that are wrong twice.
    let several = ["{certificate: /garbage, key: /missing.key}", "name: Dex!"];
    for (old, new, path) in TABLE {
        let errors = errors(&with(old, new));
        let expected = if several.iter().any(|text| new.contains(text)) { 1..=2 } else { 1..=1 };
        assert!(expected.contains(&errors.len()), "{path}: {errors:#?}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = with("provider: dex", "provider: okta").replace("audience: kubeflow", "audience: ''");
    let told = errors(&text.replace("name: assets", "name: Assets"));
    assert_eq!(told.len(), 3, "{told:#?}");
}

#[test]
fn fields_that_do_not_exist_are_told_at_once() {
    let text =
        with("provider: dex", "provider: dex\n    colour: red").replace("  audience: kubeflow", "  shape: round");
    let told = errors(&text);
    let paths: Vec<_> = told.iter().filter_map(|error| error.split(": ").next()).collect();
    assert_eq!(paths, ["origins[0].colour", "assertion.shape", "assertion.audience"], "{told:#?}");
}

#[test]
fn what_is_no_yaml_tells_the_line() {
    let told = errors("keys:\n  directory: [\n");
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("the configuration is no YAML: ") && told[0].contains("line "), "{told:?}");
    assert!(load("").is_err() && load("[]").is_err() && load("a: *b").is_err());
}

#[test]
fn a_configuration_without_hosts_serves_nothing() {
    let text = with("origins:\n  - url: https://kubeflow.example.com\n    provider: dex\n", "");
    assert!(errors(&text)[0].starts_with("origins: no host is served"));
}

#[test]
fn two_providers_must_not_share_user_ids() {
    let second = |first: &str, fields: &str| {
        let text = with("client_id: portcullis\n", &format!("client_id: portcullis\n{first}"));
        text.replace(
            "origins:\n",
            &format!("  - {{name: b, issuer: 'https://b.example', client_id: b{fields}}}\norigins:\n"),
        )
    };
    let refused = |text: String| errors(&text).iter().any(|error| error.starts_with("providers[1].userid_prefix: "));
    assert!(refused(second("", "")));
    assert!(refused(second("", ", userid_prefix: 'b:'")), "without a prefix, the first could tell `b:somebody`");
    assert!(refused(second("    userid_prefix: 'b'\n", ", userid_prefix: 'b:'")));
    assert!(refused(second("    email_domains: [a.example]\n", ", email_domains: [a.example]")));
    assert!(refused(second("    email_domains: [a.example]\n", ", email_domains: [b.example], userid_claim: sub")));
    assert!(load(&second("    userid_prefix: 'a:'\n", ", userid_prefix: 'b:'")).is_ok());
    assert!(load(&second("    email_domains: [a.example]\n", ", email_domains: [b.example]")).is_ok());
    let same_authority = second("", "").replace("https://b.example", "https://dex.example.com/dex");
    assert!(load(&same_authority).is_ok());
}

#[test]
fn plain_http_is_for_this_machine_alone() {
    for issuer in ["http://127.0.0.1:9002", "http://[::1]:9002", "http://localhost:9002"] {
        assert!(load(&with("https://portcullis.example.com", issuer)).is_ok(), "{issuer}");
    }
    for issuer in ["http://127.0.0.1.example.com", "http://10.0.0.1:9002", "http://localhost.example.com"] {
        assert!(load(&with("https://portcullis.example.com", issuer)).is_err(), "{issuer}");
    }
}

#[test]
fn whoever_may_call_the_check_service_is_named() {
    let accepted = [
        "{bind: 'unix:/run/portcullis/check.sock'}",
        "{bind: '[::1]:9001'}",
        "{bind: '0.0.0.0:9001', allow_any_caller: true}",
        "{bind: '0.0.0.0:9001', tls: {certificate: /tls.crt, key: /tls.key}, allow_any_caller: true}",
        "{bind: '0.0.0.0:9001', tls: {certificate: /tls.crt, key: /tls.key, client_ca: /ca.pem, \
          allowed_sans: ['spiffe://cluster.local/ns/istio-system/sa/gateway']}}",
    ];
    for check in accepted {
        assert_eq!(errors(&with("{bind: '127.0.0.1:9001'}", check)), Vec::<String>::new(), "{check}");
    }
    let plain_tls = "{bind: '0.0.0.0:9001', tls: {certificate: /tls.crt, key: /tls.key}}";
    assert!(load(&with("{bind: '127.0.0.1:9001'}", plain_tls)).is_err());
    let contradiction = accepted[4].replace("0.0.0.0:9001',", "0.0.0.0:9001', allow_any_caller: true,");
    assert!(
        errors(&with("{bind: '127.0.0.1:9001'}", &contradiction))[0].starts_with("listeners.check.allow_any_caller")
    );
}

#[test]
fn root_keys_are_raw_or_base64() {
    use base64::Engine as _;
    let raw = crate::secret::sha256(b"raw");
    let text = base64::engine::general_purpose::STANDARD.encode(raw);
    let settings = |contents: Vec<u8>| {
        let text = with("directory: /var/lib/portcullis/keys", "{root: [/root-1], assertion: [/assertion]}");
        super::load_with(&text, |reference| match reference {
            super::Reference::File(path) if path.ends_with("root-1") => Ok(contents.clone()),
            other => super::invent(other),
        })
    };
    let id = |contents: Vec<u8>| match settings(contents).unwrap().keys.source {
        crate::config::KeySource::Files { root, .. } => root.sealing_key(),
        crate::config::KeySource::Directory(_) => unreachable!("the configuration names files"),
    };
    assert_eq!(id(raw.to_vec()), id(format!("{text}\n").into_bytes()));
    assert_eq!(id(raw.to_vec()), id(text.trim_end_matches('=').as_bytes().to_vec()));
    assert!(settings(b"c2hvcnQgYnV0IGxvbmcgaW4gYmFzZTY0\n".to_vec()).is_err(), "24 bytes in 32 characters");
    assert!(load(GOOD).is_ok());
}
