//! A server that writes the plan of each executed statement to its log, with the work that the statement did.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store::{DatabaseUrl, Missing, Store, TRADES_TABLE};
use postgres::{Client, NoTls};
use serde_json::Value;

use crate::support::postgres::Server;

/// The module that explains what was executed. It belongs to the server, and is no extension of a database.
const EXPLAIN: &[&str] = &[
    "auto_explain.log_min_duration=0",
    "auto_explain.log_analyze=on",
    "auto_explain.log_buffers=on",
    "auto_explain.log_timing=off",
    "auto_explain.log_format=json",
];

/// The table that a replay writes in these tests.
pub(super) const OTHER_TABLE: &str = "trades_new";

pub(super) struct Observed {
    server: Server,
    /// The length of the log that was read.
    read: usize,
}

/// The work of a statement: independent of the machine, and of what is in its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Pages that were looked at or changed.
    pub(super) buffers: u64,
    /// Rows that the parts of the plan met, whether they kept them or not.
    pub(super) rows: u64,
}

/// The executions of a statement.
#[derive(Clone, Debug, Default)]
pub(super) struct Executed {
    pub(super) cost: Cost,
    /// The plan of the most expensive one, for people.
    pub(super) plan: String,
    rows_max: u64,
}

/// The cost of each statement, by its name.
pub(super) type Costs = BTreeMap<String, Executed>;

impl Observed {
    pub(super) fn start() -> Observed {
        let server = Server::start_with(EXPLAIN, |_, _| {});
        let mut client = Client::connect(&server.url("postgres"), NoTls).unwrap();
        if let Err(error) = client.batch_execute("load 'auto_explain'") {
            panic!(
                "the server cannot explain its plans: {error}. auto_explain belongs to Debian's \
                 postgresql, and elsewhere to postgresql-contrib: install that"
            );
        }
        let always = "alter role all set session_preload_libraries = 'auto_explain'";
        client.batch_execute(always).unwrap();
        Observed { server, read: 0 }
    }

    /// Makes a database with our tables and what `sql` puts into it; answers with its name.
    pub(super) fn database(&self, sql: &str) -> String {
        let url = self.server.create_database();
        drop(open(&url, true));
        let mut client = Client::connect(&url, NoTls).unwrap();
        client.batch_execute("set auto_explain.log_min_duration = -1").unwrap();
        client.batch_execute(sql).unwrap();
        client.query_one("select current_database()", &[]).unwrap().get(0)
    }

    /// The URL of a copy of a database.
    pub(super) fn copy(&self, template: &str, is_analyzed: bool) -> String {
        let url = self.server.copy(template);
        if is_analyzed {
            Client::connect(&url, NoTls).unwrap().batch_execute("vacuum analyze").unwrap();
        }
        url
    }

    /// Does some work; answers with what it cost.
    pub(super) fn costs(&mut self, work: impl FnOnce()) -> Costs {
        self.read = self.server.log().len();
        work();
        let log = self.server.log();
        let mut costs = Costs::new();
        let names = names();
        for plan in plans(&log[self.read..]) {
            let text = plan["Query Text"].as_str().unwrap().trim();
            let name = names.get(text).cloned().unwrap_or_else(|| format!("other: {text:.60}"));
            let executed = costs.entry(name).or_default();
            let rows = rows(&plan["Plan"]);
            if executed.plan.is_empty() || rows > executed.rows_max {
                (executed.plan, executed.rows_max) = (shape(&plan["Plan"]), rows);
            }
            executed.cost.rows += rows;
            executed.cost.buffers +=
                ["Shared Hit Blocks", "Shared Read Blocks", "Shared Dirtied Blocks"]
                    .iter()
                    .map(|kind| plan["Plan"][kind].as_u64().unwrap())
                    .sum::<u64>();
        }
        costs
    }
}

/// The store under test.
pub(super) fn open(url: &str, is_migrated: bool) -> Box<dyn Store> {
    let url = DatabaseUrl::parse(url, &|_| None).unwrap();
    let mut store = url.open(Missing::Create, VENUE.source).unwrap();
    if is_migrated {
        store.migrate(Timestamp::from_seconds(0)).unwrap();
    }
    store
}

/// The plans in a piece of the log: JSON on lines that begin with a tab.
fn plans(log: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.contains("LOG:  duration: ") || !line.ends_with(" plan:") {
            continue;
        }
        let mut json = String::new();
        while let Some(next) = lines.next_if(|next| next.starts_with('\t')) {
            json.push_str(next);
        }
        found.push(serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}")));
    }
    found
}

/// The rows that a part of a plan met, with those of the parts below it.
fn rows(node: &Value) -> u64 {
    let figure = |name: &str| node[name].as_f64().unwrap_or(0.0);
    let met = 1.0
        + figure("Actual Rows")
        + figure("Rows Removed by Filter")
        + figure("Rows Removed by Join Filter")
        + figure("Rows Removed by Index Recheck");
    // The rows are a mean over the loops; newer servers tell its fraction as well.
    let own: u64 = format!("{:.0}", met * figure("Actual Loops")).parse().unwrap();
    own + node["Plans"].as_array().into_iter().flatten().map(rows).sum::<u64>()
}

/// A plan in one line: its parts, each with the rows that it met.
fn shape(node: &Value) -> String {
    let word = |name: &str| node[name].as_str().unwrap_or_default();
    let below: Vec<String> = node["Plans"].as_array().into_iter().flatten().map(shape).collect();
    let own = rows(node) - node["Plans"].as_array().into_iter().flatten().map(rows).sum::<u64>();
    let about = [word("Node Type"), word("Index Name"), word("Relation Name"), word("Index Cond")];
    format!("{} {own} [{}]", about.join(" "), below.join(", "))
}

/// The named statements of a dialect: file, name, text.
pub(super) fn statements(dialect: &str) -> Vec<(String, String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(dialect);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = format!("\n{}", fs::read_to_string(&path).unwrap());
        for part in text.split("\n-- name: ").skip(1) {
            let (name, sql) = part.split_once('\n').unwrap();
            found.push((file.clone(), name.to_owned(), sql.trim().to_owned()));
        }
    }
    assert!(found.len() > 50, "{found:?}");
    found
}

/// The names of the statements of PostgreSQL, by the text that the server gets.
fn names() -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (_, name, sql) in statements("postgres") {
        for table in [TRADES_TABLE, OTHER_TABLE] {
            names.insert(sql.replace("{target}", table), name.clone());
        }
    }
    names
}
