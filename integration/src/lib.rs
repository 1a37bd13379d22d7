//! The ground on which Portcullis is tested against real parts.
//!
//! Every part that can be real is real (Envoy, the API server, the identity providers, the
//! browser). What a real part cannot be made to show, such as a provider that lies or an API server
//! that hangs, is played by the small scripted servers [`provider`] and [`review_api`]; their honest
//! mode also serves the demo.
//!
//! The product is always a child process. [`stored_sessions`] alone links against it too, to store more sessions than
//! people could sign in for.
#![expect(
    clippy::missing_errors_doc,
    reason = "every error here is the failure of a test, told in full by its own message"
)]
#![expect(clippy::missing_panics_doc, reason = "a panic here fails a test, and its message says why")]

pub mod administrator;
pub mod attack;
pub mod bench;
pub mod browser;
pub mod check_client;
pub mod check_server;
pub mod check_visitor;
pub mod cluster;
pub mod cost;
pub mod demo;
pub mod dex;
pub mod envoy;
pub mod evidence;
pub mod faults;
pub mod gateway;
pub mod growth;
pub mod http;
pub mod jwt;
pub mod keycloak;
pub mod lateness;
pub mod mesh;
pub mod movable_clock;
pub mod node;
pub mod oidc_provider;
pub mod origin;
pub mod parts;
pub mod patience;
pub mod pki;
pub mod portcullis;
#[path = "../../src/redis_store/tests/ports.rs"]
pub mod ports;
pub mod process;
pub mod profiles;
pub mod project;
pub mod provider;
pub mod raw_client;
#[path = "../../src/redis_store/tests/server.rs"]
pub mod redis;
pub mod registration;
pub mod review_api;
pub mod stored_sessions;
pub mod upstream;
pub mod usage;
pub mod visitor;
pub mod wire;
