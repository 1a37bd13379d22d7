//! Status codes: HTTP's and gRPC's for each kind of answer.

use tonic::Code;

use crate::reason::Disposition;

/// The HTTP status (RFC 9110 section 15; 421 is section 15.5.20, 429 RFC 6585 section 4).
pub(super) const fn http(disposition: Disposition) -> u16 {
    match disposition {
        Disposition::Ok => 200,
        Disposition::Created => 201,
        Disposition::Found => 302,
        Disposition::SeeOther => 303,
        Disposition::BadRequest => 400,
        Disposition::Unauthorized | Disposition::InvalidToken | Disposition::InsufficientAuthentication => 401,
        Disposition::Forbidden => 403,
        Disposition::NotFound => 404,
        Disposition::MethodNotAllowed => 405,
        Disposition::Misdirected => 421,
        Disposition::TooManyRequests => 429,
        Disposition::Internal => 500,
        Disposition::Unavailable => 503,
    }
}

/// The gRPC status for a gRPC caller. Never OK: we answered instead of the service.
pub(super) const fn grpc(disposition: Disposition) -> Code {
    match disposition {
        Disposition::BadRequest => Code::InvalidArgument,
        Disposition::Found
        | Disposition::Unauthorized
        | Disposition::InvalidToken
        | Disposition::InsufficientAuthentication => Code::Unauthenticated,
        Disposition::NotFound => Code::NotFound,
        Disposition::MethodNotAllowed => Code::Unimplemented,
        Disposition::TooManyRequests => Code::ResourceExhausted,
        Disposition::Internal => Code::Internal,
        Disposition::Unavailable => Code::Unavailable,
        Disposition::Ok
        | Disposition::Created
        | Disposition::SeeOther
        | Disposition::Forbidden
        | Disposition::Misdirected => Code::PermissionDenied,
    }
}

/// The title of an HTTP status.
pub(super) const fn title(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Ok => "OK",
        Disposition::Created => "Created",
        Disposition::Found => "Found",
        Disposition::SeeOther => "See Other",
        Disposition::BadRequest => "Bad Request",
        Disposition::Unauthorized | Disposition::InvalidToken | Disposition::InsufficientAuthentication => {
            "Unauthorized"
        }
        Disposition::Forbidden => "Forbidden",
        Disposition::NotFound => "Not Found",
        Disposition::MethodNotAllowed => "Method Not Allowed",
        Disposition::Misdirected => "Misdirected Request",
        Disposition::TooManyRequests => "Too Many Requests",
        Disposition::Internal => "Internal Server Error",
        Disposition::Unavailable => "Service Unavailable",
    }
}
