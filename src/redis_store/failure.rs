//! What the failures of Redis mean.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// What a failed call means. Whether it was carried out is unknown.
pub(super) fn call(error: &RedisError) -> StoreError {
    let text = error.to_string();
    match (error.kind(), error.code()) {
        (_, Some("OOM")) => StoreError::Full(text),
        (_, Some("MISCONF" | "NOREPLICAS"))
        | (ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::NoPerm), _) => StoreError::ReadOnly(text),
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => StoreError::Damaged(text),
        _ => StoreError::Unavailable(text),
    }
}

/// Whether the primary is to be looked for anew: the connection is gone, or leads to a server that has not our keys.
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    let server = |kind| {
        matches!(
            kind,
            ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
        )
    };
    match error.kind() {
        ErrorKind::Server(kind) => server(kind),
        _ => error.is_connection_dropped() || (error.is_io_error() && !error.is_timeout()),
    }
}

/// Whether waiting would mend nothing: a wrong password, a right that is missing, a server that is too old.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::RESP3NotSupported
            | ErrorKind::Server(ServerErrorKind::NoPerm)
    ) || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPROTO"))
}
