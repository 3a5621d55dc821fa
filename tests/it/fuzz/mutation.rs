//! What becomes of the files of a corpus, by a seed.

use kalshi_ingest::retry::Jitter;

/// Words that mean something to one of the targets.
const WORDS: [&[u8]; 28] = [
    b"null",
    b"true",
    b"-0",
    b"1e400",
    b"-1e-400",
    b"9223372036854775808",
    b"0.00000000000000000000000000000000001",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"\\udcfe",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x00",
    b"{}",
    b"[]",
    b"{\"",
    b"\"}",
    b",,",
    b"\"cursor\":\"",
    b"\"trades\":[",
    b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:60.999999999+23:59",
    b"%00",
    b"?sslmode=",
    b"[[watch]]\n",
    b"sla = \"",
    b"\n",
];
const LENGTH_MAX: usize = 4_096;

pub(super) struct Mutation {
    corpus: Vec<Vec<u8>>,
    random: Jitter,
}

impl Mutation {
    pub(super) fn new(corpus: Vec<Vec<u8>>, seed: u64) -> Mutation {
        assert!(!corpus.is_empty());
        Mutation { corpus, random: Jitter::seeded(seed) }
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        let span = std::time::Duration::from_nanos(u64::try_from(end).unwrap());
        let drawn = span.mul_f64(self.random.next_fraction()).as_nanos();
        usize::try_from(drawn).unwrap().min(end.saturating_sub(1))
    }

    fn file(&mut self) -> Vec<u8> {
        let at = self.below(self.corpus.len());
        self.corpus[at].clone()
    }

    /// A place in the bytes, or behind them.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.below(bytes.len() + 1)
    }

    /// The next input: a file, changed in one to eight ways.
    pub(super) fn next(&mut self) -> Vec<u8> {
        let mut bytes = self.file();
        for _ in 0..=self.below(8) {
            self.change(&mut bytes);
        }
        bytes.truncate(LENGTH_MAX);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let (at, other) = (self.place(bytes), self.place(bytes));
        let (from, until) = (at.min(other), at.max(other));
        match self.below(9) {
            // A bit, and a byte.
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = u8::try_from(self.below(256)).unwrap(),
            // Less of it, and more of the same.
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(from..until)),
            4 => {
                let again = bytes[from..until].to_vec();
                bytes.splice(at..at, again);
            }
            // A part of another file.
            5 => {
                let file = self.file();
                let (begin, end) = (self.place(&file), self.place(&file));
                bytes.splice(from..until, file[begin.min(end)..begin.max(end)].iter().copied());
            }
            6 => {
                let word = WORDS[self.below(WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
            // Deep nesting, and huge numbers.
            7 => {
                let (open, close) = if self.below(2) == 0 { (b'[', b']') } else { (b'{', b'}') };
                let depth = self.below(400);
                let nest = [vec![open; depth], vec![close; depth]].concat();
                bytes.splice(at..at, nest);
            }
            _ => {
                let count = self.below(100);
                bytes.splice(at..at, std::iter::repeat_n(b'9', count));
            }
        }
    }
}
