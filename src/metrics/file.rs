//! The metrics as a file for the textfile collector.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::Path;

use crate::failure::Failure;

/// The collector that reads the file runs as another user.
#[cfg(unix)]
const MODE: u32 = 0o644;

/// Replaces the file: a reader sees the whole old text or the whole new one, also after a power cut.
///
/// The new text is first written beside the file under a name that collectors ignore (they read `*.prom`).
pub fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let message = format!(
            "the metrics file {} cannot be written; check --metrics-file, its directory and the disk",
            path.display()
        );
        Failure::config(message).because(error)
    };
    let mut beside = path.as_os_str().to_owned();
    // The process number is not used: the only process of a container has number 1 in each container.
    beside.push(format!(".{:016x}", RandomState::new().hash_one(std::process::id())));
    let beside = Path::new(&beside);
    let written = write(beside, text).and_then(|()| fs::rename(beside, path));
    if let Err(error) = written {
        // A partial file that stayed would only be noticed when the disk is full again.
        let _ = fs::remove_file(beside);
        return Err(failed(error));
    }
    // The name is in the directory, which is synced separately; some file systems cannot sync a directory.
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

/// The text of the file, if there is one.
pub fn read(path: &Path) -> Option<String> {
    // A pipe or a terminal holds no earlier text, and reading it would block.
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
