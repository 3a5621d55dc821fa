//! The texts beside the files: a dataset card, and how to cite the data.

use std::fmt::Write as _;

use super::manifest::{Package, Parts};
use crate::domain::export::{Format, date};

/// The name of the card: forges and dataset hubs show it.
pub(super) const CARD: &str = "README.md";
/// The name of the citation file.
pub(super) const CITATION: &str = "CITATION.cff";

/// A text in quotes, as YAML and JSON take it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The dataset card. Its head says to a hub which files are the data.
pub(super) fn card(package: &Package, parts: &Parts<'_>) -> String {
    let ours = &package.kalshi_ingest;
    let suffix = parts.format.as_str();
    let mut text = format!(
        "---\npretty_name: {}\ntags:\n- kalshi\n- prediction-markets\nconfigs:\n- config_name: default\n  \
         data_files: {}\n---\n\n# {}\n\n",
        quoted(package.title()),
        quoted(&format!("**/*.{suffix}")),
        package.title()
    );
    let (from, until) = (parts.window.from, parts.window.until);
    let _ = write!(
        text,
        "| | |\n| --- | --- |\n| window | {from} until {until} |\n| rows | {} |\n| files | {} |\n| bytes | {} |\n",
        ours.rows,
        parts.entries.len(),
        ours.bytes,
    );
    if let Some(contracts) = &ours.contracts {
        let _ = writeln!(text, "| contracts | {contracts} |");
    }
    if let Some(is_complete) = ours.complete {
        let word = |is_so| if is_so { "yes" } else { "not all" };
        let _ = writeln!(text, "| complete | {} |", word(is_complete));
        let _ = writeln!(text, "| final | {} |", word(ours.is_final));
    }
    let _ = write!(
        text,
        "\n`datapackage.json` has a line for each file: rows, bytes, SHA-256 and window; whether it is complete (all \
         trades that the exchange has shown are there) and final (it will not change any more); its score against the \
         exchange's own volume, where somebody compared them. Days without rows have no file and stand there too.\n\n\
         {}\n## Columns\n\n| column | meaning |\n| --- | --- |\n",
        reading(parts.format)
    );
    for column in parts.table.columns() {
        let _ = writeln!(text, "| `{}` | {} |", column.name, column.meaning);
    }
    let sorted: Vec<String> =
        parts.table.sorted_by().iter().map(|name| format!("`{name}`")).collect();
    let _ = write!(
        text,
        "\nThe rows of a file are sorted by {}. The folders `series=…` and `date=…` are hive partitions; unusual \
         letters in names are percent-encoded.\n",
        sorted.join(", ")
    );
    text
}

/// How to read the files.
fn reading(format: Format) -> String {
    let (duckdb, polars) = match format {
        Format::Parquet => {
            ("read_parquet", "pl.scan_parquet('**/*.parquet', hive_partitioning=True)")
        }
        Format::Csv => ("read_csv", "pl.scan_csv('**/*.csv')"),
        Format::Jsonl => ("read_json", "pl.scan_ndjson('**/*.jsonl')"),
    };
    let suffix = format.as_str();
    format!(
        "```sql\n-- DuckDB\nselect * from {duckdb}('**/*.{suffix}', hive_partitioning = true);\n```\n\n\
         ```python\nimport polars as pl\n{polars}\n```\n"
    )
}

/// The citation file.
pub(super) fn citation(package: &Package, parts: &Parts<'_>) -> String {
    format!(
        "cff-version: 1.2.0\nmessage: If you use these data, please cite them as below.\ntype: dataset\n\
         title: {}\nauthors:\n- name: Kalshi\nabstract: {}\nversion: {}\ndate-released: {}\n",
        quoted(package.title()),
        quoted("Data of the exchange Kalshi, collected and exported by kalshi-ingest."),
        quoted(package.id()),
        quoted(&date(parts.now)),
    )
}
