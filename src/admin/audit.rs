//! The audit log: one record for each act of an administrator.

use std::future::Future;

use tonic::{Request, Response, Status};

use super::{caller::Caller, metrics::Metrics};
use crate::{
    logging::{Audited, Log},
    panics::{Panicked, caught},
};

/// Where acts are recorded and counted.
#[derive(Clone, Debug)]
pub(super) struct Books {
    pub(super) metrics: Metrics,
    pub(super) log: Log,
}

/// Who acts, and where that is recorded.
#[derive(Debug)]
pub(super) struct Administrator {
    caller: Caller,
    books: Books,
}

/// What an administrator does. It never holds a credential.
#[derive(Clone, Debug, Default)]
pub(super) struct Act {
    /// The act, in `snake_case`.
    pub(super) act: &'static str,
    /// What it is about.
    pub(super) target: String,
}

impl Administrator {
    /// Who makes this call.
    ///
    /// # Errors
    /// As [`Caller::of`]; where nothing records what they do.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = Caller::of(request)?;
        let books = request.extensions().get::<Books>().cloned();
        Ok(Self { caller, books: books.ok_or_else(failed_inside)? })
    }

    /// Carries the act out, and answers once its record is written. `found` is what came of it.
    ///
    /// Nothing is done before there is room for the record. What has begun goes to its end and into the log, whatever
    /// becomes of the caller.
    pub(super) async fn carry_out<T: Send + 'static>(
        self,
        act: Act,
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
        found: impl FnOnce(&T) -> String + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let place = self.books.log.audit_place().await;
        let whole = async move {
            let outcome = caught(work).await.unwrap_or_else(|Panicked| Err(failed_inside()));
            self.record(&act, &outcome, found);
            self.books.log.written().await;
            drop(place);
            outcome
        };
        tokio::spawn(whole).await.map_err(|_| failed_inside())?.map(Response::new)
    }

    /// Writes the record of an act that ended so, and counts it.
    fn record<T>(&self, act: &Act, outcome: &Result<T, Status>, found: impl FnOnce(&T) -> String) {
        let detail = match outcome {
            Ok(answer) => found(answer),
            Err(status) => status.message().to_owned(),
        };
        let audited = Audited { act: act.act, about: &act.target, is_done: outcome.is_ok(), detail: &detail };
        self.books.metrics.count(audited.act, audited.outcome());
        audited.record(&self.caller);
    }
}

fn failed_inside() -> Status {
    Status::internal("something failed inside")
}
