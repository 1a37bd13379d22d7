//! What the server knows, and how it misbehaves.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use serde_json::Value;

use crate::faults::{Edit, Fault};
use crate::jwt::SigningKey;

/// How the server misbehaves. The default is honest.
#[derive(Clone, Default)]
pub struct Faults {
    /// Of the TokenReview endpoint.
    pub reviews: Fault,
    /// Of the JWKS endpoint.
    pub jwks: Fault,
    /// Changes a TokenReview's `status` before it is sent.
    pub edit_status: Option<Edit>,
    /// Changes the whole TokenReview that is sent back.
    pub edit_review: Option<Edit>,
    /// Changes the JWKS.
    pub edit_jwks: Option<Edit>,
}

/// What was asked so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// TokenReviews.
    pub reviews: u64,
    /// Fetches of the keys.
    pub jwks: u64,
    /// The most TokenReviews that were ever answered at once.
    pub most_reviews_at_once: u64,
    /// Requests without the right credential of the client.
    pub unauthorized: u64,
}

/// What the endpoints share.
pub(super) struct Shared {
    pub(super) issuer: String,
    /// What a client must present as bearer.
    pub(super) client_token: String,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    /// The last one signs, all are published.
    pub(super) keys: Vec<SigningKey>,
    /// The claims of every token that was issued here.
    pub(super) issued: HashMap<String, Value>,
    /// `sub` of deleted accounts, and uid of deleted pods.
    pub(super) deleted: HashSet<String>,
    pub(super) faults: Faults,
    pub(super) calls: Calls,
    pub(super) reviews_now: u64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl State {
    pub(super) fn signing_key(&self) -> &SigningKey {
        self.keys.last().expect("there is always a key")
    }
}
