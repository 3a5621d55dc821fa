//! The TLS settings of a connection string, and the rustls configuration made from them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::error::{Error, ErrorKind};
use crate::notice::Notice;
use crate::verify::Verifier;

/// `sslmode`, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The authorities that the server's certificate is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// The authorities that the platform trusts.
    System,
    /// The file that the user named.
    Named(PathBuf),
    /// The file in the user's home, if it exists.
    Usual(Option<PathBuf>),
}

/// The extent to which the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Nothing,
    /// The root signed the certificate, for any host.
    Chain,
    /// The root signed the certificate, for this host.
    Host,
}

/// The TLS settings. Files are read when a connection is made.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) mode: Mode,
    pub(super) root: Root,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) revoked: Option<PathBuf>,
    pub(super) is_revoked_named: bool,
    /// Whether the server is told the wanted host name.
    pub(super) is_name_sent: bool,
    /// Whether TLS 1.2 and TLS 1.3 are allowed.
    pub(super) has_version: [bool; 2],
}

impl Tls {
    /// The check of the server's certificate. As in libpq, it is checked whenever there is a root certificate, whatever
    /// `sslmode` says.
    pub(super) fn check(&self) -> Check {
        let is_there = match &self.root {
            Root::System => true,
            Root::Named(path) => path.exists(),
            Root::Usual(path) => path.as_ref().is_some_and(|path| path.exists()),
        };
        match (self.mode, is_there) {
            (Mode::VerifyFull, _) => Check::Host,
            (Mode::VerifyCa, _) | (_, true) => Check::Chain,
            (_, false) => Check::Nothing,
        }
    }

    /// Makes the configuration of rustls.
    pub(crate) fn client(&self, tell: &mut dyn FnMut(Notice)) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let check = self.check();
        if let (Check::Nothing, Root::Named(path)) = (check, &self.root) {
            let path = path.display();
            let line = format!("sslrootcert {path} does not exist: nobody vouches for the server");
            tell(Notice::Detail(line));
        }
        let roots = if check == Check::Nothing { Vec::new() } else { self.roots()? };
        let signed_by = match check {
            Check::Nothing => None,
            _ => Some(self.webpki(&roots, &provider, tell)?),
        };
        let verifier = Verifier {
            provider: Arc::clone(&provider),
            signed_by,
            roots,
            is_host_checked: check == Check::Host,
            has_revocations: self.revocations().is_some(),
        };
        let [two, three] = self.has_version;
        let versions: Vec<&SupportedProtocolVersion> =
            [(two, &rustls::version::TLS12), (three, &rustls::version::TLS13)]
                .into_iter()
                .filter_map(|(is_wanted, version)| is_wanted.then_some(version))
                .collect();
        let what = |error| Error::new(ErrorKind::Refused, "setting up TLS").because(error);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(what)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut client = match self.identity()? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
                Error::configuration("sslcert and sslkey do not go together").because(error)
            })?,
        };
        client.enable_sni = self.is_name_sent;
        Ok(client)
    }

    fn roots(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        match &self.root {
            Root::Usual(Some(path)) if path.exists() => items(path, "sslrootcert"),
            Root::Named(path) => items(path, "sslrootcert"),
            // libpq rejects verify-full without a file. The platform's authorities are no weaker than the ones that it
            // uses with sslrootcert=system.
            Root::System | Root::Usual(_) if self.mode == Mode::VerifyFull => {
                Ok(rustls_native_certs::load_native_certs().certs)
            }
            Root::System | Root::Usual(_) => Err(Error::configuration(
                "sslmode=verify-ca needs a root certificate; give sslrootcert, \
                 or use sslmode=verify-full with the platform's",
            )),
        }
    }

    /// The file with the revoked certificates, if there is one.
    fn revocations(&self) -> Option<&PathBuf> {
        self.revoked.as_ref().filter(|path| self.is_revoked_named || path.exists())
    }

    fn webpki(
        &self,
        roots: &[CertificateDer<'static>],
        provider: &Arc<CryptoProvider>,
        tell: &mut dyn FnMut(Notice),
    ) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let mut store = RootCertStore::empty();
        // An authority that rustls cannot read is not trusted.
        let (_, unread) = store.add_parsable_certificates(roots.iter().cloned());
        if unread > 0 {
            tell(Notice::Detail(format!("{unread} root certificates cannot be read")));
        }
        let mut builder =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
        if let Some(path) = self.revocations() {
            let lists: Vec<CertificateRevocationListDer<'static>> = items(path, "sslcrl")?;
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        builder.build().map_err(|error| {
            Error::configuration(
                "there is no root certificate to check the database server with; give sslrootcert",
            )
            .because(error)
        })
    }

    /// The certificate and key for a server that asks for them. As in libpq, a missing certificate file means no
    /// certificate; a certificate without its key is an error.
    fn identity(
        &self,
    ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, Error> {
        let Some(path) = self.certificate.as_ref().filter(|path| path.exists()) else {
            return Ok(None);
        };
        let chain = items(path, "sslcert")?;
        let Some(key) = self.key.as_ref().filter(|key| key.exists()) else {
            let path = path.display();
            return Err(Error::configuration(format!("there is no sslkey for the sslcert {path}")));
        };
        check_key_file(key)?;
        let pem = read(key, "sslkey")?;
        if pem.windows(9).any(|part| part == b"ENCRYPTED") {
            let key = key.display();
            return Err(Error::configuration(format!(
                "sslkey {key} is encrypted, which is not supported; decrypt it with `openssl pkey` \
                 into a file of mode 0600"
            )));
        }
        let wrong = |error| unreadable(key, "sslkey").because(error);
        Ok(Some((chain, PrivateKeyDer::from_pem_slice(&pem).map_err(wrong)?)))
    }
}

fn unreadable(path: &Path, parameter: &str) -> Error {
    Error::configuration(format!("{parameter} {} cannot be read", path.display()))
}

fn read(path: &Path, parameter: &str) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| unreadable(path, parameter).because(error))
}

