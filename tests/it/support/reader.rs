//! Somebody who may read a database's file and nothing else.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::postgres::Owner;

/// A user of this machine who is not the owner of what root makes; ourselves, with rights taken
/// away, where we are not root.
pub(crate) struct Reader {
    owner: Owner,
    program: PathBuf,
}

impl Reader {
    /// `directory` is where the program can be put if it stands where the user cannot go.
    pub(crate) fn find(directory: &Path) -> Reader {
        let owner = Owner::find();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_kalshi-ingest"));
        let mut tried = owner.command(&program, directory);
        let tried = tried.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if tried.is_ok_and(|status| status.success()) {
            return Reader { owner, program };
        }
        let copy = directory.join("kalshi-ingest");
        fs::copy(&program, &copy).unwrap();
        Reader { owner, program: copy }
    }

    /// One command of the program, not yet started, as this user.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.owner.command(&self.program, Path::new("/"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        command.args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

fn is_ours(name: &OsString) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with("KALSHI_") || name.starts_with("DATABASE_URL"))
}

pub(crate) fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
