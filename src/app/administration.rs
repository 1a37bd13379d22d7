//! The listener for administrators: who calls is known for every connection.

use std::time::Duration;

use axum::{extract::Request, middleware::Next, response::Response};
use http::Extensions;
use rustix::process::geteuid;
use tokio_util::sync::CancellationToken;
use tonic::{Status, service::Routes};

use super::{
    accept::{Listener, Peer},
    limits::Limits,
    places::Metrics,
    serve::Server,
};
use crate::admin::{self, Administered, Caller};

/// How long a call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Serves administrators until `stop`, where there is a listener for them.
pub(super) async fn run(
    listener: Option<Listener>,
    administered: Administered,
    limits: Limits,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let Some(listener) = listener else { return };
    let routes = admin::routes(administered).into_axum_router().layer(axum::middleware::from_fn(in_time));
    Server::grpc(listener, Routes::from(routes), limits).admitting(admit).counted(&metrics).run(stop).await;
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = |_| Status::deadline_exceeded("the call took too long").into_http();
    tokio::time::timeout(CALL_DEADLINE, next.run(request)).await.unwrap_or_else(late)
}

/// Who calls. Over a unix socket only our own user and the superuser: the file's mode says so too, but its folder's
/// owner could have changed that.
fn admit(peer: Peer, superseded: Option<&CancellationToken>) -> Option<Extensions> {
    let caller = match (peer, superseded) {
        (Peer::LocalUser(uid), _) if uid == geteuid().as_raw() || uid == 0 => Caller::local_user(uid),
        (Peer::Certificate(san), Some(superseded)) => Caller::certificate(san, superseded.clone()),
        (peer, _) => {
            tracing::warn!(listener = "admin", ?peer, "a caller who is no administrator was turned away");
            return None;
        }
    };
    let mut extensions = Extensions::new();
    extensions.insert(caller);
    Some(extensions)
}
