//! The folder of an export. Files are written aside and become visible together at the end, with their manifest: a
//! reader finds the old state or the new one, and a full disk or a kill leaves the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use super::hashed::Hashed;
use super::journal::{self, Journal, Staged};
use super::lock::Lock;
use super::manifest::{Entry, Facts, Identity, MANIFEST, Package, Parts, SCHEMA, schema};
use super::{RowWriter, card, writer};
use crate::domain::export::{Cell, Format, Known, Past, Plan, Planned, Span, Table, is_current};
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The folder in which files wait, hidden from most patterns.
const ASIDE: &str = ".export";

/// An open folder. No other process exports to it meanwhile.
pub struct Folder {
    path: PathBuf,
    identity: Identity,
    table: Table,
    format: Format,
    /// The manifest that is there.
    old: Option<Package>,
    /// The files of that manifest that are there, by path.
    published: BTreeMap<String, Entry>,
    /// The files that are there or wait, by path.
    files: BTreeMap<String, Entry>,
    journal: Journal,
    lock: Lock,
}

/// The result of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The number of files that were written.
    pub written: usize,
    /// The number of all files.
    pub files: usize,
    /// The number of rows in all files.
    pub rows: u64,
    /// The length of all files.
    pub bytes: u64,
}

/// Receives the rows of a file.
pub type Receiver<'r> = dyn FnMut(&[Cell<'_>]) -> Result<(), Failure> + 'r;

/// The failure of a write.
fn unwritable(path: &Path, error: io::Error) -> Failure {
    let place = path.display();
    let message = format!("writing {place} failed; make room there, or name another --directory");
    Failure::config(message).because(error)
}

impl Folder {
    /// Opens the folder of this export, and makes it if it is missing. A folder that belongs to another export, or that
    /// holds anything else, is refused.
    pub fn open(
        path: &Path,
        identity: Identity,
        (table, format): (Table, Format),
    ) -> Result<Folder, Failure> {
        let aside = path.join(ASIDE);
        // A foreign folder is left as it is, without so much as a lock.
        examine(path, &identity)?;
        let wrong = |error| unwritable(path, error);
        let lock = Lock::take(&aside).map_err(wrong)?.ok_or_else(|| {
            let shown = path.display();
            Failure::config(format!("another export writes to {shown} now; wait for its end"))
        })?;
        // Until here another export may have published.
        let old = examine(path, &identity)?;
        let journal = Journal::open(aside, &identity).map_err(wrong)?;
        let mut files = BTreeMap::new();
        let entries = old.iter().flat_map(Package::entries);
        for entry in entries.filter(|entry| has_length(&path.join(&entry.path), entry.bytes)) {
            files.insert(entry.path.clone(), entry);
        }
        let mut folder = Folder {
            path: path.to_owned(),
            identity,
            table,
            format,
            old,
            published: files.clone(),
            files,
            journal,
            lock,
        };
        let staged: Vec<Staged> = folder.journal.staged.clone();
        for Staged { name, entry } in staged {
            let waits = has_length(&folder.journal.path_of(&name), entry.bytes);
            // A kill in the middle of a publication leaves files under their own names.
            if waits || has_length(&path.join(&entry.path), entry.bytes) {
                folder.files.insert(entry.path.clone(), entry);
            }
        }
        Ok(folder)
    }

    /// The window of the last export to this folder.
    pub fn window(&self) -> Option<Span> {
        self.old.as_ref().and_then(|old| old.kalshi_ingest.window.span())
    }

    /// The published files.
    pub fn past(&self) -> Vec<Past> {
        self.published.iter().map(|(path, entry)| entry.facts.past(path)).collect()
    }

    /// Whether a planned file is there, with its rows and its claim.
    pub fn has(&self, planned: &Planned) -> bool {
        let known: Option<Known> =
            self.files.get(&planned.path).and_then(|entry| entry.facts.known());
        known.is_some_and(|known| is_current(known, planned))
    }

