//! The whole product, built of a configuration: by the process that serves, and by the tests that play what is outside.
//!
//! A [`config::Settings`](crate::config::Settings), the [`Keyrings`] and an [`Outside`] make an [`Assembly`]. Who tests
//! plays the clock, the store and the API server in `Outside`, and a provider's client in its configuration; the wiring
//! in between is the one that ships.

mod access;
mod accounts;
mod dependencies;
mod error;
mod keyrings;
mod metrics;
mod outside;
mod whole;
mod wiring;

#[cfg(test)]
mod tests;

pub use error::AssembleError;
pub use keyrings::{Keyrings, NextKeys, Watched};
pub use metrics::Metrics;
pub use outside::Outside;
pub use whole::Assembly;
