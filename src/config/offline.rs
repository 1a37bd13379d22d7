//! A configuration where nothing that it refers to is there: no secret, no key, no certificate, no kubeconfig.

use std::path::PathBuf;

use super::{
    resolve::{check_alone, resolve},
    settings::Settings,
};
use crate::config_file::{ConfigError, Written, forms, written_alone};

/// The settings of a text whose files are elsewhere, for who judges its rules. All that is written is checked. What refers
/// to files is then as if it was not written: there are no listeners and no keys but the usual ones, sessions are in
/// memory, and providers are called without a secret.
///
/// # Errors
/// Where the text is no YAML, or says something that cannot be.
pub(crate) fn without_files(text: &str) -> Result<Settings, ConfigError> {
    let written = written_alone(text)?;
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
assertion: {issuer: 'https://portcullis.example.com', audience: kubeflow}
rules: [{name: admin, paths: [{prefix: /admin}], groups: [admins]}]
";

    #[test]
    fn a_configuration_is_read_where_none_of_its_files_is() {
        let settings = without_files(WRITTEN).unwrap();
        assert!(matches!(settings.keys.source, KeySource::Directory(_)));
        assert_eq!(settings.rules.rules[0].name, "admin");
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
        let Err(ConfigError::Fields(errors)) = without_files(&wrong) else { panic!("it is taken") };
        let paths: Vec<String> = errors.iter().map(|error| error.path().to_string()).collect();
        let expected = [
            "listeners.check.bind",
            "sessions.store.redis.urls[0]",
            "keys.root[0]",
            "providers[0].client_secret.env",
            "rules[0].groups[0]",
        ];
        for path in expected {
            assert!(paths.iter().any(|told| told == path), "{path} is not among {paths:?}");
        }
        assert!(!errors.iter().any(|error| error.to_string().contains("cannot be read")), "{errors:?}");
    }
}
