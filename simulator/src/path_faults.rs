//! Chooses the fault of a request by its path.

use std::collections::VecDeque;

use crate::fault::Fault;

/// Scripted faults come first, then lasting ones; of several that match, the one set first counts.
#[derive(Default)]
pub(crate) struct PathFaults {
    scripts: Vec<(String, VecDeque<Fault>)>,
    lasting: Vec<(String, Fault)>,
}

impl PathFaults {
    pub(crate) fn script(&mut self, pattern: &str, faults: impl IntoIterator<Item = Fault>) {
        match self.scripts.iter_mut().find(|(known, _)| known == pattern) {
            Some((_, script)) => script.extend(faults),
            None => self.scripts.push((pattern.to_owned(), faults.into_iter().collect())),
        }
    }

    pub(crate) fn always(&mut self, pattern: &str, fault: Option<Fault>) {
        self.lasting.retain(|(known, _)| known != pattern);
        self.lasting.extend(fault.map(|fault| (pattern.to_owned(), fault)));
    }

    pub(crate) fn clear(&mut self) {
        *self = PathFaults::default();
    }

    /// The fault of the next request of this path below the base; `param` returns its parameters.
    pub(crate) fn next<'a>(
        &mut self,
        path: &str,
        param: impl Fn(&str) -> Option<&'a str>,
    ) -> Fault {
        let is_meant = |pattern: &str| matches(pattern, path, &param);
        let scripts = self.scripts.iter_mut().filter(|(pattern, _)| is_meant(pattern));
        let scripted = { scripts }.find_map(|(_, script)| script.pop_front());
        let lasting = || self.lasting.iter().find(|(pattern, _)| is_meant(pattern));
        let fault = scripted.or_else(|| lasting().map(|(_, fault)| *fault));
        fault.filter(|fault| is_of_any_path(*fault)).unwrap_or(Fault::None)
    }
}

/// A question mark in a pattern means the same as in a URL: the path ends, and a parameter may follow.
fn matches<'a>(pattern: &str, path: &str, param: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let (pattern, wanted) = pattern.split_once('?').unwrap_or((pattern, ""));
    if let Some((name, value)) = wanted.split_once('=')
        && param(name) != Some(value)
    {
        return false;
    }
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    }
}

/// Whether the fault applies to other paths than those of trades.
fn is_of_any_path(fault: Fault) -> bool {
    match fault {
        Fault::None
        | Fault::Status(_)
        | Fault::TooMany { .. }
        | Fault::LeaveAlone { .. }
        | Fault::Reset
        | Fault::Closed
        | Fault::ResetMidHeaders
        | Fault::Truncated
        | Fault::Garbage
        | Fault::NotTrades
        | Fault::SlowBody { .. }
        | Fault::Hang { .. }
        | Fault::Huge { .. }
        | Fault::EmptyPageWithCursor
        | Fault::EmptyList
        | Fault::IgnoredFilters => true,
        Fault::RepeatCursor
        | Fault::RefusedCursor
        | Fault::IgnoredCursor
        | Fault::DuplicatedRows
        | Fault::Unordered
        | Fault::Redirect
        | Fault::CloseAfter => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_whole_paths_or_their_starts() {
        for (pattern, path, is_match) in [
            ("/markets", "/markets", true),
            ("/markets", "/markets/trades", false),
            ("/markets?", "/markets", true),
            ("/markets*", "/markets/trades", true),
            ("/markets/*", "/markets", false),
            ("/markets/*", "/markets/KXA-1", true),
            ("*", "/events", true),
            ("/markets?limit=5", "/markets", true),
            ("/markets?limit=6", "/markets", false),
            ("/markets?status=open", "/markets", false),
        ] {
            let limit = |name: &str| (name == "limit").then_some("5");
            assert_eq!(matches(pattern, path, &limit), is_match, "{pattern} {path}");
        }
    }

    #[test]
    fn scripts_come_first_and_once() {
        let none = |_: &str| None;
        let mut plan = PathFaults::default();
        plan.always("/a", Some(Fault::Status(503)));
        plan.script("/a*", [Fault::Reset]);
        plan.script("/a", [Fault::None, Fault::Garbage]);
        plan.script("/a*", [Fault::Closed]);
        assert_eq!(plan.next("/b", none), Fault::None);
        let drawn: Vec<Fault> = (0..5).map(|_| plan.next("/a", none)).collect();
        let lasting = Fault::Status(503);
        assert_eq!(drawn, [Fault::Reset, Fault::Closed, Fault::None, Fault::Garbage, lasting]);
        plan.always("/a", None);
        assert_eq!(plan.next("/a", none), Fault::None);
        plan.script("/a", [Fault::Unordered]);
        assert_eq!(plan.next("/a", none), Fault::None, "it is about trades");
    }
}
