//! The public origins: where each is reached, which provider its people sign in at, and our own addresses on it.

mod login;
mod origins;
mod public;

pub use login::LoginOrigin;
pub use origins::Origins;
pub use public::{END_PARAMETER, Endpoint, FORMER_RETURN_PARAMETER, Origin, RETURN_PARAMETER, TOKEN_PARAMETER};
