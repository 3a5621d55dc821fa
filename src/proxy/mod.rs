//! The choice of the proxy for a URL. It follows the rules of curl for the environment, so an environment that is set
//! up for curl works here too.
//!
//! See `ENVIRONMENT` in curl's manual and `lib/noproxy.c` in its source; `tests/it/proxies.rs` compares the result
//! with the installed curl.

mod forward;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode_str;
use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::typestate::AgentScope;
use ureq::{Agent, ProxyProtocol};

use crate::failure::Failure;

/// The default port of a proxy, as in curl. It is not the usual port of the scheme.
const PORT_DEFAULT: u16 = 1080;

/// A proxy, and the variable that named it. It prints without its password.
#[derive(Clone)]
pub struct Proxy {
    variable: &'static str,
    server: ureq::Proxy,
    /// Whether the proxy gets the requests themselves, instead of a request for a tunnel.
    is_forwarding: bool,
}

/// An agent that uses this proxy, or none. Without an explicit setting the library would read the environment by its
/// own rules. See docs/upstream.md#ureq-variables-of-proxies
pub(crate) fn agent(config: ConfigBuilder<AgentScope>, proxy: Option<&Proxy>) -> Agent {
    match proxy {
        Some(proxy) if proxy.is_forwarding => {
            forward::agent(config.proxy(None).build(), &proxy.server)
        }
        _ => config.proxy(proxy.map(|proxy| proxy.server.clone())).build().new_agent(),
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.server.host(), self.server.port());
        write!(f, "the proxy at {host}:{port} that {} names", self.variable)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// The proxy for `target`; None if the environment names none or exempts the target. An empty variable counts as
/// unset.
pub fn proxy_for(
    target: &Uri,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, Failure> {
    // `HTTP_PROXY` in upper case is not read: a web server sets it from the `Proxy` header of a visitor.
    let names: &[&'static str] = match target.scheme_str() {
        Some("https") => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        _ => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    let set = |name: &str| {
        environment(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    let Some((variable, value)) = names.iter().find_map(|name| Some((*name, set(name)?))) else {
        return Ok(None);
    };
    let exempted = set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default();
    if is_exempted(target.host().unwrap_or_default(), &exempted) {
        return Ok(None);
    }
    let wrong = |why: &str| {
        // The message does not repeat the value, because the value may hold a password.
        Failure::config(format!(
            "{variable} {why}; write it like http://proxy.example:3128, or name {} in no_proxy",
            target.host().unwrap_or_default()
        ))
    };
    let server = parse(&value).map_err(wrong)?;
    let speaks_http = matches!(server.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
    let is_forwarding = speaks_http && target.scheme_str() == Some("http");
    Ok(Some(Proxy { variable, server, is_forwarding }))
}

fn parse(value: &str) -> Result<ureq::Proxy, &'static str> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let (protocol, port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (ProxyProtocol::Http, PORT_DEFAULT),
        "https" => (ProxyProtocol::Https, 443),
        "socks" | "socks4" => (ProxyProtocol::Socks4, PORT_DEFAULT),
        "socks4a" => (ProxyProtocol::Socks4A, PORT_DEFAULT),
        "socks5" => (ProxyProtocol::Socks5, PORT_DEFAULT),
        "socks5h" => (ProxyProtocol::Socks5h, PORT_DEFAULT),
        _ => return Err("begins with neither http://, https:// nor socks5://"),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_path = !["", "/"].contains(&&rest[authority.len()..]);
    let is_scheme =
        |word: &str| word.eq_ignore_ascii_case("http") || word.eq_ignore_ascii_case("https");
    let is_user_a_scheme =
        authority.contains('@') && authority.split(':').next().is_some_and(is_scheme);
    if !value.contains("://") && (is_path || is_user_a_scheme) {
        // This is more likely a mistyped scheme than a host with a path, or a user with that name.
        return Err("is not a URL");
    }
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    let (host, port) = match place.rsplit_once(':') {
        // A colon inside brackets is part of the address.
        Some((host, digits)) if !digits.ends_with(']') => {
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let port = match digits {
                "" => Some(port),
                digits => digits.parse().ok().filter(|port| is_number && *port != 0),
            };
            (host, port.ok_or("has a port that is none")?)
        }
        _ => (place, port),
    };
    if !is_host(host) {
        return Err("names no host");
    }
    let mut builder = ureq::Proxy::builder(protocol).host(host).port(port);
    if let Some(user) = user {
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let decode = |text| percent_decode_str(text).decode_utf8().map_err(|_| "is not a URL");
        builder = builder.username(&decode(name)?).password(&decode(password)?);
    }
    builder.build().map_err(|_| "is not a URL")
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.bytes().all(is_usual)
}

/// Whether a list such as `localhost, .example.com 10.0.0.0/8` contains the host. A port in an entry is part of its
/// name, so such an entry matches no host, as in curl.
fn is_exempted(host: &str, list: &str) -> bool {
    if list == "*" {
        return true;
    }
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let host = host.strip_suffix('.').unwrap_or(host);
    list.split([',', ' ', '\t', '\n', '\r']).filter(|entry| !entry.is_empty()).any(|entry| {
        match address {
            Some(address) => holds(entry, address),
            None => is_within(host, entry),
        }
    })
}

/// Whether the host is the host of the entry, or one below it.
fn is_within(host: &str, entry: &str) -> bool {
    let entry = entry.strip_suffix('.').unwrap_or(entry);
    let entry = entry.strip_prefix('.').unwrap_or(entry);
    let Some(at) = host.len().checked_sub(entry.len()) else { return false };
    let is_end = host.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(entry));
    is_end && !entry.is_empty() && (at == 0 || host.as_bytes()[at - 1] == b'.')
}

/// Whether the entry, an address or a network such as `10.0.0.0/8`, contains this address.
fn holds(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => (network, bits.parse::<u32>().ok()),
        None => (entry, Some(0)),
    };
    let Some(bits) = bits else { return false };
    match address {
        IpAddr::V4(address) => network.parse::<Ipv4Addr>().is_ok_and(|network| {
            let differs = u128::from(u32::from(network) ^ u32::from(address));
            is_alike(differs, bits, 32)
        }),
        IpAddr::V6(address) => network
            .parse::<Ipv6Addr>()
            .is_ok_and(|network| is_alike(u128::from(network) ^ u128::from(address), bits, 128)),
    }
}

/// Whether the first `bits` bits of two addresses are equal, where `differs` is their difference. Zero bits mean all
/// bits.
fn is_alike(differs: u128, bits: u32, width: u32) -> bool {
    let bits = if bits == 0 { width } else { bits };
    bits <= width && differs >> (width - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host and port of the proxy for this target, `-` for no proxy, or the message of the error.
    fn place(target: &str, variables: &[(&str, &str)]) -> String {
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        match proxy_for(&target.parse().unwrap(), &environment) {
            Ok(None) => "-".to_owned(),
            Ok(Some(proxy)) => {
                format!("{}:{}", proxy.server.host(), proxy.server.port())
            }
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn the_variable_follows_from_the_scheme() {
        let (http, https) = ("http://exchange.example/x", "https://exchange.example/x");
        for (target, variables, expected, why) in [
            (http, &[("http_proxy", "http://p:1")][..], "p:1", "its own"),
            (http, &[("HTTP_PROXY", "http://p:1")], "-", "could be a visitor's header"),
            (http, &[("https_proxy", "p:1"), ("HTTPS_PROXY", "p:1")], "-", "another scheme's"),
            (https, &[("HTTPS_PROXY", "http://p:1")], "p:1", "its own"),
            (https, &[("HTTPS_PROXY", "p:1"), ("https_proxy", "q:2")], "q:2", "lower case first"),
            (https, &[("http_proxy", "p:1")], "-", "another scheme's"),
            (http, &[("ALL_PROXY", "p:1")], "p:1", "of everything"),
            (https, &[("ALL_PROXY", "p:1"), ("all_proxy", "q:2")], "q:2", "lower case first"),
            (https, &[("all_proxy", "p:1"), ("HTTPS_PROXY", "q:2")], "q:2", "the nearer one"),
            (https, &[("https_proxy", ""), ("HTTPS_PROXY", "q:2")], "q:2", "empty is unset"),
            (https, &[("https_proxy", " ")], "-", "empty is unset"),
            (http, &[], "-", "nothing"),
        ] {
            assert_eq!(place(target, variables), expected, "{target} {variables:?}: {why}");
        }
    }

    #[test]
    fn a_proxy_is_read_as_curl_reads_it_or_refused_without_its_password() {
        for (value, expected) in [
            ("http://p.example:3128", "p.example:3128"),
            ("p.example", "p.example:1080"),
            ("http://p.example/", "p.example:1080"),
            ("https://p.example", "p.example:443"),
            ("HTTP://me:hunter2@p.example:8080/x", "p.example:8080"),
            ("me:hunt@er2@p.example:8080", "p.example:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("http://[::1]", "[::1]:1080"),
            ("socks5://p.example", "p.example:1080"),
            ("socks5h://p.example:9", "p.example:9"),
            ("http://me:hunter2@", "names no host"),
            ("http://", "names no host"),
            ("http//me:hunter2@p", "is not a URL"),
            ("http:/me:hunter2@p", "is not a URL"),
            ("http:me:hunter2@p", "is not a URL"),
            ("htp://me:hunter2@p:1", "begins with neither"),
            ("http://me:hunter2@p:port", "a port that is none"),
            ("http://me:hunter2@p:70000", "a port that is none"),
            ("http://me:hunter2@p q:1", "names no host"),
            ("http://me:%ff@p:1", "is not a URL"),
        ] {
            let said = place("https://e.example/", &[("HTTPS_PROXY", value)]);
            let is_error = expected.contains(' ');
            assert!(said == expected || is_error && said.contains(expected), "{value}: {said}");
            assert!(!said.contains("hunt"), "{said}");
            assert!(!is_error || said.starts_with("HTTPS_PROXY "), "{said}");
        }
        let environment = |name: &str| {
            (name == "all_proxy").then(|| "http://me:hunter2@p.example:8080".to_owned())
        };
        let proxy = proxy_for(&Uri::from_static("https://e/"), &environment).unwrap().unwrap();
        assert_eq!(proxy.server.password(), Some("hunter2"));
        let said = format!("{proxy} {proxy:?}");
        assert!(said.contains("all_proxy") && !said.contains("hunter2"), "{said}");
    }

    /// The exemptions in this table; `tests/it/proxies.rs` compares with curl.
    #[test]
    fn exemptions_are_read_as_curl_reads_them() {
        for (host, list, is_exempted, why) in [
            ("e.example", "e.example", true, "itself"),
            ("e.example", "E.EXAMPLE.", true, "in any case, with a dot at the end"),
            ("e.example.", "e.example", true, "with a dot at its end"),
            ("api.e.example", "e.example", true, "below it"),
            ("api.e.example", ".e.example", true, "below it"),
            ("e.example", ".e.example", true, "itself, dot or not"),
            ("none.example", "e.example", false, "another"),
            ("more.example", "e.example", false, "another that ends alike"),
            ("e.example", "*.example", false, "no such wildcard"),
            ("e.example", "*", true, "everything"),
            ("e.example", "*,x", false, "only by itself"),
            ("e.example", "x, e.example ,y", true, "blanks around it"),
            ("e.example", "x e.example", true, "blanks between"),
            ("e.example", "x,,\t e.example", true, "several"),
            ("e.example", "e.example:80", false, "a port is part of the name"),
            ("e.example", ",", false, "nothing"),
            ("127.0.0.1", "127.0.0.1", true, "an address"),
            ("127.0.0.1", "127.0.0.0/8", true, "a network"),
            ("127.0.0.1", "127.0.0.0/24,x", true, "a network"),
            ("127.0.0.1", "127.0.1.0/24", false, "another"),
            ("127.0.0.1", "127.0.0.0/0", false, "no bits are all bits"),
            ("127.0.0.1", "127.0.0.1/33", false, "too many"),
            ("127.0.0.1", "0.0.1", false, "no suffixes of addresses"),
            ("127.0.0.1", "localhost", false, "nothing is looked up"),
            ("[::1]", "::1", true, "an address"),
            ("[fd00::5]", "fd00::/8", true, "a network"),
            ("[fe00::5]", "fd00::/8", false, "another"),
        ] {
            let target = format!("http://{host}:80/");
            let variables = [("http_proxy", "p:1"), ("no_proxy", list)];
            let expected = if is_exempted { "-" } else { "p:1" };
            assert_eq!(place(&target, &variables), expected, "{host} {list}: {why}");
            let upper = [("ALL_PROXY", "p:1"), ("NO_PROXY", list)];
            assert_eq!(place(&target, &upper), expected, "{host} {list}: {why}");
        }
        let both = [("http_proxy", "p:1"), ("no_proxy", "x"), ("NO_PROXY", "e.example")];
        assert_eq!(place("http://e.example/", &both), "p:1", "lower case first");
    }
}
