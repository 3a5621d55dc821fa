//! What each `sslmode` makes of which server: the table of `tls.rs`.

use super::Seen::{self, Encrypted, Misread, Plain, Refused};
use super::server::{At, Shows};

/// One row of the table: what the server shows, how it is named, who comes (see `pg_hba.conf` in
/// `server.rs`), with what options; what is to become of it and what the one line says about it.
pub(super) type Row<'a> = (Shows, At, &'a str, &'a str, Seen, &'a str);

/// The columns of the matrix.
pub(super) const MODES: [&str; 6] =
    ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// What becomes of each of them, as in libpq: the certificate, who comes, whether there is an
/// `sslrootcert`.
pub(super) const MATRIX: &[(Shows, &str, bool, [Seen; 6])] = &[
    (Shows::Good, "anyhow", false, [Plain, Plain, Encrypted, Encrypted, Misread, Refused]),
    (Shows::Good, "anyhow", true, [Plain, Plain, Encrypted, Encrypted, Encrypted, Encrypted]),
    (Shows::Good, "encrypted", false, [Refused, Encrypted, Encrypted, Encrypted, Misread, Refused]),
    (
        Shows::Good,
        "encrypted",
        true,
        [Refused, Encrypted, Encrypted, Encrypted, Encrypted, Encrypted],
    ),
    (Shows::Good, "plain", true, [Plain, Plain, Plain, Refused, Refused, Refused]),
    (Shows::SelfSigned, "anyhow", false, [Plain, Plain, Encrypted, Encrypted, Misread, Refused]),
    (Shows::SelfSigned, "anyhow", true, [Plain, Plain, Plain, Refused, Refused, Refused]),
    (
        Shows::SelfSigned,
        "encrypted",
        false,
        [Refused, Encrypted, Encrypted, Encrypted, Misread, Refused],
    ),
    (Shows::SelfSigned, "encrypted", true, [Refused; 6]),
    (Shows::OtherHost, "anyhow", false, [Plain, Plain, Encrypted, Encrypted, Misread, Refused]),
    (Shows::OtherHost, "anyhow", true, [Plain, Plain, Encrypted, Encrypted, Encrypted, Refused]),
    (
        Shows::OtherHost,
        "encrypted",
        false,
        [Refused, Encrypted, Encrypted, Encrypted, Misread, Refused],
    ),
    (
        Shows::OtherHost,
        "encrypted",
        true,
        [Refused, Encrypted, Encrypted, Encrypted, Encrypted, Refused],
    ),
    (Shows::Expired, "anyhow", false, [Plain, Plain, Encrypted, Encrypted, Misread, Refused]),
    (Shows::Expired, "anyhow", true, [Plain, Plain, Plain, Refused, Refused, Refused]),
    (
        Shows::Expired,
        "encrypted",
        false,
        [Refused, Encrypted, Encrypted, Encrypted, Misread, Refused],
    ),
    (Shows::Expired, "encrypted", true, [Refused; 6]),
    (Shows::Nothing, "anyhow", false, [Plain, Plain, Plain, Refused, Misread, Refused]),
    (Shows::Nothing, "anyhow", true, [Plain, Plain, Plain, Refused, Refused, Refused]),
];

