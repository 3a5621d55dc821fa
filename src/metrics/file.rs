//! The metrics as a file for the textfile collector.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::Path;

use crate::failure::Failure;

/// Whose collector reads it is another user.
#[cfg(unix)]
const MODE: u32 = 0o644;

/// Replaces the file: a reader sees the old text or the new one, whole, also after a power cut.
///
/// The new text is written beside it under a name that collectors pass over (they read `*.prom`).
pub fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let message = format!(
            "the metrics file {} cannot be written; check --metrics-file, its directory and the disk",
            path.display()
        );
        Failure::config(message).because(error)
    };
    let mut beside = path.as_os_str().to_owned();
    // Not the process's number: that of the only process of a container is 1, in each of them.
    beside.push(format!(".{:016x}", RandomState::new().hash_one(std::process::id())));
    let beside = Path::new(&beside);
    let written = write(beside, text).and_then(|()| fs::rename(beside, path));
    if let Err(error) = written {
        // What is left of it would only be found by the next full disk.
        let _ = fs::remove_file(beside);
        return Err(failed(error));
    }
    // The name is in the directory, which is a file of its own; some file systems cannot sync it.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Ok(directory) = File::open(directory.unwrap_or(Path::new("."))) {
        let _ = directory.sync_all();
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(fs::Permissions::from_mode(MODE))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The text that is there, if there is one.
pub fn read(path: &Path) -> Option<String> {
    // Of a pipe or a terminal there is nothing to be had, and one would wait for it.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kalshi.prom");
        for text in ["one\n", "another\n"] {
            replace(&path, text).unwrap();
            assert_eq!(read(&path).as_deref(), Some(text));
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = replace(Path::new("/no/such/directory/kalshi.prom"), "x").unwrap_err();
        assert!(error.to_string().contains("/no/such/directory/kalshi.prom"), "{error}");
    }
}
