//! The parts of a certificate that rustls does not compare as libpq does: its names, and the algorithm of its
//! signature. rustls has read the certificate before and accepted it.

use std::net::IpAddr;

use ring::digest;
use rustls::pki_types::{CertificateDer, ServerName};

/// DER tags.
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const STRINGS: [u8; 3] = [0x0c, 0x13, 0x16]; // UTF-8, printable, ASCII
const DNS_NAME: u8 = 0x82;
const ADDRESS: u8 = 0x87;

/// DER object identifiers.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4];

/// A tag and its content.
type Element<'a> = (u8, &'a [u8]);

pub(crate) struct Certificate<'a> {
    /// The algorithm of the signature.
    algorithm: &'a [u8],
    /// The attributes of the subject.
    subject: Vec<Element<'a>>,
    alternative_names: Vec<Element<'a>>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate; `None` if it does not have the required form. Then nothing is known of it.
    pub(crate) fn read(der: &'a CertificateDer<'_>) -> Option<Certificate<'a>> {
        let parts = elements(inside(elements(der)?.first()?, SEQUENCE)?)?;
        let algorithm = elements(inside(parts.get(1)?, SEQUENCE)?)?;
        let body = elements(inside(parts.first()?, SEQUENCE)?)?;
        // The number, the algorithm, the issuer and the dates come before the subject.
        let subject = body.iter().filter(|(tag, _)| *tag != VERSION).nth(4)?;
        let mut attributes = Vec::new();
        for (_, set) in elements(inside(subject, SEQUENCE)?)? {
            attributes.extend(elements(set)?);
        }
        let mut alternative_names = Vec::new();
        if let Some((_, wrapped)) = body.iter().find(|(tag, _)| *tag == EXTENSIONS) {
            for extension in elements(inside(elements(wrapped)?.first()?, SEQUENCE)?)? {
                let extension = elements(inside(&extension, SEQUENCE)?)?;
                if inside(extension.first()?, OBJECT_ID)? == ALTERNATIVE_NAMES {
                    let (_, names) = extension.last()?;
                    alternative_names = elements(inside(elements(names)?.first()?, SEQUENCE)?)?;
                }
            }
        }
        let algorithm = inside(algorithm.first()?, OBJECT_ID)?;
        Some(Certificate { algorithm, subject: attributes, alternative_names })
    }

    /// The hash that signed the certificate, with MD5 and SHA-1 replaced by SHA-256 (RFC 5929, 4.1); `None` if the
    /// signature has no hash of its own.
    pub(crate) fn hash(&self) -> Option<&'static digest::Algorithm> {
        let rest = self.algorithm.strip_prefix(RSA).or(self.algorithm.strip_prefix(ECDSA))?;
        match (self.algorithm.starts_with(RSA), rest) {
            (true, [4 | 5 | 11]) | (false, [1] | [3, 2]) => Some(&digest::SHA256),
            (true, [12]) | (false, [3, 3]) => Some(&digest::SHA384),
            (true, [13]) | (false, [3, 4]) => Some(&digest::SHA512),
            _ => None,
        }
    }

    /// Whether the certificate is for this host, by libpq's rule: any of the alternative names, or the common name if
    /// no alternative name is of the host's kind.
    pub(crate) fn is_for(&self, host: &ServerName<'_>) -> bool {
        let (host, address) = match host {
            ServerName::DnsName(name) => (name.as_ref().to_owned(), None),
            ServerName::IpAddress(address) => {
                let address = IpAddr::from(*address);
                (address.to_string(), Some(address))
            }
            _ => return false,
        };
        let mut is_common_name_asked = true;
        for (tag, name) in &self.alternative_names {
            let (is_same_kind, fits) = match *tag {
                DNS_NAME => (address.is_none(), fits(name, &host)),
                ADDRESS => (address.is_some(), address.is_some_and(|one| octets(one) == *name)),
                _ => continue,
            };
            if fits {
                return true;
            }
            is_common_name_asked &= !is_same_kind;
        }
        is_common_name_asked && self.common_name().is_some_and(|name| fits(name, &host))
    }

    /// The first common name, as in libpq.
    fn common_name(&self) -> Option<&'a [u8]> {
        let pairs =
            self.subject.iter().filter_map(|attribute| elements(inside(attribute, SEQUENCE)?));
        let mut named = pairs.filter(|pair| pair.first() == Some(&(OBJECT_ID, COMMON_NAME)));
        let (tag, name) = *named.next()?.get(1)?;
        STRINGS.contains(&tag).then_some(name)
    }
}

/// The content of the element, if it has this tag.
fn inside<'a>((tag, inside): &Element<'a>, wanted: u8) -> Option<&'a [u8]> {
    (*tag == wanted).then_some(*inside)
}

