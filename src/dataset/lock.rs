//! The lock of a folder: one export writes to it at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The name of the file that is locked.
const LOCK: &str = "lock";

/// How often the file is opened anew when another process has just removed it.
const ATTEMPTS_MAX: u32 = 100;

/// A held lock.
#[derive(Debug)]
pub(super) struct Lock {
    folder: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock of this folder, and makes the folder if it is missing. `None` if another process holds it.
    pub(super) fn take(folder: &Path) -> io::Result<Option<Lock>> {
        let path = folder.join(LOCK);
        for _ in 0..ATTEMPTS_MAX {
            match fs::create_dir_all(folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !folder.is_file() => {
                    continue;
                }
                made => made?,
            }
            let file = match OpenOptions::new().create(true).append(true).open(&path) {
                Ok(file) => file,
                // The folder went meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // A lock on a file that its last holder has removed meanwhile excludes nobody.
            if is_at(&file, &path)? {
                return Ok(Some(Lock { folder: folder.to_owned(), _file: file }));
            }
        }
        Ok(None)
    }

    /// Removes the folder with everything in it. The lock goes last: until then nobody else writes there.
    pub(super) fn remove_folder(self) -> io::Result<()> {
        for found in fs::read_dir(&self.folder)? {
            let found = found?;
            if found.file_name() == LOCK {
                continue;
            }
            if found.file_type()?.is_dir() {
                fs::remove_dir_all(found.path())?;
            } else {
                fs::remove_file(found.path())?;
            }
        }
        fs::remove_file(self.folder.join(LOCK))?;
        match fs::remove_dir(&self.folder) {
            // The next process has begun.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// Whether the file is still the one at this path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let ours = file.metadata()?;
    Ok(fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}

/// An open file cannot be removed there.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_holds_it_at_a_time_though_each_removes_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("aside");
        let (holders, turns) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        let Some(lock) = Lock::take(&folder).unwrap() else { continue };
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                        fs::write(folder.join("journal"), "mine").unwrap();
                        assert!(Lock::take(&folder).unwrap().is_none(), "it is held");
                        turns.fetch_add(1, Ordering::SeqCst);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        lock.remove_folder().unwrap();
                    }
                });
            }
        });
        assert!(turns.load(Ordering::SeqCst) > 0);
        assert!(!folder.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_its_holder_removed_is_no_lock() {
        let place = tempfile::tempdir().unwrap();
        let (folder, path) = (place.path().join("aside"), place.path().join("aside/lock"));
        let held = Lock::take(&folder).unwrap().unwrap();
        // Another process has opened the file, and locks it after it is gone.
        let late = File::open(&path).unwrap();
        assert!(is_at(&late, &path).unwrap());
        held.remove_folder().unwrap();
        late.try_lock().unwrap();
        assert!(!is_at(&late, &path).unwrap(), "it is gone");
        let next = Lock::take(&folder).unwrap();
        assert!(next.is_some(), "the next one has a file of its own");
        assert!(!is_at(&late, &path).unwrap(), "and excludes the late one");
    }
}
