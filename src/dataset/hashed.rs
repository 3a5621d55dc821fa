//! Counts and hashes the bytes of a file while they are written.

use std::fmt::Write as _;
use std::io::{self, Write};

use ring::digest::{Context, SHA256};

/// A writer that knows the length and the checksum of all that went through it.
pub(super) struct Hashed<W> {
    out: W,
    context: Context,
    bytes: u64,
}

impl<W: Write> Hashed<W> {
    pub(super) fn new(out: W) -> Hashed<W> {
        Hashed { out, context: Context::new(&SHA256), bytes: 0 }
    }

    /// The writer below, the number of bytes and their SHA-256 in hexadecimal digits.
    pub(super) fn into_parts(self) -> (W, u64, String) {
        (self.out, self.bytes, hexadecimal(self.context.finish().as_ref()))
    }
}

/// The SHA-256 of some bytes, in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(ring::digest::digest(&SHA256, bytes).as_ref())
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.context.update(&bytes[..written]);
        self.bytes += u64::try_from(written).unwrap_or(0);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
