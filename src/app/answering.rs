//! What answers on a listener. Its futures have no name, so that none needs a box of its own.

use std::{convert::Infallible, future::Future};

use http::{Request, Response};
use hyper::body::Body;
use tower::{Service, ServiceExt as _};

/// Answers requests whose bodies are `R`.
pub(super) trait Answering<R>: Clone + Send + Sync + 'static {
    /// The body of an answer.
    type Body: Body + Send + 'static;

    /// Answers a request.
    fn answer(&self, request: Request<R>) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// A service, as it answers.
#[derive(Clone, Debug)]
pub(super) struct Routed<S>(pub(super) S);

impl<R, S, B> Answering<R> for Routed<S>
where
    R: Send + 'static,
    S: Service<Request<R>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
{
    type Body = B;

    async fn answer(&self, request: Request<R>) -> Response<B> {
        let Ok(response) = self.0.clone().oneshot(request).await;
        response
    }
}
