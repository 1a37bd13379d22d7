//! A configuration where nothing that it refers to is there: no secret, no key, no certificate, no kubeconfig.

use std::path::{Path, PathBuf};

use super::{
    resolve::{check_alone, resolve},
    settings::Settings,
};
use crate::config_file::{ConfigError, Material, Written, forms, read_text, written_alone};

/// The settings of a configuration whose files are elsewhere, for who judges its rules. All that is written is checked.
/// What refers to secrets, keys, certificates and kubeconfigs is then as if it was not written: there are no listeners and
/// no keys but the usual ones, sessions are in memory, and providers are called without a secret.
///
/// Files of rules are read, beside the configuration where they are there. `further_rules` come after them; where there
/// are any, they may ask Kubernetes.
///
/// # Errors
/// Where a file of rules or the configuration cannot be read, is no YAML, or says something that cannot be.
pub(crate) fn without_files(path: &Path, further_rules: &[PathBuf]) -> Result<Settings, ConfigError> {
    let Written { mut file, .. } = read_text(path).and_then(|text| written_alone(&text))?;
    if !further_rules.is_empty() {
        file.access_reviews.get_or_insert_default();
    }
    file.rules_from.extend(further_rules.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())));
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let written = Written { material: Material::of_rules(&file.rules_from, folder), file };
    check_alone(&written)?;
    resolve(&Written { file: without_references(written.file), material: written.material })
}

fn without_references(file: forms::File) -> forms::File {
    forms::File {
        listeners: forms::Listeners::default(),
        keys: forms::Keys {
            directory: Some(PathBuf::from("/nowhere")),
            root: None,
            assertion: None,
            publish_ahead: file.keys.publish_ahead,
        },
        sessions: forms::Sessions {
            store: forms::Store { kind: forms::StoreKind::Memory, path: None, redis: None },
            ..file.sessions
        },
        providers: file.providers.into_iter().map(without_secret).collect(),
        service_accounts: file.service_accounts.map(|accounts| forms::ServiceAccounts { kubeconfig: None, ..accounts }),
        access_reviews: file.access_reviews.map(|reviews| forms::AccessReviews { kubeconfig: None, ..reviews }),
        ..file
    }
}

fn without_secret(provider: forms::Provider) -> forms::Provider {
    forms::Provider {
        client_secret: None,
        client_authentication: None,
        client_key: None,
        client_assertion_file: None,
        ca_file: None,
        ..provider
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::KeySource;

    const WRITTEN: &str = r"
listeners:
  check:
    bind: '0.0.0.0:9001'
    tls:
      {certificate: /tls/tls.crt, key: /tls/tls.key, client_ca: /tls/ca.crt, allowed_sans: ['spiffe://a/ns/b/sa/c']}
keys: {root: [/keys/root], assertion: [/keys/assertion.pem]}
sessions: {store: {type: redis, redis: {urls: ['rediss://redis:6379'], ca_file: /redis/ca.pem}}}
providers:
  - name: dex
    issuer: https://dex.example.com
    client_id: portcullis
    client_secret: {env: NO_SUCH_VARIABLE}
    ca_file: /dex/ca.pem
origins: [{url: 'https://kf.example.com', provider: dex}]
service_accounts: {audiences: [p], issuers: ['https://kubernetes'], kubeconfig: /kubeconfig}
access_reviews: {kubeconfig: /kubeconfig}
rules_from: [/etc/portcullis/more-rules.yaml]
assertion: {issuer: 'https://portcullis.example.com', audience: kubeflow}
rules: [{name: admin, paths: [{prefix: /admin}], groups: [admins]}]
";

    fn read(text: &str, more: &str) -> Result<Settings, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("portcullis.yaml"), text).unwrap();
        fs::write(folder.path().join("more-rules.yaml"), more).unwrap();
        let further = folder.path().join("further.yaml");
        fs::write(&further, "rules: [{name: further, reviews: [{resource: pods}]}]").unwrap();
        without_files(&folder.path().join("portcullis.yaml"), &[further])
    }

    const MORE: &str = "rules: [{name: more, access: deny}]";

    #[test]
    fn a_configuration_is_read_where_none_of_its_files_is_but_those_of_rules() {
        let settings = read(WRITTEN, MORE).unwrap();
        assert!(matches!(settings.keys.source, KeySource::Directory(_)));
        let names: Vec<&str> = settings.rules.rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["admin", "more", "further"]);
        assert!(settings.service_accounts.is_some_and(|accounts| accounts.kubeconfig.is_none()));
    }

    #[test]
    fn what_is_wrong_is_told_all_the_same_and_nothing_else() {
        let wrong = WRITTEN
            .replace("0.0.0.0:9001", "everywhere")
            .replace("[/keys/root]", "[keys/root]")
            .replace("rediss:", "ftp:")
            .replace("NO_SUCH_VARIABLE", "no-such-variable")
            .replace("[admins]", "['']");
        let Err(ConfigError::Fields(errors)) = read(&wrong, "rules: [{name: more, colour: red}]") else {
            panic!("it is taken")
        };
        let paths: Vec<String> = errors.iter().map(|error| error.path().to_string()).collect();
        let expected = [
            "listeners.check.bind",
            "sessions.store.redis.urls[0]",
            "keys.root[0]",
            "providers[0].client_secret.env",
            "rules[0].groups[0]",
            "rules_from[0].rules[0].colour",
        ];
        for path in expected {
            assert!(paths.iter().any(|told| told == path), "{path} is not among {paths:?}");
        }
        assert!(!errors.iter().any(|error| error.to_string().contains("cannot be read")), "{errors:?}");
    }
}
