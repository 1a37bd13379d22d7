//! Our own endpoints, answered from the check itself, so that the gateway needs no route for them.
//!
//! They live below a prefix on each origin (`/portcullis/` unless configured), by exact path and method; anything else
//! below the prefix is our 404.

mod answer;
mod callback;
mod common;
mod front_channel;
mod login;
mod logout;
mod own_sessions;
mod service_worker;
mod whoami;

pub use answer::Addressed;
pub use common::Endpoints;

#[cfg(test)]
mod tests;
