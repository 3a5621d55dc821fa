//! Checks the signature of a request, for tests of a client that signs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::http::Request;
use crate::rules::Rules;

/// Checks the three headers, if the rules demand them; the error is the `details` of a 401.
pub(crate) fn check(rules: &Rules, request: &Request, now_us: i64) -> Result<(), &'static str> {
    let Some(key) = &rules.require_signature else { return Ok(()) };
    let header = |name, missing| request.header(name).ok_or(missing);
    let key_id = header("kalshi-access-key", "no KALSHI-ACCESS-KEY")?;
    let timestamp = header("kalshi-access-timestamp", "no KALSHI-ACCESS-TIMESTAMP")?;
    let signature = header("kalshi-access-signature", "no KALSHI-ACCESS-SIGNATURE")?;
    if !key.is_named(key_id) {
        return Err("unknown key");
    }
    let timestamp_ms: i64 = timestamp.parse().map_err(|_| "timestamp is not milliseconds")?;
    let skew_ms = (now_us / 1_000).abs_diff(timestamp_ms);
    if rules.signature_skew_max_ms.is_some_and(|skew_max_ms| skew_max_ms < skew_ms) {
        return Err("timestamp too far from the exchange's time");
    }
    let signature = STANDARD.decode(signature).map_err(|_| "signature is not base64")?;
    let message = format!("{timestamp}{}{}", request.method, request.path);
    let is_genuine = key.verifies(message.as_bytes(), &signature);
    if is_genuine { Ok(()) } else { Err("incorrect signature") }
}
