//! The files that an export has finished and not published yet. After a kill the next run goes on with them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::{Entry, Identity};

const JOURNAL: &str = "journal.jsonl";

/// A finished file, and the name under which it waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Staged {
    pub(super) name: String,
    pub(super) entry: Entry,
}

/// The journal of a folder.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    file: File,
    pub(super) staged: Vec<Staged>,
}

/// The identity of the export that left a journal in this folder; `None` if there is none that can be read.
pub(super) fn identity(folder: &Path) -> Option<Identity> {
    let text = fs::read_to_string(folder.join(JOURNAL)).ok()?;
    serde_json::from_str(text.lines().next()?).ok()
}

impl Journal {
    /// Opens the journal of this folder, which belongs to this export. Files that it does not know are removed: they
    /// were not finished.
    pub(super) fn open(folder: PathBuf, identity: &Identity) -> io::Result<Journal> {
        fs::create_dir_all(&folder)?;
        let path = folder.join(JOURNAL);
        let text = fs::read_to_string(&path).unwrap_or_default();
        // The last line may have been cut off by a kill.
        let staged: Vec<Staged> =
            text.lines().skip(1).filter_map(|line| serde_json::from_str(line).ok()).collect();
        for found in fs::read_dir(&folder)? {
            let name = found?.file_name();
            let is_known = staged.iter().any(|staged| *staged.name == *name);
            if !is_known && name.to_string_lossy().ends_with(".part") {
                fs::remove_file(folder.join(name))?;
            }
        }
        let anew = folder.join("journal.part");
        let mut file = File::create(&anew)?;
        let mut lines = serde_json::to_string(identity)? + "\n";
        for staged in &staged {
            lines += &serde_json::to_string(staged)?;
            lines.push('\n');
        }
        file.write_all(lines.as_bytes())?;
        file.sync_all()?;
        fs::rename(&anew, &path)?;
        Ok(Journal { folder, file, staged })
    }

    /// A name that no file has.
    pub(super) fn next_name(&self) -> String {
        let is_taken = |name: &String| self.folder.join(name).exists();
        let mut number = self.staged.len();
        loop {
            let name = format!("{number:06}.part");
            if !is_taken(&name) {
                return name;
            }
            number += 1;
        }
    }

    /// Notes a finished file.
    pub(super) fn add(&mut self, staged: Staged) -> io::Result<()> {
        let line = serde_json::to_string(&staged)? + "\n";
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.staged.push(staged);
        Ok(())
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
