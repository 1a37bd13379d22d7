//! How we say at a provider who we are.

use std::{path::Path, sync::Arc};

use super::written::visible;
use crate::{
    config_file::{FieldError, FieldPath, forms},
    config_values::{Context, weak_secrets},
    jose::ClientKey,
    providers::{ClientAuthentication, SecretMethod},
    secret::SecretString,
};

/// By the one thing that is written, which must fit `client_authentication` where that is written too.
pub(super) fn authentication(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::Provider,
) -> Option<ClientAuthentication> {
    use forms::ClientAuthentication::{ClientSecretBasic, ClientSecretPost, None as Public, PrivateKeyJwt};

    let wanted = written.client_authentication;
    match (&written.client_secret, &written.client_key, &written.client_assertion_file) {
        (Some(secret), None, None) if !matches!(wanted, Some(PrivateKeyJwt | Public)) => {
            let secret = client_secret(context, &at.key("client_secret"), secret, &written.client_id)?;
            let method = match wanted {
                Some(ClientSecretBasic) => Some(SecretMethod::Basic),
                Some(ClientSecretPost) => Some(SecretMethod::Post),
                _ => None,
            };
            Some(ClientAuthentication::Secret { secret, method })
        }
        (None, Some(path), None) if matches!(wanted, None | Some(PrivateKeyJwt)) => {
            client_key(context, at, path, written.client_key_id.as_deref())
        }
        (None, None, Some(path)) if matches!(wanted, None | Some(PrivateKeyJwt)) => {
            context.absolute(&at.key("client_assertion_file"), path).map(ClientAuthentication::AssertionFile)
        }
        (None, None, None) if matches!(wanted, None | Some(Public)) => Some(ClientAuthentication::None),
        _ => context.refuse(
            FieldError::new(&at.key("client_authentication"), "it does not fit what is written beside it").write(
                "write one of `client_secret` (`client_secret_basic`, `client_secret_post`), `client_key` or \
                 `client_assertion_file` (`private_key_jwt`), or none of them (`none`)",
            ),
        ),
    }
}

fn client_key(
    context: &mut Context<'_>,
    at: &FieldPath,
    path: &Path,
    key_id: Option<&str>,
) -> Option<ClientAuthentication> {
    let key_id = match key_id {
        Some(key_id) => Some(visible(context, &at.key("client_key_id"), key_id)?),
        None => None,
    };
    let at = at.key("client_key");
    let pem = context.file(&at, path)?;
    match ClientKey::from_pem(pem, key_id.as_deref()) {
        Ok(key) => Some(ClientAuthentication::PrivateKey(Arc::new(key))),
        Err(error) => context.refuse(
            FieldError::new(&at, format!("the file holds {error}"))
                .found(&path.to_string_lossy())
                .write("make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"),
        ),
    }
}

fn client_secret(
    context: &mut Context<'_>,
    at: &FieldPath,
    secret: &forms::Secret,
    client_id: &str,
) -> Option<SecretString> {
    let (at, contents) = match (&secret.file, &secret.env) {
        (Some(path), None) => {
            let at = at.key("file");
            let contents = context.file(&at, path)?;
            (at, contents)
        }
        (None, Some(name)) => {
            let at = at.key("env");
            let contents = context.env(&at, name)?;
            (at, contents)
        }
        _ => {
            return context.refuse(
                FieldError::new(at, "a secret is read from one place")
                    .write("write either `{file: /path}` or `{env: NAME}`"),
            );
        }
    };
    let Ok(text) = std::str::from_utf8(contents.expose()) else {
        return context.refuse(FieldError::new(&at, "the secret is no UTF-8 text").write("store the secret as text"));
    };
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    let weakness =
        if text == client_id { Some("the secret is the client_id") } else { weak_secrets::weakness(text.as_bytes()) };
    match weakness {
        None => Some(SecretString::new(text.to_owned())),
        Some(weakness) => context.refuse(FieldError::new(&at, weakness).write(format!(
            "have the provider make a random one of {} bytes or more (`openssl rand -base64 32`)",
            weak_secrets::MIN_BYTES
        ))),
    }
}
