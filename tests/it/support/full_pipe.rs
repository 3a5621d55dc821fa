//! A pipe that is full and that nobody reads.

use std::io::{PipeReader, PipeWriter, Write as _, pipe};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// Full for as long as the value lives.
pub(crate) struct FullPipe {
    _reader: PipeReader,
    writer: PipeWriter,
}

impl FullPipe {
    pub(crate) fn new() -> FullPipe {
        let (reader, writer) = pipe().unwrap();
        let mut filler = writer.try_clone().unwrap();
        // It hangs in this until there is nobody left to read.
        thread::spawn(move || while filler.write_all(&[b'.'; 512]).is_ok() {});
        thread::sleep(Duration::from_millis(200));
        FullPipe { _reader: reader, writer }
    }

    /// An end to write to, in vain.
    pub(crate) fn end(&self) -> Stdio {
        Stdio::from(self.writer.try_clone().unwrap())
    }
}
