//! Judges the server's certificate as libpq does.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError, SignatureScheme};

use super::certificate::Certificate;

/// rustls' own judge, and what libpq takes besides: no check at all, a check without the host, the
/// common name for the host, and a certificate that is itself among the roots.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) provider: Arc<CryptoProvider>,
    /// `None`: nothing is checked, which proves nothing about the server.
    pub(super) signed_by: Option<Arc<WebPkiServerVerifier>>,
    pub(super) roots: Vec<CertificateDer<'static>>,
    pub(super) is_host_checked: bool,
}

fn is_about_the_name(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

/// An authority's certificate shown as a server's.
fn is_about_the_form(error: &TlsError) -> bool {
    matches!(error, TlsError::InvalidCertificate(CertificateError::Other(_)))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(roots) = &self.signed_by else { return Ok(ServerCertVerified::assertion()) };
        let verdict =
            roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Err(error) = verdict else { return verdict };
        let is_for_host =
            |certificate: &Certificate| !self.is_host_checked || certificate.is_for(server_name);
        let certificate = Certificate::read(end_entity);
        let is_accepted = if is_about_the_name(&error) {
            // The name is compared last: everything else was found good.
            !self.is_host_checked || certificate.as_ref().is_some_and(is_for_host)
        } else if is_about_the_form(&error) && self.roots.contains(end_entity) {
            // What is trusted by itself needs nobody to vouch for it.
            match &certificate {
                Some(certificate) if !certificate.is_valid_at(now) => {
                    return Err(TlsError::InvalidCertificate(CertificateError::Expired));
                }
                Some(certificate) if !is_for_host(certificate) => {
                    return Err(TlsError::InvalidCertificate(CertificateError::NotValidForName));
                }
                found => found.is_some(),
            }
        } else {
            false
        };
        if is_accepted { Ok(ServerCertVerified::assertion()) } else { Err(error) }
    }

    // That the server holds the certificate's key is always checked: SCRAM's channel binding
    // rests on it.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
