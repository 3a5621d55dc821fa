//! `export`: the rows of a table as files with a manifest, or as one stream. It reads the database alone.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::database::Database;
use super::outside::{Output, Outside};
use crate::clock::StopFlag;
use crate::config::{ExportPlan, Place};
use crate::dataset::{self, Folder, Identity, Published, Receiver};
use crate::domain::export::{
    Claim, Claims, Content, Count, Evidence, Format, Member, Membership, Plan, Planned, Scores,
    Span, Table, Wanted, keep, plan as plan_files, reads,
};
use crate::domain::market::WatchRecord;
use crate::domain::scope::{GroupId, Scope};
use crate::domain::selection::Target;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::kalshi::VENUE;
use crate::store::{Snapshot, Store};

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn export(
    plan: &ExportPlan,
    database: &Database,
    outside: &Outside,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    if plan.place == Place::Stdout && plan.format == Format::Parquet && io::stdout().is_terminal() {
        let message = "Parquet is no text for a terminal; redirect stdout, or name a --directory";
        return Err(Failure::config(message).into());
    }
    let exporter = Exporter { plan, outside, stop };
    database.read(|store| match &plan.place {
        Place::Stdout => Ok(exporter.to_stdout(store)?),
        Place::Directory(path) => Ok(exporter.to_folder(path, store)?),
    })
}

struct Exporter<'a> {
    plan: &'a ExportPlan,
    outside: &'a Outside,
    stop: &'a StopFlag,
}

