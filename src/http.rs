//! What is served over plain HTTP: the key set and the discovery document of our assertions and the providers'
//! back-channel logout, and, on a listener of its own, health and metrics.
//!
//! All but the back-channel logout answer GET and HEAD alone and take no body. Everything answers within a deadline.

mod back_channel;
mod bounds;
mod operations;
mod published;
#[cfg(test)]
mod tests;

pub use operations::{Dependency, DependencyState, Readiness, operations};
pub use published::published;
