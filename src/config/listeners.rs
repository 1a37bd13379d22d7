//! Listeners: who may call the check service is decided here.

use std::{collections::BTreeSet, path::Path};

use super::{
    listener::{Bind, Listener, Listeners, ServerTls},
    tls,
};
use crate::config_file::{FieldError, FieldPath, forms};
use crate::config_values::Context;

pub(super) fn resolve(context: &mut Context<'_>, at: &FieldPath, written: &forms::Listeners) -> Option<Listeners> {
    let check = check(context, &at.key("check"), &written.check);
    let http = http(context, &at.key("http"), &written.http);
    let operations = operations(context, &at.key("operations"), &written.operations);
    let admin = match &written.admin {
        Some(written) => admin(context, &at.key("admin"), written).map(Some),
        None => Some(None),
    };
    let (check, http, operations, admin) = (check?, http?, operations?, admin?);

    let mut taken = BTreeSet::new();
    let mut free = true;
    let addresses =
        [("check", Some(&check)), ("http", Some(&http)), ("operations", Some(&operations)), ("admin", admin.as_ref())];
    for (name, listener) in addresses {
        let Some(Listener { bind, .. }) = listener else { continue };
        let any_port = matches!(bind, Bind::Tcp(address) if address.port() == 0);
        if !any_port && !taken.insert(bind.to_string()) {
            free = false;
            context.report(
                FieldError::new(&at.key(name).key("bind"), "two listeners cannot share an address")
                    .found(&bind.to_string())
                    .write("write a port or a path of its own for each"),
            );
        }
    }
    free.then_some(Listeners { check, http, operations, admin })
}

fn check(context: &mut Context<'_>, at: &FieldPath, written: &forms::CheckListener) -> Option<Listener> {
    let bind = tcp_or_unix(context, &at.key("bind"), &written.bind);
    let tls = named_tls(context, &at.key("tls"), written.tls.as_ref());
    let bind = bind?;
    refuse_open_door(context, at, written, &bind)?;
    Some(Listener { bind, tls: tls? })
}

/// Whoever reaches this listener is an administrator: on an address, only by a certificate that is named.
fn admin(context: &mut Context<'_>, at: &FieldPath, written: &forms::AdminListener) -> Option<Listener> {
    let bind = tcp_or_unix(context, &at.key("bind"), &written.bind);
    let tls = named_tls(context, &at.key("tls"), written.tls.as_ref());
    let bind = bind?;
    match (&bind, &written.tls) {
        (Bind::Unix(_), Some(_)) => refuse_tls_on_unix(context, at),
        (Bind::Tcp(_), Some(tls)) if names_callers(tls) => Some(()),
        (Bind::Tcp(_), _) => context.refuse(
            FieldError::new(&at.key("bind"), "whoever reaches this port would be an administrator")
                .found(&written.bind)
                .write("write `unix:/run/portcullis/admin.sock`, or `tls` with `client_ca` and `allowed_sans`"),
        ),
        (Bind::Unix(_), None) => Some(()),
    }?;
    Some(Listener { bind, tls: tls? })
}

fn http(context: &mut Context<'_>, at: &FieldPath, written: &forms::HttpListener) -> Option<Listener> {
    let bind = tcp(context, &at.key("bind"), &written.bind);
    let tls = match &written.tls {
        Some(tls) => {
            tls::server(context, &at.key("tls"), &tls.certificate, &tls.key, tls.client_ca.as_deref()).map(Some)
        }
        None => Some(None),
    };
    Some(Listener { bind: bind?, tls: tls? })
}

fn operations(context: &mut Context<'_>, at: &FieldPath, written: &forms::OperationsListener) -> Option<Listener> {
    Some(Listener { bind: tcp(context, &at.key("bind"), &written.bind)?, tls: None })
}

/// Whether callers are to be named. Either of the two without the other is told where it is missing.
const fn names_callers(tls: &forms::CheckTls) -> bool {
    !tls.allowed_sans.is_empty() || tls.client_ca.is_some()
}

