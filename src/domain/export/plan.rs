//! The files of an export, and whether a file has to be written again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::claims::Claims;
use super::names::{date, path, path_of_nothing};
use super::scores::{Looked, Scores};
use super::{Claim, Content, Count, Format, Member, Partition, Span, Table};
use crate::domain::backfill::LIFESPAN_MARGIN;
use crate::domain::time::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// The rows of small markets that are read by one statement. So many are sorted in memory.
const ROWS_PER_READ: u64 = 20_000;

/// The wanted part of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The table.
    pub table: Table,
    /// The format of the files.
    pub format: Format,
    /// The rows that share a file.
    pub partition: Partition,
    /// The window.
    pub span: Span,
    /// The end of the part that has to be complete.
    pub judged_until: Timestamp,
    /// Our clock.
    pub now: Timestamp,
}

/// A file of the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The path below the folder of the export.
    pub path: String,
    /// The series of its markets, if known.
    pub series: Option<Box<str>>,
    /// Its day, if it holds one.
    pub day: Option<Timestamp>,
    /// Its market, if it holds one.
    pub market: Option<Box<str>>,
    /// The span whose rows are read.
    pub span: Span,
    /// The part of the span in which rows were possible: the claim is about this window.
    pub window: Span,
    /// The markets that have rows in it, sorted, with the number of these.
    pub markets: Vec<(Box<str>, u64)>,
    /// The content.
    pub content: Content,
    /// The claim.
    pub claim: Claim,
    /// The figures of the exchange; `None` where nobody looked.
    pub looked: Option<Looked>,
}

/// Days or a market without rows: they have no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bare {
    /// The series, if known.
    pub series: Option<Box<str>>,
    /// The market, if files are of markets.
    pub market: Option<Box<str>>,
    /// The days, from the first instant on.
    pub span: Span,
    /// Whether nothing is missing.
    pub is_complete: bool,
}

/// All files of an export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The files, by path.
    pub files: Vec<Planned>,
    /// The parts without rows.
    pub bare: Vec<Bare>,
    /// The paths of published files that stay as they are, because the database has lost rows of them.
    pub kept: Vec<String>,
    /// Whether the judged part of all of these is complete, and all markets are known for that part.
    pub is_complete: bool,
    /// Whether all markets are known for the whole window. Of a market that is on no list nothing says that it is
    /// missing, neither a file nor a part without rows.
    pub is_listed: bool,
}

/// A file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The content.
    pub content: Content,
    /// The claim.
    pub claim: Claim,
}

/// Whether the file that is there has the rows and the claim of the plan.
pub fn is_current(known: Known, planned: &Planned) -> bool {
    let Content { rows, contracts_e2, newest, numbers: _ } = planned.content;
    let Content { rows: old_rows, contracts_e2: old_contracts, newest: old_newest, numbers: _ } =
        known.content;
    let is_same_claim = known.claim == planned.claim
        // Where a complete file ends can move with the window without a change of its rows.
        || planned.claim.is_complete == Some(true)
            && known.claim.is_complete == Some(true)
            && known.claim.is_final == planned.claim.is_final;
    (rows, contracts_e2, newest) == (old_rows, old_contracts, old_newest) && is_same_claim
}

/// The parts of the markets of a file that are read by one statement: each as many as are sorted in memory, at least
/// one market.
pub fn reads(markets: &[(Box<str>, u64)]) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut rows = 0;
    for (at, (_, count)) in markets.iter().enumerate() {
        match parts.last_mut() {
            Some(part) if rows + count <= ROWS_PER_READ => {
                part.end = at + 1;
                rows += count;
            }
            _ => {
                parts.push(at..at + 1);
                rows = *count;
            }
        }
    }
    parts
}

/// The rows of each market, by series.
type BySeries<'a> = BTreeMap<Option<&'a str>, Rows<'a>>;

/// The members and the counted rows of a series.
#[derive(Default)]
struct Rows<'a> {
    members: Vec<&'a Member>,
    counts: Vec<&'a Count>,
}

