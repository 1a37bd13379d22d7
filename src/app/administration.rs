//! The listener for administrators: who calls is known for every connection.

use std::{io, sync::Arc, time::Duration};

use rustix::process::geteuid;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::Connected};

use super::accept::{Listener, Peer, Stream};
use crate::admin::{self, Administered, Caller};

/// How many administrators are connected at once; more wait.
const CONNECTIONS: usize = 32;
/// How long to wait when the system has no place for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// How often a silent connection is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Serves administrators until `stop`, where there is a listener for them.
pub(super) async fn run(listener: Option<Listener>, administered: Administered, stop: CancellationToken) {
    let Some(listener) = listener else { return };
    let (sender, connections) = mpsc::channel(1);
    let accepting = tokio::spawn(accept(listener, sender, stop.clone()));
    let mut server = Server::builder().timeout(CALL_DEADLINE).http2_keepalive_interval(Some(PING_INTERVAL));
    let outcome = server
        .add_routes(admin::routes(administered))
        .serve_with_incoming_shutdown(ReceiverStream::new(connections), stop.cancelled_owned())
        .await;
    if let Err(error) = outcome {
        tracing::error!(%error, "the listener for administrators ended");
    }
    accepting.abort();
}

type Connections = mpsc::Sender<io::Result<Administrator>>;

async fn accept(listener: Listener, connections: Connections, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(listener = listener.name(), %error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connections = connections.clone();
        tokio::spawn(async move {
            let Some((stream, superseded)) = accepted.handshake().await else { return };
            let Some(caller) = admit(stream.peer(), superseded) else { return };
            let connection = Administrator { stream, caller, _place: place };
            // A listener that ended takes nobody.
            let _ = connections.send(Ok(connection)).await;
        });
    }
}

/// Who calls. Over a unix socket only our own user and the superuser: the file's mode says so too, but its folder's
/// owner could have changed that.
fn admit(peer: Peer, superseded: Option<CancellationToken>) -> Option<Caller> {
    match (peer, superseded) {
        (Peer::LocalUser(uid), _) if uid == geteuid().as_raw() || uid == 0 => Some(Caller::local_user(uid)),
        (Peer::Certificate(san), Some(superseded)) => Some(Caller::certificate(san, superseded)),
        (peer, _) => {
            tracing::warn!(listener = "admin", ?peer, "a caller who is no administrator was turned away");
            None
        }
    }
}

/// A connection of an administrator.
struct Administrator {
    stream: Stream,
    caller: Caller,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Connected for Administrator {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

mod io_of_stream {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::Administrator;

    impl AsyncRead for Administrator {
        fn poll_read(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Administrator {
        fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
        }

        fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().stream).poll_flush(context)
        }

        fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
        }
    }
}
