//! The manifest of a folder: `datapackage.json`, with the properties that versions 1 and 2 of Data Package share. Our
//! own facts stand under one key.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::hashed::sha256;
use crate::domain::export::{
    Bare, Claim, Content, Format, Kind, Known, Partition, Past, Planned, Span, Table, date,
    of_resource,
};
use crate::domain::fixed;
use crate::domain::time::Timestamp;

/// The name of the file.
pub(super) const MANIFEST: &str = "datapackage.json";
/// The name of the file with the columns.
pub(super) const SCHEMA: &str = "schema.json";
/// A build with other columns or names of files has another number: it writes all files again.
const LAYOUT: u32 = 1;

const DAY: Duration = Duration::from_secs(86_400);

/// The facts that make two exports the same: a folder holds one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    table: String,
    format: String,
    partition_by: String,
    selection: Vec<String>,
    shard: String,
}

impl Identity {
    /// The identity of an export.
    pub fn new(
        (table, format, partition): (Table, Format, Partition),
        selection: Vec<String>,
        shard: String,
    ) -> Identity {
        Identity {
            table: table.as_str().to_owned(),
            format: format.as_str().to_owned(),
            partition_by: partition.as_str().to_owned(),
            selection,
            shard,
        }
    }

    /// The first difference to another export, in words.
    pub(super) fn difference(&self, other: &Identity) -> Option<String> {
        let pairs = [
            ("--table", &self.table, &other.table),
            ("--format", &self.format, &other.format),
            ("--partition-by", &self.partition_by, &other.partition_by),
            ("--shard", &self.shard, &other.shard),
        ];
        let differs = pairs.into_iter().find(|(_, ours, theirs)| ours != theirs);
        if let Some((flag, ours, theirs)) = differs {
            return Some(format!("{flag} {ours}, and this one is {flag} {theirs}"));
        }
        let (ours, theirs) = (self.selection.join(", "), other.selection.join(", "));
        (ours != theirs).then(|| format!("{ours}, and this one is of {theirs}"))
    }
}

/// A file that is there, as the manifest and the journal know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The path below the folder.
    pub path: String,
    /// The length.
    pub bytes: u64,
    /// The checksum, in hexadecimal digits.
    pub sha256: String,
    /// Our facts.
    pub facts: Facts,
}

/// Our facts about a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    contracts: Option<String>,
    newest_stored_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    market: Option<String>,
    window: Window,
    complete: Option<bool>,
    complete_until: Option<String>,
    #[serde(rename = "final")]
    is_final: bool,
    score: Option<f64>,
    exchange: Option<Exchange>,
}

/// A half-open span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    from: String,
    until: String,
}

/// The exchange's own figures, beside ours at that time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Exchange {
    contracts: String,
    stored_contracts: String,
    scored_at: String,
    /// Whether the figures are of the window of the file. Else they are of longer spans, such as the life of a market.
    of_window: bool,
}

impl Window {
    fn of(span: Span) -> Window {
        Window { from: span.from.to_string(), until: span.until.to_string() }
    }

    pub(super) fn span(&self) -> Option<Span> {
        let from = Timestamp::parse_rfc3339(&self.from)?;
        Some(Span { from, until: Timestamp::parse_rfc3339(&self.until)? })
    }
}

fn contracts(e2: i64) -> String {
    let sign = if e2 < 0 { "-" } else { "" };
    format!("{sign}{}", fixed::format(e2.saturating_abs(), 2))
}