/// All elements, in order; `None` if they do not fill the bytes exactly.
fn elements(mut bytes: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut found = Vec::new();
    while let [tag, first, rest @ ..] = bytes {
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x83 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (inside, rest) = rest.split_at_checked(length)?;
        found.push((*tag, inside));
        bytes = rest;
    }
    bytes.is_empty().then_some(found)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Whether a certificate's name matches this host. `*.` matches one part of a name.
fn fits(pattern: &[u8], host: &str) -> bool {
    let host = host.as_bytes();
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(domain) = pattern.strip_prefix(b"*").filter(|domain| domain.len() > 1) else {
        return false;
    };
    let first_dot = host.iter().position(|byte| *byte == b'.').filter(|at| *at > 0);
    domain.starts_with(b".") && first_dot.is_some_and(|at| host[at..].eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn a_star_stands_for_one_part() {
        for (pattern, host, is_fit) in [
            ("db.example.com", "DB.example.com", true),
            ("*.example.com", "db.example.com", true),
            ("*.example.com", "a.db.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*", "example", false),
            ("*example.com", "dbexample.com", false),
            ("db.*.com", "db.example.com", false),
            ("db.example.com.evil.org", "db.example.com", false),
            ("127.0.0.1", "127.0.0.1", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), host), is_fit, "{pattern} {host}");
        }
    }

    fn certificate(names: &[&str], common_name: &str) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "db.example");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn the_common_name_counts_where_there_is_no_name_of_the_hosts_kind() {
        for (names, common_name, host, is_for) in [
            (&[][..], "db.example", "db.example", true),
            (&[], "somebody", "db.example", false),
            (&[], "*.example", "db.example", true),
            (&[], "192.0.2.1", "192.0.2.1", true),
            (&["other.example"], "db.example", "db.example", false),
            (&["other.example", "db.example"], "x", "db.example", true),
            (&["192.0.2.1"], "db.example", "db.example", true),
            (&["192.0.2.1"], "192.0.2.2", "192.0.2.2", false),
            (&["192.0.2.1"], "x", "192.0.2.1", true),
            (&["2001:db8::1"], "x", "2001:db8::1", true),
            (&["other.example"], "192.0.2.1", "192.0.2.1", true),
        ] {
            let der = certificate(names, common_name);
            let read = Certificate::read(&der).unwrap();
            let host = ServerName::try_from(host).unwrap();
            assert_eq!(read.is_for(&host), is_for, "{names:?} {common_name} {host:?}");
        }
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        for (algorithm, hash) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(&digest::SHA256)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(&digest::SHA384)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = CertificateParams::default().self_signed(&key).unwrap();
            assert_eq!(Certificate::read(certificate.der()).unwrap().hash(), hash, "{algorithm:?}");
        }
        let hash = |algorithm: &[u8]| {
            Certificate { algorithm, subject: Vec::new(), alternative_names: Vec::new() }.hash()
        };
        for (last, found) in [
            (5, Some(&digest::SHA256)),
            (10, None),
            (11, Some(&digest::SHA256)),
            (12, Some(&digest::SHA384)),
            (13, Some(&digest::SHA512)),
        ] {
            assert_eq!(hash(&[RSA, &[last]].concat()), found, "RSA {last}");
        }
        assert_eq!(hash(&[ECDSA, &[3, 4]].concat()), Some(&digest::SHA512));
        assert_eq!(hash(ECDSA), None);
    }

    #[test]
    fn bytes_that_are_no_certificate_are_read_as_none() {
        let der = certificate(&["db.example", "192.0.2.1"], "x");
        for end in 0..der.len() {
            assert!(Certificate::read(&CertificateDer::from(&der[..end])).is_none(), "{end}");
        }
        // Each byte is replaced by others: nothing may panic.
        let host = ServerName::try_from("db.example").unwrap();
        for at in 0..der.len() {
            for byte in [0, 1, 0x30, 0x7f, 0x80, 0x83, 0x84, 0xff] {
                let mut other = der.to_vec();
                other[at] = byte;
                let other = CertificateDer::from(other);
                if let Some(read) = Certificate::read(&other) {
                    let _ = (read.is_for(&host), read.hash());
                }
            }
        }
        for bytes in [&[0x30][..], &[0x30, 0x80], &[0x30, 0x84, 0, 0, 0, 0], &[0x30, 0x83, 0xff]] {
            assert_eq!(elements(bytes), None, "{bytes:?}");
        }
        assert_eq!(elements(&[4, 0, 5, 0x81, 1, 7]), Some(vec![(4, &[][..]), (5, &[7])]));
    }
}