impl Exporter<'_> {
    fn to_folder(&self, path: &Path, store: &mut dyn Store) -> Result<Exit, Failure> {
        let ExportPlan { table, format, partition, selection, .. } = self.plan;
        let names = selection.watches().iter().map(|watch| watch.target.name()).collect();
        let identity =
            Identity::new((*table, *format, *partition), names, selection.shard().to_string());
        let mut folder = Folder::open(path, identity, (*table, *format))?;
        let mut planned = None;
        let read = store.export(&mut |snapshot| {
            let (mut plan, span) = self.plan_files(snapshot, folder.window())?;
            keep(&mut plan, *table, &folder.past());
            snapshot.check()?;
            let wanted: Vec<&Planned> =
                plan.files.iter().filter(|file| !folder.has(file)).collect();
            let rows: u64 = wanted.iter().map(|file| file.content.rows).sum();
            log::info!("writing {} of {} files, {rows} rows", wanted.len(), plan.files.len());
            for file in wanted {
                folder.write(file, &mut |write| self.read(snapshot, file, write))?;
            }
            planned = Some((plan, span));
            Ok(())
        });
        if let (Err(_), Some(signal)) = (&read, self.stop.signal()) {
            folder.leave();
            log::info!("ended early; the same command goes on with the files that are left");
            return Ok(Exit::of_signal(signal));
        }
        if let Err(failure) = read {
            folder.leave();
            return Err(failure);
        }
        let nothing = || Failure::new(Kind::StoreRefused, "the database gave no answer at all");
        let (plan, span) = planned.ok_or_else(nothing)?;
        let Published { written, files, rows, bytes } =
            folder.publish(&plan, span, self.outside.clock.now())?;
        let exit = judge(&plan);
        log::info!(
            "export ended: files={files} written={written} rows={rows} bytes={bytes} exit={}",
            exit.code()
        );
        Ok(exit)
    }

    fn to_stdout(&self, store: &mut dyn Store) -> Result<Exit, Failure> {
        let ExportPlan { table, format, .. } = self.plan;
        let mut exit = Exit::Ok;
        let mut is_closed = false;
        let has_written = AtomicBool::new(false);
        let read = store.export(&mut |snapshot| {
            let (plan, span) = self.plan_files(snapshot, None)?;
            snapshot.check()?;
            exit = judge(&plan);
            let mut out = Pipe { output: &self.outside.output, has_written: &has_written };
            let wrong = |error: io::Error| {
                let message = "writing the rows to stdout failed; check where it goes to";
                Failure::config(message).because(error)
            };
            let mut rows = dataset::writer(*format, *table, &[], &mut out).map_err(wrong)?;
            let whole = whole(&plan, span);
            self.read(snapshot, &whole, &mut |cells| {
                rows.write(cells).map_err(|error| {
                    is_closed |= error.kind() == io::ErrorKind::BrokenPipe;
                    wrong(error)
                })
            })?;
            rows.finish().map_err(|error| {
                is_closed |= error.kind() == io::ErrorKind::BrokenPipe;
                wrong(error)
            })
        });
        match (read, self.stop.signal()) {
            // A reader that stops early is no error.
            (Err(_), _) if is_closed => Ok(exit),
            (Err(_), Some(signal)) => Ok(Exit::of_signal(signal)),
            // Done again, it would write the same rows after those that are out.
            (Err(failure), _)
                if has_written.load(Ordering::Relaxed) && failure.kind.is_temporary() =>
            {
                let message = "the database failed after a part of the rows was written to stdout; \
                               throw that part away and export again";
                Err(Failure::new(Kind::StoreUnavailable, message).because(failure))
            }
            (read, _) => read.map(|()| exit),
        }
    }

    /// Plans the files. The window of a folder only grows.
    fn plan_files(
        &self,
        snapshot: &mut dyn Snapshot,
        before: Option<Span>,
    ) -> Result<(Plan, Span), Failure> {
        let ExportPlan { table, format, partition, from, until, judged_until, .. } = *self.plan;
        let (members, entries) = self.members(snapshot)?;
        let mut markets: Vec<Box<str>> =
            members.iter().map(|member| Box::from(member.market.as_str())).collect();
        if table == Table::RawEvents && self.plan.selection.is_all() {
            // Those that name no market.
            markets.push(Scope::Tape.as_str().into());
        }
        let ever = Span { from: from.unwrap_or(VENUE.first_trades), until };
        let span = before.map_or(ever, |before| before.hull(ever));
        let counts = snapshot.counts(table, &markets, span)?;
        let span = match (from, before) {
            (Some(_), _) => span,
            (None, None) => Span { from: first(&counts, span), ..span },
            (None, Some(before)) => Span { from: first(&counts, span).min(before.from), ..span },
        };
        let claims = if table.has_claims() {
            self.claims(snapshot, &members, &entries, span)?
        } else {
            Claims::default()
        };
        let scores = if table.has_scores() {
            Scores::of(snapshot.scores(&markets)?)
        } else {
            Scores::default()
        };
        let now = self.outside.clock.now();
        let wanted = Wanted { table, format, partition, span, judged_until, now };
        Ok((plan_files(wanted, &members, &counts, &claims, &scores), span))
    }

    /// The markets of the selection by the database alone, each once, by ticker; and the entries that stand for others,
    /// each with its record and its markets.
    fn members(&self, snapshot: &mut dyn Snapshot) -> Result<(Vec<Member>, Vec<Found>), Failure> {
        let selection = &self.plan.selection;
        let mut all: Vec<Member> = Vec::new();
        let mut found = Vec::new();
        for watch in selection.watches() {
            let target = &watch.target;
            let members = snapshot.members(target)?;
            let record = snapshot.entries(&[target.name()])?.pop();
            if !self.is_known(target, &members, record.as_ref(), snapshot)? {
                return Err(Failure::config(format!(
                    "nothing of {} is stored; check its name, or read it first with run or backfill",
                    target.name()
                )));
            }
            if target.is_resolved() {
                found.push(Found { target: target.clone(), record, members: members.clone() });
            }
            all.extend(members);
        }
        // Of a market that comes twice, the one whose series is known.
        all.sort_by(|a, b| {
            a.market.cmp(&b.market).then(b.series.is_some().cmp(&a.series.is_some()))
        });
        all.dedup_by(|later, kept| later.market == kept.market);
        all.retain(|member| selection.shard().holds(&member.market));
        Ok((all, found))
    }

    /// Whether anything is on record of an entry.
    fn is_known(
        &self,
        target: &Target,
        members: &[Member],
        record: Option<&WatchRecord>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<bool, Failure> {
        let Target::Market(ticker) = target else {
            return Ok(*target == Target::All || record.is_some() || !members.is_empty());
        };
        if members.iter().any(|member| member.series.is_some() || member.open_time.is_some()) {
            return Ok(true);
        }
        if !snapshot.checkpoints(&[ticker.clone().into()])?.is_empty() {
            return Ok(true);
        }
        let ever = Span { from: VENUE.first_trades, until: self.plan.until };
        Ok(!snapshot.counts(self.plan.table, &[ticker.as_str().into()], ever)?.is_empty())
    }

    fn claims(
        &self,
        snapshot: &mut dyn Snapshot,
        members: &[Member],
        entries: &[Found],
        span: Span,
    ) -> Result<Claims, Failure> {
        let is_all = self.plan.selection.is_all();
        let mut scopes = vec![Scope::Tape];
        let mut group = None;
        if !is_all {
            let touching = members.iter().filter(|member| member.touches(span));
            let touching: Vec<Ticker> = touching.map(|member| member.market.clone()).collect();
            let of_group = Scope::Group(GroupId::of(&touching));
            scopes.push(of_group.clone());
            group = Some(of_group);
        }
        scopes.extend(members.iter().map(|member| Scope::Market(member.market.clone())));
        let evidence = Evidence {
            checkpoints: snapshot.checkpoints(&scopes)?,
            slices: snapshot.slices(&scopes, span)?,
            lowered: snapshot.lowered(&scopes)?,
            group,
            memberships: entries.iter().map(Found::membership).collect(),
            is_all,
        };
        Ok(Claims::of(&evidence, VENUE.live_min))
    }

    /// Reads the rows of a file.
    fn read(
        &self,
        snapshot: &mut dyn Snapshot,
        file: &Planned,
        write: &mut Receiver<'_>,
    ) -> Result<(), Failure> {
        let table = self.plan.table;
        // Without an index by market, each part would look at all rows of the file.
        let parts = match table {
            Table::RawEvents => std::iter::once(0..file.markets.len()).collect(),
            _ => reads(&file.markets),
        };
        for part in parts {
            let names: Vec<Box<str>> =
                file.markets[part].iter().map(|(market, _)| market.clone()).collect();
            snapshot.rows(table, &names, file.span, file.content, &mut |cells| {
                if self.stop.signal().is_some() {
                    return Err(Failure::config("the export was ended by a signal"));
                }
                write(cells)
            })?;
        }
        snapshot.check()
    }
}