impl Facts {
    /// The facts of a planned file.
    pub(super) fn of(planned: &Planned, has_contracts: bool) -> Facts {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let Claim { is_complete, complete_until, is_final } = planned.claim;
        Facts {
            rows: planned.content.rows,
            contracts: has_contracts.then(|| contracts(planned.content.contracts_e2)),
            newest_stored_at: text(planned.content.newest),
            series: planned.series.as_deref().map(str::to_owned),
            date: planned.day.map(date),
            market: planned.market.as_deref().map(str::to_owned),
            window: Window::of(planned.window),
            complete: is_complete,
            complete_until: text(complete_until),
            is_final,
            score: planned.looked.map(|looked| looked.score),
            exchange: planned.looked.map(|looked| Exchange {
                contracts: contracts(looked.exchange_e2),
                stored_contracts: contracts(looked.stored_e2),
                scored_at: looked.scored_at.to_string(),
                of_window: looked.is_of_window,
            }),
        }
    }

    /// The file of this path, as plans know it.
    pub(super) fn past(&self, path: &str) -> Past {
        // The window of the first day of an export can begin in the middle of that day.
        let day = self.window.span().map(|span| span.from.floor_to(DAY));
        Past {
            path: path.to_owned(),
            series: self.series.as_deref().map(Box::from),
            day: day.filter(|_| self.date.is_some()),
            market: self.market.as_deref().map(Box::from),
            rows: self.rows,
        }
    }

    /// The content and the claim; `None` if they cannot be read.
    pub(super) fn known(&self) -> Option<Known> {
        let instant = |text: &Option<String>| match text {
            None => Some(None),
            Some(text) => Timestamp::parse_rfc3339(text).map(Some),
        };
        let contracts_e2 = match &self.contracts {
            Some(text) => fixed::parse(text, 2).ok()?,
            None => 0,
        };
        let newest = instant(&self.newest_stored_at)?;
        let content = Content { rows: self.rows, contracts_e2, newest, numbers: None };
        let complete_until = instant(&self.complete_until)?;
        let claim = Claim { is_complete: self.complete, complete_until, is_final: self.is_final };
        Some(Known { content, claim })
    }
}

/// The manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Package {
    name: String,
    id: String,
    title: String,
    description: String,
    pub(super) created: String,
    keywords: Vec<String>,
    sources: Vec<serde_json::Value>,
    resources: Vec<Resource>,
    pub(super) kalshi_ingest: Ours,
}

/// A file in the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Resource {
    name: String,
    path: String,
    format: String,
    mediatype: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
    bytes: u64,
    hash: String,
    schema: String,
    kalshi_ingest: Facts,
}

/// Our facts about the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ours {
    layout: u32,
    program: String,
    #[serde(flatten)]
    pub(super) identity: Identity,
    pub(super) window: Window,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) contracts: Option<String>,
    pub(super) complete: Option<bool>,
    #[serde(rename = "final")]
    pub(super) is_final: bool,
    without_rows: Vec<Without>,
}

/// Days or a market without rows: they have no file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Without {
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    market: Option<String>,
    #[serde(flatten)]
    window: Window,
    complete: bool,
}

/// Everything that a manifest is made of.
pub(super) struct Parts<'p> {
    pub(super) table: Table,
    pub(super) format: Format,
    pub(super) identity: &'p Identity,
    pub(super) window: Span,
    pub(super) entries: &'p [Entry],
    pub(super) bare: &'p [Bare],
    /// Whether all markets of the selection are known.
    pub(super) is_listed: bool,
    pub(super) now: Timestamp,
}

