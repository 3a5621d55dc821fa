//! The public keys by which the exchange checks signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};

/// The public half of an API key, and the id of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key_id: String,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    /// A PKCS#1 `RSAPublicKey` in DER.
    Rsa(Vec<u8>),
    /// 32 bytes.
    Ed25519(Vec<u8>),
}

/// DER object identifiers, without tag and length.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ED25519_KEY: &[u8] = &[0x2b, 0x65, 0x70];

const DER_SEQUENCE: u8 = 0x30;
const DER_OBJECT_ID: u8 = 0x06;
const DER_BIT_STRING: u8 = 0x03;

impl PublicKey {
    /// An RSA key from its PKCS#1 `RSAPublicKey` in DER, as `ring`'s RSA key pairs give it. Signatures must be PSS
    /// with SHA-256 and a salt of 32 bytes.
    #[must_use]
    pub fn rsa(key_id: &str, pkcs1_der: &[u8]) -> PublicKey {
        PublicKey { key_id: key_id.to_owned(), material: Material::Rsa(pkcs1_der.to_vec()) }
    }

    /// An Ed25519 key from its 32 bytes.
    #[must_use]
    pub fn ed25519(key_id: &str, bytes: &[u8]) -> PublicKey {
        PublicKey { key_id: key_id.to_owned(), material: Material::Ed25519(bytes.to_vec()) }
    }

    /// A key of either kind from `-----BEGIN PUBLIC KEY-----` text (`openssl pkey -pubout`).
    ///
    /// # Errors
    ///
    /// A message about the missing part of the text.
    pub fn from_pem(key_id: &str, pem: &str) -> Result<PublicKey, String> {
        let base64: String = pem
            .split_once("-----BEGIN PUBLIC KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PUBLIC KEY-----"))
            .map(|(base64, _)| base64.split_whitespace().collect())
            .ok_or("not a PEM text of a PUBLIC KEY")?;
        let der = STANDARD.decode(base64).map_err(|error| error.to_string())?;
        let (algorithm, key) = subject_public_key(&der).ok_or("not a SubjectPublicKeyInfo")?;
        match algorithm {
            RSA_ENCRYPTION => Ok(PublicKey::rsa(key_id, key)),
            ED25519_KEY => Ok(PublicKey::ed25519(key_id, key)),
            _ => Err("neither an RSA nor an Ed25519 key".to_owned()),
        }
    }

    /// Whether the request names this key.
    pub(crate) fn is_named(&self, key_id: &str) -> bool {
        self.key_id == key_id
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Rsa(der) => {
                UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, der).verify(message, signature)
            }
            Material::Ed25519(bytes) => {
                UnparsedPublicKey::new(&ED25519, bytes).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

/// The algorithm's object id and the key's bytes from a DER `SubjectPublicKeyInfo`.
fn subject_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut der = der;
    let mut info = take_der(&mut der, DER_SEQUENCE)?;
    let mut algorithm = take_der(&mut info, DER_SEQUENCE)?;
    let object_id = take_der(&mut algorithm, DER_OBJECT_ID)?;
    let bits = take_der(&mut info, DER_BIT_STRING)?;
    let (0, key) = bits.split_first().map(|(unused_bits, key)| (*unused_bits, key))? else {
        return None;
    };
    Some((object_id, key))
}

fn take_der<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    if *der.split_off_first()? != tag {
        return None;
    }
    let first = *der.split_off_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let length_bytes = der.split_off(..usize::from(first & 0x7f))?;
        if 4 < length_bytes.len() {
            return None;
        }
        length_bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
    };
    der.split_off(..length)
}