/// Rows on which libpq agrees, both on whether they connect and on the encryption. (It must be
/// of version 15 or later: older ones know no addresses in certificates.)
pub(super) const AS_LIBPQ: &[Row<'static>] = &[
    // Who takes no TLS, and who asks for none.
    (Shows::Nothing, At::Localhost, "anyhow", "", Plain, ""),
    (Shows::Nothing, At::Localhost, "anyhow", "sslmode=require", Refused, "does not support TLS"),
    (Shows::Nothing, At::Localhost, "anyhow", VERIFY, Refused, "does not support TLS"),
    (Shows::Nothing, At::Socket, "anyhow", "sslmode=prefer", Plain, ""),
    (Shows::Nothing, At::Socket, "anyhow", "sslmode=require", Plain, ""),
    (Shows::Good, At::Socket, "encrypted", "sslmode=prefer", Plain, ""),
    (Shows::Good, At::Socket, "encrypted", VERIFY, Plain, ""),
    (Shows::Good, At::Localhost, "encrypted", "sslmode=disable", Refused, "no encryption"),
    // A certificate for this server, signed by the root.
    (Shows::Good, At::Localhost, "anyhow", "", Encrypted, ""),
    (Shows::Good, At::Localhost, "plain", "sslmode=require", Refused, "pg_hba.conf"),
    (Shows::Good, At::Localhost, "stranger", "sslmode=prefer", Refused, "password authentication"),
    (Shows::Good, At::Localhost, "stranger", "sslmode=allow", Refused, "password authentication"),
    (Shows::Good, At::Number, "encrypted", VERIFY, Encrypted, ""),
    (Shows::Good, At::Elsewhere, "encrypted", CHAIN, Encrypted, ""),
    (Shows::Good, At::Elsewhere, "encrypted", VERIFY, Refused, "db.example"),
    (Shows::Chained, At::Localhost, "encrypted", CHAIN, Encrypted, ""),
    (Shows::Chained, At::Localhost, "encrypted", VERIFY, Encrypted, ""),
    // The address alone: there is no host to compare.
    (Shows::Good, At::Nameless, "encrypted", "", Encrypted, ""),
    (Shows::Good, At::Nameless, "encrypted", CHAIN, Encrypted, ""),
    (Shows::Good, At::Nameless, "encrypted", VERIFY, Misread, "needs a host"),
    // The password's exchange is tied to the certificate, whatever signed that.
    (Shows::Good, At::Localhost, "encrypted", BOUND, Encrypted, ""),
    (Shows::Chained, At::Localhost, "encrypted", BOUND, Encrypted, ""),
    // For another host: only `verify-full` asks.
    (Shows::OtherHost, At::Localhost, "encrypted", VERIFY, Refused, "not valid for name"),
    (Shows::OtherHost, At::Number, "encrypted", VERIFY, Refused, "not valid for name"),
    (Shows::OtherHost, At::Elsewhere, "encrypted", VERIFY, Encrypted, ""),
    // Signed by nobody: nobody but itself vouches for it.
    (Shows::SelfSigned, At::Localhost, "encrypted", CHAIN, Refused, "UnknownIssuer"),
    (Shows::SelfSigned, At::Localhost, "encrypted", VERIFY, Refused, "UnknownIssuer"),
    (Shows::SelfSigned, At::Localhost, "encrypted", CHAIN_ITSELF, Encrypted, ""),
    (Shows::SelfSigned, At::Localhost, "encrypted", VERIFY_ITSELF, Encrypted, ""),
    (Shows::SelfSignedAuthority, At::Localhost, "encrypted", "sslmode=require", Encrypted, ""),
    (Shows::SelfSignedAuthority, At::Localhost, "encrypted", VERIFY, Refused, "certificate"),
    (Shows::SelfSignedAuthority, At::Localhost, "encrypted", CHAIN_ITSELF, Encrypted, ""),
    (Shows::SelfSignedAuthority, At::Localhost, "encrypted", VERIFY_ITSELF, Encrypted, ""),
    (
        Shows::SelfSignedAuthority,
        At::Elsewhere,
        "encrypted",
        VERIFY_ITSELF,
        Refused,
        "NotValidForName",
    ),
    // Too old: whoever checks the chain minds.
    (Shows::Expired, At::Localhost, "encrypted", CHAIN, Refused, "expired"),
    (Shows::Expired, At::Localhost, "encrypted", VERIFY, Refused, "expired"),
    // The older customs.
    (Shows::CommonName, At::Localhost, "encrypted", CHAIN, Encrypted, ""),
    (Shows::CommonName, At::Localhost, "encrypted", VERIFY, Encrypted, ""),
    (Shows::CommonName, At::Number, "encrypted", VERIFY, Refused, "not valid for name"),
    (Shows::VersionOne, At::Localhost, "encrypted", CHAIN, Refused, "of X.509 version 1"),
    // Taken back by who signed it.
    (Shows::Good, At::Localhost, "encrypted", REVOKED_OTHER, Encrypted, ""),
    (Shows::Good, At::Localhost, "encrypted", REVOKED_THIS, Refused, "Revoked"),
    // Versions of TLS.
    (Shows::Good, At::Localhost, "encrypted", "ssl_max_protocol_version=TLSv1.2", Encrypted, ""),
    (Shows::Good, At::Localhost, "encrypted", "ssl_min_protocol_version=TLSv1.3", Encrypted, ""),
    // `sslrootcert` that is no such thing.
    (Shows::Good, At::Localhost, "encrypted", CHAIN_MISSING, Encrypted, ""),
    (Shows::Good, At::Localhost, "encrypted", CA_MISSING, Misread, "/no/such/root.crt"),
    (Shows::Good, At::Localhost, "encrypted", VERIFY_MISSING, Misread, "/no/such/root.crt"),
    (Shows::Good, At::Localhost, "encrypted", VERIFY_GARBAGE, Misread, "it holds no certificate"),
    (Shows::Good, At::Localhost, "anyhow", PREFER_GARBAGE, Plain, ""),
    (Shows::Good, At::Localhost, "encrypted", "sslmode=maybe", Misread, "use disable, allow"),
    // Who is known by a certificate.
    (Shows::Good, At::Localhost, "certified", CERTIFIED, Encrypted, ""),
    (Shows::Good, At::Localhost, "certified", CERTIFIED_VERIFY, Encrypted, ""),
    (Shows::Good, At::Localhost, "certified", CERTIFIED_ALLOW, Encrypted, ""),
    (Shows::Good, At::Localhost, "certified", "sslmode=require", Refused, "client certificate"),
    (Shows::Good, At::Localhost, "certified", OTHER_NAME, Refused, "certificate authentication"),
    (Shows::Good, At::Localhost, "certified", OTHER_AUTHORITY, Refused, ""),
    (Shows::Good, At::Localhost, "certified", NO_CERTIFICATE, Refused, "client certificate"),
    (Shows::Good, At::Localhost, "certified", NO_KEY, Misread, "there is no sslkey"),
    (Shows::Good, At::Localhost, "certified", OPEN_KEY, Misread, "can be read by others"),
    (Shows::Good, At::Localhost, "certified", OTHER_KEY, Misread, "do not go together"),
    (Shows::Good, At::Localhost, "anyhow", OPEN_KEY_PREFER, Plain, ""),
    (Shows::Good, At::Localhost, "vouched", CERTIFIED, Encrypted, ""),
    (Shows::Good, At::Localhost, "vouched", "sslmode=require", Refused, "client certificate"),
];

