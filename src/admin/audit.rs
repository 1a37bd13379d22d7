//! The audit log: one record for each act of an administrator.

use tonic::{Response, Status};

use super::caller::Caller;

/// What an administrator does. It never holds a credential.
#[derive(Clone, Debug, Default)]
pub(super) struct Act {
    /// The act, in `snake_case`.
    pub(super) act: &'static str,
    /// What it is about.
    pub(super) target: String,
}

impl Act {
    /// Writes the record of an act that ended so, counts it, and hands the outcome on. `found` is what came of it.
    pub(super) fn record<T>(
        self,
        caller: &Caller,
        outcome: Result<T, Status>,
        found: impl FnOnce(&T) -> String,
    ) -> Result<Response<T>, Status> {
        let (word, detail) = match &outcome {
            Ok(answer) => ("done", found(answer)),
            Err(status) => ("failed", status.message().to_owned()),
        };
        caller.metrics().count(self.act, word);
        tracing::info!(
            target: "portcullis::audit",
            caller = %caller,
            act = self.act,
            // Escaped: it came from outside.
            about = ?self.target,
            outcome = word,
            detail,
            "administration"
        );
        outcome.map(Response::new)
    }
}