    /// Writes a planned file aside. `fill` writes its rows.
    pub fn write(
        &mut self,
        planned: &Planned,
        fill: &mut dyn FnMut(&mut Receiver<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let name = self.journal.next_name();
        let path = self.journal.path_of(&name);
        let shown = self.path.join(&planned.path);
        let written = self.fill(&path, &shown, planned, fill);
        let noted = written.and_then(|(bytes, sha256)| {
            let facts = Facts::of(planned, self.table.has_claims());
            let entry = Entry { path: planned.path.clone(), bytes, sha256, facts };
            self.files.insert(entry.path.clone(), entry.clone());
            self.journal.add(Staged { name, entry }).map_err(|error| unwritable(&shown, error))
        });
        if noted.is_err() {
            // No part of a file is left; an error of this would hide the first one.
            let _ = fs::remove_file(&path);
        }
        noted
    }

    fn fill(
        &self,
        path: &Path,
        shown: &Path,
        planned: &Planned,
        fill: &mut dyn FnMut(&mut Receiver<'_>) -> Result<(), Failure>,
    ) -> Result<(u64, String), Failure> {
        let wrong = |error| unwritable(shown, error);
        let mut out = Hashed::new(BufWriter::new(File::create(path).map_err(wrong)?));
        let mut rows: Box<dyn RowWriter + '_> =
            writer(self.format, self.table, &notes(planned), &mut out).map_err(wrong)?;
        fill(&mut |cells| rows.write(cells).map_err(wrong))?;
        rows.finish().map_err(wrong)?;
        drop(rows);
        let (buffered, bytes, sha256) = out.into_parts();
        let written = buffered.into_inner().map_err(|error| wrong(error.into_error()))?;
        written.sync_all().map_err(wrong)?;
        Ok((bytes, sha256))
    }

    /// Gives up. Finished files stay for the next run; without any, the folder is as it was.
    pub fn leave(self) {
        if self.journal.staged.is_empty() {
            // The failure that led here is told; an error of this would hide it.
            let _ = self.lock.remove_folder();
            // A folder with anything in it stays.
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Makes the files of the plan visible, with their manifest, and removes those that the plan has no more.
    pub fn publish(self, plan: &Plan, window: Span, now: Timestamp) -> Result<Published, Failure> {
        let entries = self.entries(plan);
        let parts = Parts {
            table: self.table,
            format: self.format,
            identity: &self.identity,
            window,
            entries: &entries,
            bare: &plan.bare,
            is_listed: plan.is_listed,
            now,
        };
        let package = Package::new(&parts);
        let staged: Vec<&Staged> =
            self.journal.staged.iter().filter(|staged| self.is_wanted(staged, &entries)).collect();
        let published = Published {
            written: staged.len(),
            files: entries.len(),
            rows: package.kalshi_ingest.rows,
            bytes: package.kalshi_ingest.bytes,
        };
        let is_new = self.old.as_ref().is_none_or(|old| !package.says_the_same_as(old));
        if is_new || !staged.is_empty() {
            let texts = [
                (SCHEMA, schema(self.table)),
                (card::CARD, card::card(&package, &parts)),
                (card::CITATION, card::citation(&package, &parts)),
                (MANIFEST, package.to_json()),
            ];
            self.move_all(&staged, &texts, &entries)
                .map_err(|error| unwritable(&self.path, error))?;
        }
        let Folder { path, lock, .. } = self;
        lock.remove_folder().map_err(|error| unwritable(&path.join(ASIDE), error))?;
        Ok(published)
    }

    /// Whether a finished file still waits and is the one that the plan wants.
    fn is_wanted(&self, staged: &Staged, entries: &[Entry]) -> bool {
        let Entry { path, sha256, .. } = &staged.entry;
        let is_it = |entry: &Entry| (&entry.path, &entry.sha256) == (path, sha256);
        entries.iter().any(is_it) && self.journal.path_of(&staged.name).exists()
    }

    /// The entries of all files of the plan, with the facts of today, and of those that stay as they are.
    fn entries(&self, plan: &Plan) -> Vec<Entry> {
        let entry = |planned: &Planned| {
            let there = self.files.get(&planned.path)?;
            Some(Entry { facts: Facts::of(planned, self.table.has_claims()), ..there.clone() })
        };
        let kept = plan.kept.iter().filter_map(|path| self.published.get(path).cloned());
        let mut entries: Vec<Entry> = plan.files.iter().filter_map(entry).chain(kept).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    }

    /// Moves everything to its place, the manifest last. All is written before the first move, and files that are no
    /// longer exported go before the manifest that named them: no other one would know of them.
    fn move_all(
        &self,
        staged: &[&Staged],
        texts: &[(&str, String)],
        entries: &[Entry],
    ) -> io::Result<()> {
        for (name, text) in texts {
            let mut file = File::create(self.journal.path_of(name))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
        }
        let mut folders = BTreeSet::new();
        for Staged { name, entry } in staged {
            let path = self.path.join(&entry.path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let above = path.ancestors().skip(1).take_while(|folder| **folder != *self.path);
            folders.extend(above.map(Path::to_owned));
            fs::rename(self.journal.path_of(name), path)?;
        }
        for folder in folders {
            File::open(folder)?.sync_all()?;
        }
        self.remove_gone(entries);
        for (name, _) in texts {
            fs::rename(self.journal.path_of(name), self.path.join(name))?;
        }
        File::open(&self.path)?.sync_all()
    }

    /// Removes files that the last manifest has and the new one has not, such as those of a market whose series became
    /// known.
    fn remove_gone(&self, entries: &[Entry]) {
        let kept: BTreeSet<&str> = entries.iter().map(|entry| &*entry.path).collect();
        let old = self.old.iter().flat_map(Package::paths);
        for path in old.filter(|path| !kept.contains(path) && is_below(path)) {
            let path = self.path.join(path);
            if let Err(error) = fs::remove_file(&path) {
                log::warn!(
                    "removing {}, which is no longer exported, failed: {error}",
                    path.display()
                );
            }
            let mut folder = path.parent();
            while let Some(empty) = folder.filter(|folder| **folder != *self.path) {
                if fs::remove_dir(empty).is_err() {
                    break;
                }
                folder = empty.parent();
            }
        }
    }
}

/// The facts that a file of Parquet says about itself.
fn notes(planned: &Planned) -> Vec<(&'static str, String)> {
    let claim = planned.claim;
    let mut notes = vec![
        ("kalshi_ingest.window_from", planned.window.from.to_string()),
        ("kalshi_ingest.window_until", planned.window.until.to_string()),
    ];
    if let Some(is_complete) = claim.is_complete {
        notes.push(("kalshi_ingest.complete", is_complete.to_string()));
        notes.push(("kalshi_ingest.final", claim.is_final.to_string()));
    }
    notes
}

/// Whether a path of a manifest names a file below its folder.
fn is_below(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn has_length(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == bytes)
}

/// Reads the manifest of a folder; `None` if there is none.
fn read_manifest(folder: &Path) -> Result<Option<Package>, Failure> {
    let path = folder.join(MANIFEST);
    let shown = path.display();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let message = format!("reading {shown} failed; check --directory");
            return Err(Failure::config(message).because(error));
        }
    };
    serde_json::from_str(&text).map(Some).map_err(|_| {
        let message = format!("{shown} is not the manifest of an export; name another --directory");
        Failure::config(message)
    })
}

/// The manifest of a folder, if it has one. Refuses a folder that belongs to another export or holds anything else.
fn examine(path: &Path, identity: &Identity) -> Result<Option<Package>, Failure> {
    let old = read_manifest(path)?;
    let there = old.as_ref().map(|old| old.kalshi_ingest.identity.clone());
    let Some(there) = there.or_else(|| journal::identity(&path.join(ASIDE))) else {
        check_empty(path)?;
        return Ok(old);
    };
    match there.difference(identity) {
        None => Ok(old),
        Some(difference) => {
            let shown = path.display();
            let message =
                format!("{shown} holds the export of {difference}; name another --directory");
            Err(Failure::config(message))
        }
    }
}

/// Refuses a folder in which anything is that no export left.
fn check_empty(folder: &Path) -> Result<(), Failure> {
    let shown = folder.display();
    let foreign = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let message = format!("reading the folder {shown} failed; check --directory");
            return Err(Failure::config(message).because(error));
        }
        Ok(mut found) => {
            found.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy() != ASIDE))
        }
    };
    if foreign {
        return Err(Failure::config(format!(
            "{shown} is not empty and has no manifest of an export; name another --directory"
        )));
    }
    Ok(())
}
