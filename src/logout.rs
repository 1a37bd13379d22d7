//! Sessions end here and at their provider: on the browser's way there and back ([`RpInitiatedLogout`]), by the revocation
//! of tokens ([`TokenRevocation`]), and because the provider says so ([`BackChannel`], [`FrontChannel`]).

mod back_channel;
mod front_channel;
mod logout_token;
mod metrics;
mod record;
mod rp_initiated_logout;
mod token_revocation;

pub use back_channel::{BackChannel, BackChannelLogout, SharedBackChannel};
pub use front_channel::{FrontChannel, FrontChannelError};
pub use logout_token::BackChannelError;
pub(crate) use logout_token::MAX_NAME_BYTES;
pub(crate) use metrics::Metrics;
pub use rp_initiated_logout::RpInitiatedLogout;
pub(crate) use rp_initiated_logout::{MAX_HINT_BYTES, logout_request};
pub use token_revocation::TokenRevocation;
