//! Lists that are cut short: they end after some rows, and no cursor shows that there are more.

use kalshi_simulator::Answer;

/// The same request with this number of rows. `None` if it asks for no list, or for rows below an instant without a
/// lower bound: a client that asks in this way whether a list has ended gets a correct answer.
pub fn target(target: &str, rows: usize) -> Option<String> {
    let (path, query) = target.split_once('?')?;
    let has = |name: &str| query.split('&').any(|part| part.starts_with(name));
    if has("max_ts=") && !has("min_ts=") {
        return None;
    }
    let is_limit = |part: &&str| part.starts_with("limit=");
    query.split('&').find(is_limit)?;
    let limit = format!("limit={rows}");
    let parts: Vec<&str> =
        query.split('&').map(|part| if is_limit(&part) { limit.as_str() } else { part }).collect();
    Some(format!("{path}?{}", parts.join("&")))
}

/// Removes the cursor from an answer, as if no row followed. Returns whether it had one.
pub fn end(answer: &mut Answer) -> bool {
    const START: &[u8] = b"{\"cursor\":\"";
    if answer.status != 200 || !answer.body.starts_with(START) {
        return false;
    }
    let rest = &answer.body[START.len()..];
    match rest.iter().position(|byte| *byte == b'"') {
        None | Some(0) => false,
        Some(len) => {
            answer.body.drain(START.len()..START.len() + len);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_fewer_rows_of_the_same_list() {
        let asked = "/markets/trades?limit=1000&ticker=KXA-1&min_ts=7";
        assert_eq!(
            target(asked, 3).as_deref(),
            Some("/markets/trades?limit=3&ticker=KXA-1&min_ts=7")
        );
        assert_eq!(target("/historical/cutoff", 3), None);
        assert_eq!(target("/markets/trades?limit=1000&max_ts=9", 3), None, "whether it ends");
    }
}