/// All items of this kind in a PEM file; an error if there is none.
fn items<T: PemObject>(path: &Path, parameter: &str) -> Result<Vec<T>, Error> {
    let pem = read(path, parameter)?;
    let found: Result<Vec<T>, _> = T::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| unreadable(path, parameter).because(error))?;
    if found.is_empty() {
        let what = if parameter == "sslcrl" { "list" } else { "certificate" };
        return Err(unreadable(path, parameter).because(format!("it holds no {what}")));
    }
    Ok(found)
}

/// Checks the rights of a key file by libpq's rule: only its owner may read it, or it belongs to root and a group may
/// read it.
fn check_key_file(path: &Path) -> Result<(), Error> {
    let about = fs::metadata(path).map_err(|error| unreadable(path, "sslkey").because(error))?;
    let name = path.display();
    if !about.is_file() {
        return Err(Error::configuration(format!("sslkey {name} is not a plain file")));
    }
    if about.permissions().mode() & forbidden(about.uid()) != 0 {
        return Err(Error::configuration(format!(
            "sslkey {name} can be read by others; chmod 0600 it, or 0640 if it is root's"
        )));
    }
    Ok(())
}

fn forbidden(owner: u32) -> u32 {
    if owner == 0 { 0o037 } else { 0o077 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_owners_alone() {
        for (owner, mode, is_fine) in [
            (1_000, 0o600, true),
            (1_000, 0o400, true),
            (1_000, 0o640, false),
            (1_000, 0o604, false),
            (0, 0o640, true),
            (0, 0o660, false),
            (0, 0o644, false),
        ] {
            assert_eq!(mode & forbidden(owner) == 0, is_fine, "{owner} {mode:o}");
        }
    }

    #[test]
    fn a_root_that_is_there_is_asked() {
        let here = Root::Named(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")));
        let missing = Root::Named(PathBuf::from("/no/such/file"));
        for (mode, root, check) in [
            (Mode::Prefer, &Root::Usual(None), Check::Nothing),
            (Mode::Require, &Root::Usual(None), Check::Nothing),
            (Mode::Require, &missing, Check::Nothing),
            (Mode::Allow, &here, Check::Chain),
            (Mode::Prefer, &here, Check::Chain),
            (Mode::Require, &here, Check::Chain),
            (Mode::VerifyCa, &here, Check::Chain),
            (Mode::VerifyCa, &missing, Check::Chain),
            (Mode::VerifyFull, &here, Check::Host),
            (Mode::VerifyFull, &Root::System, Check::Host),
            (Mode::VerifyFull, &Root::Usual(None), Check::Host),
        ] {
            let tls = Tls {
                mode,
                root: root.clone(),
                certificate: None,
                key: None,
                revoked: None,
                is_revoked_named: false,
                is_name_sent: true,
                has_version: [true, true],
            };
            assert_eq!(tls.check(), check, "{mode:?} {root:?}");
        }
        assert!(Mode::Disable < Mode::Allow && Mode::VerifyCa < Mode::VerifyFull);
    }
}
