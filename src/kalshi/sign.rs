//! Signs requests, for users who have a key and want its higher request rate.
//!
//! The signed message is the time in milliseconds, the method and the path from the root without the query. RSA keys
//! sign with PSS (SHA-256, salt as long as the digest), Ed25519 keys sign the message directly.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// A key id and its private key. Its text form never shows the key.
pub struct Signer {
    key_id: String,
    key: Key,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(redacted)")
    }
}

impl Signer {
    /// The text without the key's id, which the exchange may have repeated.
    pub(super) fn hide(&self, words: &str) -> String {
        words.replace(&self.key_id, "…")
    }

    /// A digest of the key's id, to know the key again without its id.
    pub fn digest(&self) -> String {
        STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, self.key_id.as_bytes()))
    }

    /// Reads a PEM file and finds its kind: PKCS#1 or PKCS#8, RSA or Ed25519.
    pub fn from_pem_file(key_id: &str, path: &Path) -> Result<Signer, Failure> {
        if !key_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::config("the API key id is not made of visible ASCII characters"));
        }
        let advice = "it must be a PEM file with BEGIN RSA PRIVATE KEY or BEGIN PRIVATE KEY";
        let named = |what: &str| format!("the private key file {} {what}", path.display());
        let pem = std::fs::read(path)
            .map_err(|error| Failure::config(named("cannot be read")).because(error))?;
        let der = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| Failure::config(named(&format!("holds no usable key: {advice}"))))?;
        let key = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der())
                .map(|key| Key::Rsa(Box::new(key)))
                .map_err(|error| error.to_string()),
            PrivateKeyDer::Pkcs8(der) => from_pkcs8(der.secret_pkcs8_der()),
            _ => Err("its kind of key is not RSA or Ed25519".to_owned()),
        };
        match key {
            Ok(key) => {
                warn_of_readers(path);
                Ok(Signer { key_id: key_id.to_owned(), key })
            }
            Err(reason) => {
                Err(Failure::config(named(&format!("holds no usable key ({reason}): {advice}"))))
            }
        }
    }

    /// The three headers that authenticate one request. `path` begins at the root and has no query.
    pub(super) fn headers(
        &self,
        at: Timestamp,
        method: &str,
        path: &str,
    ) -> [(&'static str, String); 3] {
        let timestamp = (at.micros() / 1_000).to_string();
        let message = format!("{timestamp}{method}{path}");
        [
            ("KALSHI-ACCESS-KEY", self.key_id.clone()),
            ("KALSHI-ACCESS-SIGNATURE", STANDARD.encode(self.signature(message.as_bytes()))),
            ("KALSHI-ACCESS-TIMESTAMP", timestamp),
        ]
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                // Signing fails only for lack of randomness; the exchange then answers with 401 and an explanation.
                let _ = key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature);
                signature
            }
        }
    }
}

/// Warns when others can read the key. A key that our process reads by its group, as keys mounted into a container
/// are, is exempt: there is no other way to get it.
#[cfg(unix)]
fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    use std::sync::atomic::{AtomicBool, Ordering};
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    let Ok(found) = std::fs::metadata(path) else { return };
    let is_ours = std::fs::metadata("/proc/self").map_or(true, |own| own.uid() == found.uid());
    let readers = if is_ours { 0o044 } else { 0o004 };
    if found.mode() & readers != 0 && !IS_SAID.swap(true, Ordering::Relaxed) {
        log::warn!(
            "the private key file {path} can be read by others (mode {:04o}); chmod 600 {path}",
            found.mode() & 0o7777,
            path = path.display(),
        );
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path) {}

fn from_pkcs8(der: &[u8]) -> Result<Key, String> {
    // Some key generators omit the public half in the older PKCS#8 form, which only "maybe unchecked" accepts.
    match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
        Ok(key) => Ok(Key::Ed25519(key)),
        Err(_) => RsaKeyPair::from_pkcs8(der)
            .map(|key| Key::Rsa(Box::new(key)))
            .map_err(|error| error.to_string()),
    }
}