impl Package {
    pub(super) fn new(parts: &Parts<'_>) -> Package {
        let Parts { table, format, identity, window, entries, bare, is_listed, now } = parts;
        let whole: Vec<String> =
            entries.iter().map(|entry| format!("{} {}", entry.sha256, entry.path)).collect();
        let of = identity.selection.join(", ");
        let of = if of == "all" { "all markets".to_owned() } else { of };
        let words = table.as_str().replace('_', " ");
        let (from, until) = (window.from.to_string(), window.until.to_string());
        let judged = |entry: &Entry| entry.facts.complete.is_none_or(|is_complete| is_complete);
        let complete = table.has_claims().then(|| {
            *is_listed && entries.iter().all(judged) && bare.iter().all(|b| b.is_complete)
        });
        let without = |bare: &Bare| Without {
            series: bare.series.as_deref().map(str::to_owned),
            market: bare.market.as_deref().map(str::to_owned),
            window: Window::of(bare.span),
            complete: bare.is_complete,
        };
        let sum: i64 =
            entries.iter().filter_map(|e| Some(e.facts.known()?.content.contracts_e2)).sum();
        Package {
            name: format!("kalshi-{}", table.as_str().replace('_', "-")),
            id: format!("sha256:{}", sha256(whole.join("\n").as_bytes())),
            title: format!("Kalshi {words} of {of}"),
            description: format!(
                "Kalshi {words} of {of}, from {from} until {until}, exported by kalshi-ingest. The key \
                 kalshi_ingest says of each file whether it is complete and final, and how it compares \
                 with the exchange's own volume."
            ),
            created: now.to_string(),
            keywords: ["kalshi", "prediction markets", &words].map(str::to_owned).into(),
            sources: vec![json!({"title": "Kalshi", "path": "https://kalshi.com"})],
            resources: entries.iter().map(|entry| resource(entry, *format)).collect(),
            kalshi_ingest: Ours {
                layout: LAYOUT,
                program: concat!("kalshi-ingest ", env!("CARGO_PKG_VERSION")).to_owned(),
                identity: (*identity).clone(),
                window: Window::of(*window),
                rows: entries.iter().map(|entry| entry.facts.rows).sum(),
                bytes: entries.iter().map(|entry| entry.bytes).sum(),
                contracts: table.has_claims().then(|| contracts(sum)),
                complete,
                is_final: complete == Some(true) && entries.iter().all(|e| e.facts.is_final),
                without_rows: bare.iter().map(without).collect(),
            },
        }
    }

    /// The files; none if another layout wrote them.
    pub(super) fn entries(&self) -> Vec<Entry> {
        if self.kalshi_ingest.layout != LAYOUT {
            return Vec::new();
        }
        let entry = |resource: &Resource| Entry {
            path: resource.path.clone(),
            bytes: resource.bytes,
            sha256: resource.hash.trim_start_matches("sha256:").to_owned(),
            facts: resource.kalshi_ingest.clone(),
        };
        self.resources.iter().map(entry).collect()
    }

    /// The paths of the files, of whatever layout.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(|resource| &*resource.path)
    }

    /// The identity of the content.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Whether both say the same, whenever they were made.
    pub(super) fn says_the_same_as(&self, other: &Package) -> bool {
        *self == Package { created: self.created.clone(), ..other.clone() }
    }

    pub(super) fn to_json(&self) -> String {
        // No value of it can fail to be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn resource(entry: &Entry, format: Format) -> Resource {
    Resource {
        name: of_resource(&entry.path),
        path: entry.path.clone(),
        format: format.as_str().to_owned(),
        mediatype: format.media_type().to_owned(),
        encoding: (format != Format::Parquet).then(|| "utf-8".to_owned()),
        bytes: entry.bytes,
        hash: format!("sha256:{}", entry.sha256),
        schema: SCHEMA.to_owned(),
        kalshi_ingest: entry.facts.clone(),
    }
}

/// The columns as a Table Schema.
pub(super) fn schema(table: Table) -> String {
    let field = |column: &crate::domain::export::Column| {
        let kind = match column.kind {
            Kind::Text => "string",
            Kind::Bool => "boolean",
            Kind::Integer => "integer",
            Kind::Decimal(..) => "number",
            Kind::Instant => "datetime",
        };
        let format = if column.kind == Kind::Instant { "any" } else { "default" };
        json!({
            "name": column.name,
            "type": kind,
            "format": format,
            "description": column.meaning,
            "constraints": {"required": !column.is_nullable},
        })
    };
    let fields: Vec<serde_json::Value> = table.columns().iter().map(field).collect();
    let mut schema = json!({"fields": fields});
    if let Some(key) = table.key() {
        schema["primaryKey"] = json!([key]);
    }
    format!("{schema:#}\n")
}