const BOUND: &str = "sslmode=require&channel_binding=require";
const CHAIN: &str = "sslmode=require&sslrootcert=ROOT";
const CHAIN_ITSELF: &str = "sslmode=require&sslrootcert=ITSELF";
const CHAIN_MISSING: &str = "sslmode=require&sslrootcert=/no/such/root.crt";
const CA_MISSING: &str = "sslmode=verify-ca&sslrootcert=/no/such/root.crt";
pub(super) const VERIFY: &str = "sslmode=verify-full&sslrootcert=ROOT";
const VERIFY_ITSELF: &str = "sslmode=verify-full&sslrootcert=ITSELF";
const VERIFY_MISSING: &str = "sslmode=verify-full&sslrootcert=/no/such/root.crt";
const VERIFY_GARBAGE: &str = "sslmode=verify-full&sslrootcert=GARBAGE";
const PREFER_GARBAGE: &str = "sslmode=prefer&sslrootcert=GARBAGE";
const REVOKED_OTHER: &str = "sslmode=verify-full&sslrootcert=ROOT&sslcrl=CERTS/other.crl";
const REVOKED_THIS: &str = "sslmode=verify-full&sslrootcert=ROOT&sslcrl=CERTS/this.crl";

const CERTIFIED: &str = "sslmode=require&sslcert=CERTS/certified.crt&sslkey=CERTS/certified.key";
const CERTIFIED_VERIFY: &str =
    "sslmode=verify-full&sslrootcert=ROOT&sslcert=CERTS/certified.crt&sslkey=CERTS/certified.key";
const CERTIFIED_ALLOW: &str =
    "sslmode=allow&sslcert=CERTS/certified.crt&sslkey=CERTS/certified.key";
const OTHER_NAME: &str = "sslmode=require&sslcert=CERTS/other-name.crt&sslkey=CERTS/other-name.key";
const OTHER_AUTHORITY: &str =
    "sslmode=require&sslcert=CERTS/other-authority.crt&sslkey=CERTS/other-authority.key";
const NO_CERTIFICATE: &str = "sslmode=require&sslcert=CERTS/none.crt&sslkey=CERTS/certified.key";
const NO_KEY: &str = "sslmode=require&sslcert=CERTS/certified.crt&sslkey=CERTS/none.key";
const OPEN_KEY: &str = "sslmode=require&sslcert=CERTS/certified.crt&sslkey=CERTS/open.key";
const OPEN_KEY_PREFER: &str = "sslmode=prefer&sslcert=CERTS/certified.crt&sslkey=CERTS/open.key";
const OTHER_KEY: &str = "sslmode=require&sslcert=CERTS/certified.crt&sslkey=CERTS/other-name.key";
const LOCKED_KEY: &str =
    "sslmode=require&sslcert=CERTS/locked.crt&sslkey=CERTS/locked.key&sslpassword=throwaway";

/// Rows on which libpq differs: what it does, and why that is so.
pub(super) const UNLIKE_LIBPQ: &[(Row<'static>, Seen, &str)] = &[
    (
        (Shows::VersionOne, At::Localhost, "encrypted", "sslmode=require", Refused, "version 1"),
        Encrypted,
        "rustls reads no certificate of X.509 version 1",
    ),
    (
        (Shows::VersionOne, At::Localhost, "anyhow", "", Refused, "version 1"),
        Encrypted,
        "and what would be encrypted elsewhere is not sent in clear",
    ),
    (
        (Shows::Good, At::Localhost, "certified", LOCKED_KEY, Misread, "is encrypted"),
        Encrypted,
        "rustls reads no key under a passphrase",
    ),
];