/// Plans the files of an export.
pub fn plan(
    wanted: Wanted,
    members: &[Member],
    counts: &[Count],
    claims: &Claims,
    scores: &Scores,
) -> Plan {
    let members = &possible(members, counts);
    let mut series: BySeries<'_> = BTreeMap::new();
    let mut of: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for member in members {
        of.insert(member.market.as_str(), member.series.as_deref());
        series.entry(member.series.as_deref()).or_default().members.push(member);
    }
    for count in counts.iter().filter(|count| count.content.rows > 0) {
        let name = of.get(&*count.market).copied().flatten();
        series.entry(name).or_default().counts.push(count);
    }
    let mut plan = Plan { is_complete: true, is_listed: true, ..Plan::default() };
    let planner = Planner { wanted, claims, scores };
    for (name, rows) in &series {
        match (wanted.table, wanted.partition) {
            (Table::Markets, _) => planner.whole(*name, rows, &mut plan),
            (_, Partition::Day) => planner.days(*name, rows, &mut plan),
            (_, Partition::Market) => planner.markets(*name, rows, &mut plan),
        }
    }
    let judge = |file: &Planned| planner.is_judged_complete(file.claim, file.window);
    plan.is_complete &= plan.files.iter().all(judge);
    planner.judge_lists(&series, &mut plan);
    if plan.files.is_empty() {
        plan.files.push(planner.nothing(&plan));
    }
    plan.files.sort_by(|a, b| a.path.cmp(&b.path));
    plan
}

/// The members, each with the time from which on a trade of it was possible. The exchange can move the opening of a
/// market after its first trades.
fn possible(members: &[Member], counts: &[Count]) -> Vec<Member> {
    let mut first: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for count in counts {
        let day = first.entry(&*count.market).or_insert(count.day);
        *day = count.day.min(*day);
    }
    let possible = |member: &Member| {
        let first = first.get(member.market.as_str()).copied();
        let sure = |open: Timestamp| open.before(LIFESPAN_MARGIN).floor();
        let open_time =
            member.open_time.map(|open| first.map_or(sure(open), |at| at.min(sure(open))));
        Member { open_time, ..member.clone() }
    };
    members.iter().map(possible).collect()
}

struct Planner<'a> {
    wanted: Wanted,
    claims: &'a Claims,
    scores: &'a Scores,
}

