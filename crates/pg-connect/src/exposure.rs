//! Whether a third party could read the connection.

use crate::negotiate::Endpoint;
use crate::notice::Notice;
use crate::tls::Check;

/// The warning that a third party could read the connection, or pose as the server. `None` if the connection is safe
/// or does not leave the machine.
pub(crate) fn warning(
    host: &str,
    endpoint: &Endpoint,
    is_encrypted: bool,
    check: Check,
) -> Option<Notice> {
    match endpoint {
        Endpoint::Address(address) if !address.to_canonical().is_loopback() => {}
        _ => return None,
    }
    let wrong = match (is_encrypted, check) {
        (false, _) => "not encrypted",
        (true, Check::Nothing) => "encrypted but the server's certificate is not checked",
        (true, Check::Chain | Check::Host) => return None,
    };
    let line = format!("the connection to {host} is {wrong}; set sslmode=verify-full");
    Some(Notice::Warning(line))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn only_what_leaves_the_machine_is_warned_of() {
        let endpoint = |text: &str| Endpoint::Address(text.parse().unwrap());
        for (endpoint, is_encrypted, check, words) in [
            (endpoint("192.0.2.1"), false, Check::Nothing, Some("not encrypted")),
            (endpoint("192.0.2.1"), false, Check::Host, Some("not encrypted")),
            (endpoint("2001:db8::1"), true, Check::Nothing, Some("certificate is not checked")),
            (endpoint("192.0.2.1"), true, Check::Chain, None),
            (endpoint("192.0.2.1"), true, Check::Host, None),
            (endpoint("127.0.0.2"), false, Check::Nothing, None),
            (endpoint("::1"), false, Check::Nothing, None),
            (endpoint("::ffff:127.0.0.1"), false, Check::Nothing, None),
            (Endpoint::Socket(PathBuf::from("/tmp")), false, Check::Nothing, None),
        ] {
            let said = warning("db.example", &endpoint, is_encrypted, check);
            assert_eq!(said.is_some(), words.is_some(), "{endpoint:?} {said:?}");
            if let (Some(Notice::Warning(said)), Some(words)) = (said, words) {
                assert!(said.contains(words) && said.contains("db.example"), "{said}");
                assert!(said.ends_with("set sslmode=verify-full"), "{said}");
            }
        }
    }
}
