//! The password file: `host:port:database:user:password`; the first matching line counts.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The text of the file, if it exists; the error says why it may not be used. The file must not be readable by others.
pub(super) fn read(path: &Path) -> Result<Option<String>, String> {
    let name = path.display();
    let unreadable = |error| format!("the password file {name} cannot be read: {error}");
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if !about.is_file() {
        return Err(format!("the password file {name} is not a plain file; it is ignored"));
    }
    if about.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "the password file {name} can be read by others and is ignored; chmod 0600 it"
        ));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The password of the first matching line.
pub(super) fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let password = |line| wanted.iter().try_fold(line, |rest, word| after(rest, word));
    lines.filter_map(password).map(|rest| field(rest).0).next()
}

/// The text after the first field of `line`, if that field is `word` or `*`.
fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let (text, rest) = field(line);
    rest.filter(|_| text == word)
}

/// The first field of `line` without its escapes, and the text after its colon.
fn field(line: &str) -> (String, Option<&str>) {
    let mut text = String::new();
    let mut letters = line.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            ':' => return (text, Some(&line[at + 1..])),
            '\\' => text.push(letters.next().map_or('\\', |(_, letter)| letter)),
            other => text.push(other),
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# db:5432:orders:me:commented\n\
                    \n\
                    short:line\n\
                    db:5432:orders:me:exact\n\
                    db:*:orders:me:any port\n\
                    localhost:5432:*:*:local\r\n\
                    \\:\\:1:5432:k\\\\l:me:a\\:b\\\\c\n\
                    ends:5432:k:me:before:after\n\
                    *:*:*:other:everywhere\n";
        for (wanted, password) in [
            (["db", "5432", "orders", "me"], Some("exact")),
            (["db", "5433", "orders", "me"], Some("any port")),
            (["localhost", "5432", "x", "y"], Some("local")),
            (["::1", "5432", "k\\l", "me"], Some("a:b\\c")),
            (["ends", "5432", "k", "me"], Some("before")),
            (["nowhere", "1", "x", "other"], Some("everywhere")),
            (["nowhere", "1", "x", "me"], None),
            (["*", "5432", "x", "me"], None),
        ] {
            assert_eq!(find(text, wanted).as_deref(), password, "{wanted:?}");
        }
        assert_eq!(find("a:b:c:d", ["a", "b", "c", "d"]), None, "a line without a password");
    }

    #[test]
    fn a_file_that_others_can_read_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgpass");
        assert_eq!(read(&path), Ok(None), "no file");
        assert!(read(directory.path()).is_err(), "no plain file");
        fs::write(&path, "*:*:*:*:x").unwrap();
        for (mode, is_read) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).is_ok(), is_read, "{mode:o}");
        }
    }
}