fn refuse_tls_on_unix(context: &mut Context<'_>, at: &FieldPath) -> Option<()> {
    context.refuse(
        FieldError::new(&at.key("tls"), "a unix socket has no TLS: the file system says who may connect")
            .write("remove `tls`, or bind to an address and port"),
    )
}

/// Whoever may call Check chooses host, path and source: the callers are named, or the word says that they are not.
fn refuse_open_door(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::CheckListener,
    bind: &Bind,
) -> Option<()> {
    let named_callers = written.tls.as_ref().is_some_and(names_callers);
    match bind {
        Bind::Unix(_) if written.tls.is_some() => refuse_tls_on_unix(context, at),
        Bind::Tcp(address) if !address.ip().is_loopback() && !named_callers && !written.allow_any_caller => context
            .refuse(
                FieldError::new(&at.key("bind"), "anybody who reaches this port could call the check service")
                    .found(&written.bind)
                    .write(
                        "write a loopback address or `unix:/path`, or `tls` with `client_ca` and `allowed_sans`, \
                     or `allow_any_caller: true` where something else guards the port",
                    ),
            ),
        _ if written.allow_any_caller && named_callers => context.refuse(
            FieldError::new(&at.key("allow_any_caller"), "it contradicts `tls.allowed_sans`")
                .write("remove one of the two"),
        ),
        _ => Some(()),
    }
}

/// TLS with named callers, where TLS is written.
#[expect(clippy::option_option, reason = "nothing can be told, or there is no TLS")]
fn named_tls(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: Option<&forms::CheckTls>,
) -> Option<Option<ServerTls>> {
    let Some(written) = written else { return Some(None) };
    let tls = tls::server(context, at, &written.certificate, &written.key, written.client_ca.as_deref());
    let before = context.errors();
    for (index, san) in written.allowed_sans.iter().enumerate().filter(|(_, san)| !is_uri(san)) {
        context.report(
            FieldError::new(&at.key("allowed_sans").index(index), "it is no URI")
                .found(san)
                .write("write a whole URI such as `spiffe://cluster.local/ns/istio-system/sa/gateway`, no wildcard"),
        );
    }
    if written.client_ca.is_some() && written.allowed_sans.is_empty() {
        context.report(
            FieldError::new(
                &at.key("allowed_sans"),
                "it is missing beside `client_ca`: a mesh's CA signs for everybody",
            )
            .write("list the URI SANs of the gateways"),
        );
    }
    if written.client_ca.is_none() && !written.allowed_sans.is_empty() {
        context.report(
            FieldError::new(&at.key("client_ca"), "it is missing beside `allowed_sans`")
                .write("name the PEM file of the CA that signs the gateways' certificates"),
        );
    }
    if context.errors() > before {
        return None;
    }
    let allowed_sans = written.allowed_sans.iter().cloned().collect();
    tls.map(|tls| Some(ServerTls { allowed_sans, ..tls }))
}

fn is_uri(text: &str) -> bool {
    let shaped = text.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !rest.is_empty()
    });
    shaped && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*')
}

/// An address and port, or a unix socket.
fn tcp_or_unix(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<Bind> {
    match text.strip_prefix("unix:") {
        Some(path) => unix_socket(context, at, path),
        None => tcp(context, at, text),
    }
}

fn tcp(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<Bind> {
    match text.parse() {
        Ok(address) => Some(Bind::Tcp(address)),
        Err(_) => context.refuse(
            FieldError::new(at, "it is no IP address with a port")
                .found(text)
                .write("write for example `127.0.0.1:9001`, `0.0.0.0:9001` or `[::]:9001`"),
        ),
    }
}

fn unix_socket(context: &mut Context<'_>, at: &FieldPath, path: &str) -> Option<Bind> {
    // The kernel's limit for a socket's path (sun_path, with its NUL).
    const MOST: usize = 107;
    if path.len() > MOST {
        return context.refuse(
            FieldError::new(at, "the socket's path is longer than 107 bytes").found(path).write("write a shorter one"),
        );
    }
    context.absolute(at, Path::new(path)).map(Bind::Unix)
}