/// The exit status; says what is not complete.
fn judge(plan: &Plan) -> Exit {
    if let Some(first) = plan.kept.first() {
        log::warn!(
            "{} files stay as they were published, because the database has lost rows of them (the first: {first}); \
             export to the --directory of a new folder to have the rows that are stored now",
            plan.kept.len()
        );
    }
    if plan.is_complete {
        return if plan.kept.is_empty() { Exit::Ok } else { Exit::Incomplete };
    }
    if !plan.is_listed {
        log::warn!(
            "not all markets of the selection are known for the whole window; `kalshi-ingest markets` lists those of a \
             series, and the tape (`run --all`) those of the exchange"
        );
    }
    let is_open = |file: &&Planned| file.claim.is_complete == Some(false);
    let open: Vec<&Planned> = plan.files.iter().filter(is_open).collect();
    let days = plan.bare.iter().filter(|bare| !bare.is_complete).count();
    let first = open.first().map(|file| format!("; the first: {}", file.path));
    log::warn!(
        "{} of {} files and {days} spans without rows are not complete{}; `kalshi-ingest backfill` \
         completes the past",
        open.len(),
        plan.files.len(),
        first.unwrap_or_default()
    );
    Exit::Incomplete
}

/// An entry of the selection that stands for other markets.
struct Found {
    target: Target,
    record: Option<WatchRecord>,
    members: Vec<Member>,
}

impl Found {
    fn membership(&self) -> Membership {
        let mut series: Vec<Option<Box<str>>> =
            self.members.iter().map(|member| member.series.clone()).collect();
        if let Target::Series(own) = &self.target {
            series.push(Some(own.as_str().into()));
        }
        series.sort();
        series.dedup();
        let record = self.record.as_ref();
        // Where a sync could not read the description of a market, and none before it read all, its mark stays at the
        // first trades: that market is not known.
        let synced = |record: &WatchRecord| {
            let is_read = record.synced_until.is_none_or(|until| until > VENUE.first_trades);
            record.synced_at.filter(|_| is_read)
        };
        let listed = |record: &WatchRecord| record.resolved_at.max(synced(record));
        Membership {
            series,
            first_selected_at: record.map(|record| record.first_selected_at),
            is_synced: record.and_then(synced).is_some(),
            listed_until: record.and_then(listed),
        }
    }
}

/// The beginning of the first day with rows; of a span without rows its last day.
fn first(counts: &[Count], span: Span) -> Timestamp {
    let first = counts.iter().map(|count| count.day).min();
    first.unwrap_or_else(|| span.until.before(DAY).floor_to(DAY)).max(span.from)
}

/// All files as one.
fn whole(plan: &Plan, span: Span) -> Planned {
    let mut markets: BTreeMap<Box<str>, u64> = BTreeMap::new();
    let mut content = Content::default();
    for file in &plan.files {
        content = content.and(file.content);
        for (market, rows) in &file.markets {
            *markets.entry(market.clone()).or_default() += rows;
        }
    }
    Planned {
        path: String::new(),
        series: None,
        day: None,
        market: None,
        span,
        window: span,
        markets: markets.into_iter().collect(),
        content,
        claim: Claim::NONE,
        looked: None,
    }
}

/// The receiver of the answers as a writer, which knows whether it has received anything.
struct Pipe<'a> {
    output: &'a Output,
    has_written: &'a AtomicBool,
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.has_written.store(true, Ordering::Relaxed);
        (self.output)(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
