//! Gateways that ask in shadow: another gate decides there, and we tell what we would have decided.
//!
//! Only where the configuration lets them. They say so in the call's own metadata (`initial_metadata` of Envoy's
//! `grpc_service`), which no request can set: Envoy sends the request's headers within the message alone. A gateway that did
//! otherwise would not be let. The answer then is always "allowed", with nothing changed: also an Envoy that knows no
//! `shadow_mode` (before 1.38) changes nothing by it.

use std::future::Future;

use http::HeaderMap;

use crate::memory::Taken;

/// The name and the value of the metadata.
const MODE: (&str, &str) = ("x-portcullis-mode", "shadow");

/// Whether a call is made in shadow.
pub(super) fn asks(headers: &HeaderMap) -> bool {
    let (name, value) = MODE;
    headers.get(name).is_some_and(|mode| mode == value)
}

/// Runs once the answer is given, in the memory that the check has taken.
pub(super) fn after(taken: Taken, tell: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        tell.await;
        drop(taken);
    });
}
