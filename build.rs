//! Names the commit in `--version`, where it is known.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=KALSHI_INGEST_COMMIT");
    let version = env!("CARGO_PKG_VERSION");
    let version = match commit() {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    };
    println!("cargo:rustc-env=KALSHI_INGEST_VERSION={version}");
}

/// From the variable, which a build without a repository sets, or from the repository.
fn commit() -> Option<String> {
    let given = env::var("KALSHI_INGEST_COMMIT").unwrap_or_default();
    let given = given.trim();
    if !given.is_empty() {
        return Some(given.chars().take(12).collect());
    }
    // The commit of a repository that merely surrounds the sources is not theirs.
    if !Path::new(".git").exists() {
        return None;
    }
    for path in ["HEAD", "logs/HEAD"] {
        if let Some(file) =
            git(&["rev-parse", "--git-path", path]).filter(|file| Path::new(file).exists())
        {
            println!("cargo:rerun-if-changed={file}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| output.status.success() && !text.is_empty())
}