impl Planner<'_> {
    /// A file for each day with rows.
    fn days(&self, series: Option<&str>, rows: &Rows<'_>, plan: &mut Plan) {
        let mut by_day: BTreeMap<Timestamp, Vec<&Count>> = BTreeMap::new();
        for count in &rows.counts {
            by_day.entry(count.day).or_default().push(count);
        }
        let all = self.wanted.span;
        let mut day = all.from.floor_to(DAY);
        while day < all.until {
            let next = day.after(DAY);
            let Some(span) = all.and(Span { from: day, until: next }) else { break };
            match by_day.get(&day) {
                Some(counts) => {
                    let of_day = date(day);
                    let part = Some((Partition::Day, &*of_day));
                    let mut file = self.file(series, part, (span, span), counts, &rows.members);
                    file.day = Some(day);
                    plan.files.push(file);
                }
                None => self.bare(series, None, span, &rows.members, plan),
            }
            day = next;
        }
    }

    /// A file for each market with rows.
    fn markets(&self, series: Option<&str>, rows: &Rows<'_>, plan: &mut Plan) {
        let mut by_market: BTreeMap<&str, Vec<&Count>> = BTreeMap::new();
        for count in &rows.counts {
            by_market.entry(&count.market).or_default().push(count);
        }
        let members: BTreeMap<&str, &Member> =
            rows.members.iter().map(|member| (member.market.as_str(), *member)).collect();
        let names: BTreeSet<&str> = by_market.keys().chain(members.keys()).copied().collect();
        for market in names {
            let own: Vec<&Member> = members.get(market).copied().into_iter().collect();
            let window = own.first().map_or(self.wanted.span, |member| self.life(member));
            match by_market.get(market) {
                Some(counts) => {
                    let part = Some((Partition::Market, market));
                    let spans = (self.wanted.span, window);
                    let mut file = self.file(series, part, spans, counts, &own);
                    file.market = Some(market.into());
                    plan.files.push(file);
                }
                None => self.bare(series, Some(market), window, &own, plan),
            }
        }
    }

    /// One file for all rows of a series.
    fn whole(&self, series: Option<&str>, rows: &Rows<'_>, plan: &mut Plan) {
        if !rows.counts.is_empty() {
            let spans = (self.wanted.span, self.wanted.span);
            plan.files.push(self.file(series, None, spans, &rows.counts, &rows.members));
        }
    }

    /// The part of the window in which a market can trade. The end of a market is sure when it is retired.
    fn life(&self, member: &Member) -> Span {
        let all = self.wanted.span;
        let from = member.open_time.map_or(all.from, Timestamp::floor);
        let until = self.claims.retired_at(member).unwrap_or(all.until);
        all.and(Span { from, until }).unwrap_or(all)
    }

    fn file(
        &self,
        series: Option<&str>,
        part: Option<(Partition, &str)>,
        (span, window): (Span, Span),
        counts: &[&Count],
        members: &[&Member],
    ) -> Planned {
        let Wanted { table, format, .. } = self.wanted;
        let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
        let mut content = Content::default();
        for count in counts {
            *rows.entry(&*count.market).or_default() += count.content.rows;
            content = content.and(count.content);
        }
        let able = || members.iter().copied().filter(|member| member.touches(window));
        let looked = if table.has_scores() {
            self.scores.of_file(able(), |market| rows.contains_key(market), window)
        } else {
            None
        };
        Planned {
            path: path((table, format), series, part),
            series: series.map(Box::from),
            day: None,
            market: None,
            span,
            window,
            content,
            claim: self.claim(series, part, window, members),
            looked,
            markets: rows.into_iter().map(|(market, rows)| (market.into(), rows)).collect(),
        }
    }

    fn claim(
        &self,
        series: Option<&str>,
        part: Option<(Partition, &str)>,
        window: Span,
        members: &[&Member],
    ) -> Claim {
        if !self.wanted.table.has_claims() {
            return Claim::NONE;
        }
        let able = || members.iter().copied().filter(|member| member.touches(window));
        let until = match (part, members) {
            (Some((Partition::Market, _)), [member]) => self.claims.of_market(member, window),
            _ => self.claims.of_series(series, able(), window),
        };
        let is_complete = until >= window.until;
        let is_over = window.until.after(DAY) <= self.wanted.now;
        Claim {
            is_complete: Some(is_complete),
            complete_until: (until > window.from).then_some(until),
            is_final: is_complete && is_over && !self.claims.is_lowered(able(), window),
        }
    }

    /// Judges the lists of markets. A day of a series is complete only when its list is; nothing else judges the list
    /// of a series whose files are of markets, nor that of a series without any.
    fn judge_lists(&self, found: &BySeries<'_>, plan: &mut Plan) {
        let Wanted { table, partition, span, judged_until, .. } = self.wanted;
        if !table.has_claims() {
            return;
        }
        let by_market = found.keys().copied().filter(|_| partition == Partition::Market);
        let without = self.claims.series().filter(|name| !found.contains_key(name));
        let ends = by_market.chain(without).map(|name| self.claims.listed_until(name, span));
        // Without any name, that of the whole exchange.
        let nobody =
            if found.is_empty() { self.claims.listed_until(None, span) } else { span.until };
        let end = ends.min().unwrap_or(nobody);
        plan.is_listed = end >= span.until;
        plan.is_complete &= end >= judged_until.min(span.until) || span.from >= judged_until;
    }

    /// Whether the judged part of this window is complete.
    fn is_judged_complete(&self, claim: Claim, window: Span) -> bool {
        let until = self.wanted.judged_until.min(window.until);
        claim.is_complete != Some(false)
            || window.from >= until
            || claim.complete_until.is_some_and(|complete| complete >= until)
    }

    /// Notes a part without rows; days that follow each other become one part.
    fn bare(
        &self,
        series: Option<&str>,
        market: Option<&str>,
        span: Span,
        members: &[&Member],
        plan: &mut Plan,
    ) {
        let part = market.map(|market| (Partition::Market, market));
        let claim = self.claim(series, part, span, members);
        let Some(is_complete) = claim.is_complete else { return };
        plan.is_complete &= self.is_judged_complete(claim, span);
        if let Some(last) = plan.bare.last_mut().filter(|_| market.is_none())
            && (last.series.as_deref(), last.is_complete) == (series, is_complete)
            && last.span.until == span.from
        {
            last.span.until = span.until;
            return;
        }
        let (series, market) = (series.map(Box::from), market.map(Box::from));
        plan.bare.push(Bare { series, market, span, is_complete });
    }

    /// The one file of an export without rows.
    fn nothing(&self, plan: &Plan) -> Planned {
        let Wanted { table, format, span, now, .. } = self.wanted;
        let is_complete = plan.is_listed && plan.bare.iter().all(|bare| bare.is_complete);
        let claim = if table.has_claims() {
            Claim {
                is_complete: Some(is_complete),
                complete_until: is_complete.then_some(span.until),
                is_final: is_complete && span.until.after(DAY) <= now,
            }
        } else {
            Claim::NONE
        };
        Planned {
            path: path_of_nothing(table, format),
            series: None,
            day: None,
            market: None,
            span,
            window: span,
            markets: Vec::new(),
            content: Content::default(),
            claim,
            looked: None,
        }
    }
}
