//! What bounds our calls of others, once for the whole house: how many run and for whom places are kept (`Places`), how
//! often strangers can cause one (`RateLimit`), who shares one (`SharedCalls`), and what becomes of the next one
//! while the other side does not answer (`Breaker`, `Pauses`, `Patience`, `Failing`). A `Lane` is the way of one
//! kind of call to one party.

mod breaker;
mod failing;
mod lane;
mod pauses;
mod places;
mod rate_limit;
mod shared_calls;

pub(crate) use breaker::Breaker;
pub(crate) use failing::Failing;
pub(crate) use lane::{CallFailure, Closed, Lane};
pub(crate) use pauses::{Patience, Pauses};
pub(crate) use places::{Place, Places, Wanted};
pub(crate) use rate_limit::RateLimit;
pub(crate) use shared_calls::{Call, Memory, Part, SharedCalls};
