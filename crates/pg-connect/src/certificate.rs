//! What a certificate says of itself, where rustls does not look: its common name, and all of
//! one that is trusted by itself.

use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

pub(super) struct Certificate(x509_cert::Certificate);

impl Certificate {
    pub(super) fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
        x509_cert::Certificate::from_der(der).ok().map(Certificate)
    }

    pub(super) fn is_valid_at(&self, now: UnixTime) -> bool {
        let validity = &self.0.tbs_certificate.validity;
        let from = validity.not_before.to_unix_duration().as_secs();
        (from..=validity.not_after.to_unix_duration().as_secs()).contains(&now.as_secs())
    }

    /// libpq's rule: any of the alternative names, or the common name if there is no alternative
    /// one of the host's kind.
    pub(super) fn is_for(&self, host: &ServerName<'_>) -> bool {
        let (host, address) = match host {
            ServerName::DnsName(name) => (name.as_ref().to_owned(), None),
            ServerName::IpAddress(address) => {
                let address = IpAddr::from(*address);
                (address.to_string(), Some(address))
            }
            _ => return false,
        };
        let Some(names) = self.alternative_names() else { return false };
        let mut is_common_name_asked = true;
        for name in &names {
            let (is_same_kind, fits) = match name {
                GeneralName::DnsName(name) => (address.is_none(), fits(name.as_str(), &host)),
                GeneralName::IpAddress(bytes) => {
                    (address.is_some(), address.is_some_and(|one| octets(one) == bytes.as_bytes()))
                }
                _ => continue,
            };
            if fits {
                return true;
            }
            is_common_name_asked &= !is_same_kind;
        }
        is_common_name_asked && self.common_name().is_some_and(|name| fits(&name, &host))
    }

    /// `None` if they cannot be read; then nothing is known about them.
    fn alternative_names(&self) -> Option<Vec<GeneralName>> {
        match self.0.tbs_certificate.get::<SubjectAltName>() {
            Ok(found) => Some(found.map_or_else(Vec::new, |(_, names)| names.0)),
            Err(_) => None,
        }
    }

    fn common_name(&self) -> Option<String> {
        let parts = self.0.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
        let name = parts.into_iter().find(|part| part.oid == COMMON_NAME)?;
        let any = &name.value;
        let utf8 = any.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
        let printable =
            || any.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned());
        let ascii = || any.decode_as::<Ia5StringRef<'_>>().map(|text| text.as_str().to_owned());
        utf8.or_else(|_| printable()).or_else(|_| ascii()).ok()
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Whether a certificate's name stands for this host; `*.` stands for one part of a name.
fn fits(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(domain) = pattern.strip_prefix('*').filter(|domain| domain.len() > 1) else {
        return false;
    };
    let is_domain = domain.starts_with('.');
    is_domain && host.find('.').is_some_and(|at| at > 0 && host[at..].eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
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
            assert_eq!(fits(pattern, host), is_fit, "{pattern} {host}");
        }
    }
}
