//! What bounds our calls of others, once for the whole house: how many run, how often, and what becomes of the next one
//! while the other side does not answer.

mod breaker;
mod rate_limit;

pub(crate) use breaker::Breaker;
pub(crate) use rate_limit::RateLimit;
