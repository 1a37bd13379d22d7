//! What has reached an upstream.

use std::sync::{Arc, Mutex};

use super::received::Received;

/// What has reached an upstream so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Received>>>);

impl Log {
    pub(super) fn add(&self, received: Received) {
        crate::evidence::received(&received);
        self.0.lock().expect("no holder of this lock panics").push(received);
    }

    pub(super) fn all(&self) -> Vec<Received> {
        self.0.lock().expect("no holder of this lock panics").clone()
    }
}
