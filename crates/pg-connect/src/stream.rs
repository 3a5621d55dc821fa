//! TLS in the form that the PostgreSQL client needs: rustls over its socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use postgres::Socket;
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use ring::digest;
use rustls::ClientConfig;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;

use crate::certificate::Certificate;

/// Makes handshakes, and notes when the server agrees to one.
pub(crate) struct Encryption {
    connector: TlsConnector,
    is_agreed: Arc<AtomicBool>,
}

impl Encryption {
    pub(crate) fn new(client: ClientConfig, is_agreed: Arc<AtomicBool>) -> Encryption {
        Encryption { connector: TlsConnector::from(Arc::new(client)), is_agreed }
    }
}

impl MakeTlsConnect<Socket> for Encryption {
    type Stream = Encrypted;
    type TlsConnect = Handshake;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, InvalidDnsNameError> {
        Ok(Handshake {
            name: ServerName::try_from(host)?.to_owned(),
            connector: self.connector.clone(),
            is_agreed: Arc::clone(&self.is_agreed),
        })
    }
}

/// One handshake, with the server of this name.
pub(crate) struct Handshake {
    name: ServerName<'static>,
    connector: TlsConnector,
    is_agreed: Arc<AtomicBool>,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        self.is_agreed.store(true, Ordering::SeqCst);
        let connect = self.connector.connect(self.name, socket);
        Box::pin(async move { connect.await.map(Encrypted) })
    }
}

/// An encrypted connection.
pub(crate) struct Encrypted(tokio_rustls::client::TlsStream<Socket>);

impl TlsStream for Encrypted {
    /// `tls-server-end-point`: the certificate's hash, by the algorithm that signed it.
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        let hash = |der| Some(digest::digest(Certificate::read(der)?.hash()?, der));
        certificate.and_then(hash).map_or_else(ChannelBinding::none, |hash| {
            ChannelBinding::tls_server_end_point(hash.as_ref().to_vec())
        })
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
