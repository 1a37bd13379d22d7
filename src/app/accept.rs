//! Listeners: TCP, TLS and unix sockets give one kind of connection.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::tls::{self, SharedTls};
use crate::config::Bind;

/// Who may connect to a unix socket: its user and group.
const SOCKET_MODE: u32 = 0o660;
/// Who may connect to a private one: its user.
const PRIVATE_SOCKET_MODE: u32 = 0o600;

/// Why nothing can listen there.
#[derive(Debug, Error)]
#[error("listeners.{listener}.bind: cannot listen at {bind}: {problem}")]
pub struct ListenError {
    listener: &'static str,
    bind: String,
    problem: String,
}

/// A socket that accepts connections.
#[derive(Debug)]
pub(super) struct Listener {
    name: &'static str,
    socket: Socket,
    tls: Option<SharedTls>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, file: SocketFile },
}

/// The socket's file, which goes when its listener goes, unless another process has put its own there.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the socket's file stays");
        }
    }
}

impl Listener {
    /// Listens, and says so in the log with the address that was given (port 0 asks for any).
    pub(super) async fn bind(name: &'static str, bind: &Bind, tls: Option<SharedTls>) -> Result<Self, ListenError> {
        Self::bind_for(SOCKET_MODE, name, bind, tls).await
    }

    /// As [`Listener::bind`], but a unix socket is for this process's user alone.
    pub(super) async fn bind_private(
        name: &'static str,
        bind: &Bind,
        tls: Option<SharedTls>,
    ) -> Result<Self, ListenError> {
        Self::bind_for(PRIVATE_SOCKET_MODE, name, bind, tls).await
    }

    async fn bind_for(mode: u32, name: &'static str, bind: &Bind, tls: Option<SharedTls>) -> Result<Self, ListenError> {
        let failed = |problem: String| ListenError { listener: name, bind: bind.to_string(), problem };
        let socket = match bind {
            Bind::Tcp(address) => {
                Socket::Tcp(TcpListener::bind(address).await.map_err(|error| failed(error.to_string()))?)
            }
            Bind::Unix(path) => bind_unix(path, mode).map_err(failed)?,
        };
        let this = Self { name, socket, tls };
        tracing::info!(listener = name, address = this.address(), tls = this.tls.is_some(), "listening");
        Ok(this)
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens, as people write it.
    pub(super) fn address(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map(|address| address.to_string()).unwrap_or_default(),
            Socket::Unix { file, .. } => format!("unix:{}", file.path.display()),
        }
    }

    /// The next connection, before any handshake.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        let stream = match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // An answer is one small write: it must not wait for the acknowledgement of another. That cannot be set
                // where the peer has gone already, which shows when it is read.
                let _ = stream.set_nodelay(true);
                Unattached::Tcp(stream.into_std()?)
            }
            Socket::Unix { listener, .. } => Unattached::Unix(listener.accept().await?.0.into_std()?),
        };
        Ok(Accepted { listener: self.name, stream, tls: self.tls.clone() })
    }
}

fn bind_unix(path: &Path, mode: u32) -> Result<Socket, String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.to_string()),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err("there is something else than a socket; remove it, or name another path".to_owned());
        }
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return Err("another process listens there".to_owned());
        }
        // What a process that was killed has left behind.
        Ok(_) => fs::remove_file(path).map_err(|error| error.to_string())?,
    }
    let listener = UnixListener::bind(path).map_err(|error| error.to_string())?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| error.to_string())?;
    let inode = fs::symlink_metadata(path).map_err(|error| error.to_string())?.ino();
    Ok(Socket::Unix { listener, file: SocketFile { path: path.to_path_buf(), inode } })
}

/// A connection that was accepted and not yet spoken to.
pub(super) struct Accepted {
    listener: &'static str,
    stream: Unattached,
    tls: Option<SharedTls>,
}

/// A connection that no runtime waits for yet: another one than that which accepts may serve it.
enum Unattached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Unattached {
    /// A connection of the runtime that this is called on.
    fn attached(self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(stream) => Stream::Tcp(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Stream::Unix(UnixStream::from_std(stream)?),
        })
    }
}

impl Accepted {
    /// Shakes hands, where there is TLS, and admits the caller. Nothing where that fails, which is logged. With the
    /// connection comes what says that its certificate or its caller is no longer in force. The connection is then one
    /// of the runtime that this is called on; who calls this sets the deadline.
    pub(super) async fn handshake(self) -> Option<(Stream, Option<CancellationToken>)> {
        let Self { listener, stream, tls } = self;
        let stream = match stream.attached() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(listener, %error, "a connection could not be served");
                return None;
            }
        };
        let (tcp, tls) = match (stream, tls) {
            (Stream::Tcp(tcp), Some(tls)) => (tcp, tls.load_full()),
            (stream, _) => return Some((stream, None)),
        };
        let handshake = TlsAcceptor::from(tls.config()).accept(tcp);
        let stream = match handshake.await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(listener, %error, "a TLS handshake failed");
                return None;
            }
        };
        if let Err(refused) = tls.admit(stream.get_ref().1.peer_certificates()) {
            tracing::warn!(
                listener,
                sans = ?refused.sans,
                "a caller whose certificate has none of the allowed SANs was turned away"
            );
            return None;
        }
        Some((Stream::Tls(Box::new(stream)), Some(tls.superseded().clone())))
    }
}

/// One kind of connection for all listeners.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(super) enum Peer {
    /// A user of this machine, by number.
    LocalUser(u32),
    /// The bearer of a verified certificate, by its URI SANs: the handshake admits named ones alone, where names are configured.
    Certificate(String),
    /// Nobody that is known.
    Unknown,
}

impl Stream {
    pub(super) fn peer(&self) -> Peer {
        match self {
            Self::Tcp(_) => Peer::Unknown,
            Self::Unix(stream) => {
                stream.peer_cred().map_or(Peer::Unknown, |credentials| Peer::LocalUser(credentials.uid()))
            }
            Self::Tls(stream) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let sans = tls::leaf_sans(certificates);
                if sans.is_empty() { Peer::Unknown } else { Peer::Certificate(sans.join(" ")) }
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
