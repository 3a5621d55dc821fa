//! Checks the server's certificate as libpq does.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError, SignatureScheme};

use super::certificate::Certificate;

/// The verifier of rustls, and the cases that libpq accepts besides: no check at all, a check without the host, the
/// common name for the host, and a certificate that is itself among the roots.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) provider: Arc<CryptoProvider>,
    /// `None`: nothing is checked, which proves nothing about the server.
    pub(super) signed_by: Option<Arc<WebPkiServerVerifier>>,
    pub(super) roots: Vec<CertificateDer<'static>>,
    pub(super) is_host_checked: bool,
    /// Whether there are revocation lists. rustls has not checked them where it rejects an authority.
    pub(super) has_revocations: bool,
}

fn is_about_the_name(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

/// Whether the error is about an authority's certificate in the place of a server's. Its dates were checked before.
/// See docs/upstream.md#rustls-webpki-a-trusted-certificate
fn is_about_an_authority(error: &TlsError) -> bool {
    let TlsError::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl Verifier {
    fn is_for_host(&self, certificate: &CertificateDer<'_>, host: &ServerName<'_>) -> bool {
        let is_for = || Certificate::read(certificate).is_some_and(|read| read.is_for(host));
        !self.is_host_checked || is_for()
    }
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
        let is_accepted = if is_about_the_name(&error) {
            // The name is compared last: all other checks have passed.
            self.is_for_host(end_entity, server_name)
        } else if is_about_an_authority(&error)
            && self.roots.contains(end_entity)
            && !self.has_revocations
        {
            // A certificate that is itself trusted needs no authority.
            if !self.is_for_host(end_entity, server_name) {
                return Err(TlsError::InvalidCertificate(CertificateError::NotValidForName));
            }
            true
        } else {
            false
        };
        if is_accepted { Ok(ServerCertVerified::assertion()) } else { Err(error) }
    }

    // The check that the server holds the certificate's key is never skipped: SCRAM's channel binding depends on it.
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

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
    use rustls::RootCertStore;

    use super::*;

    /// The certificate of an authority for `db.example`, valid in 2026.
    fn authority() -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn an_authority_among_the_roots_is_trusted_by_itself_while_it_is_valid() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (shown, other) = (authority(), authority());
        for (root, is_host_checked, has_revocations, host, year, says) in [
            (&shown, true, false, "db.example", 2026, None),
            (&shown, false, false, "elsewhere.example", 2026, None),
            (&shown, true, true, "db.example", 2026, Some("CaUsedAsEndEntity")),
            (&shown, true, false, "elsewhere.example", 2026, Some("NotValidForName")),
            (&shown, true, false, "db.example", 2025, Some("not valid yet")),
            (&shown, true, false, "db.example", 2027, Some("expired")),
            (&shown, false, false, "db.example", 2027, Some("expired")),
            (&other, false, false, "db.example", 2026, Some("CaUsedAsEndEntity")),
        ] {
            let mut store = RootCertStore::empty();
            store.add(root.clone()).unwrap();
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider));
            let verifier = Verifier {
                provider: Arc::clone(&provider),
                signed_by: Some(builder.build().unwrap()),
                roots: vec![root.clone()],
                is_host_checked,
                has_revocations,
            };
            // The middle of that year.
            let seconds = (year - 1970) * 31_556_952 + 15_000_000;
            let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
            let name = ServerName::try_from(host).unwrap();
            let verdict = verifier.verify_server_cert(&shown, &[], &name, &[], now);
            let said = verdict.err().map(|error| error.to_string());
            let is_right = match (&said, says) {
                (Some(said), Some(says)) => said.contains(says),
                (said, says) => said.is_none() && says.is_none(),
            };
            assert!(is_right, "{host} {year} {is_host_checked}: {said:?}");
        }
    }
}
