//! The connections to a real server. Each message of a client can be the last one that gets through, and the answer to
//! a commit can be lost. A cut closes both sides, as when a process or its host vanishes.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The address on which the server listens.
#[derive(Clone, Debug)]
pub enum Place {
    /// A name and a port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// The planned cut of a process's next messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// This many more messages get through, and no others.
    After(u64),
    /// The server commits, and its answer is lost.
    AnswerOfCommit,
}

/// The result of a planned cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// Whether a line was cut.
    pub is_cut: bool,
    /// Whether the server has committed since the cut was planned.
    pub is_committed: bool,
}

/// All lines to one server.
pub struct Lines {
    place: Place,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The process whose turn it is: a new line belongs to it.
    process: usize,
    cut: Option<Cut>,
    fate: Fate,
    lines: Vec<Line>,
    opened: u64,
}

/// One connection.
struct Line {
    number: u64,
    process: usize,
    client: TcpStream,
    server: Stream,
    /// The number of the server's process at the other end, once the server has sent it.
    backend: Option<i32>,
    /// Whether the messages of the server no longer arrive.
    is_deaf: bool,
    /// Whether both sides are closed.
    is_over: bool,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The messages by which a client ends a transaction: a simple query of one word.
const ENDS: [&[u8]; 2] = [b"COMMIT\0", b"END\0"];
/// The message with the number of the server's process.
const BACKEND_KEY: u8 = b'K';
const READY: u8 = b'Z';
const QUERY: u8 = b'Q';
/// The longest message that is accepted; real ones are shorter.
const MESSAGE_BYTES_MAX: usize = 1 << 28;

impl Lines {
    /// Opens lines to the server at `place`. Returns them with the address for clients.
    pub fn to(place: Place) -> io::Result<(Arc<Lines>, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let lines = Arc::new(Lines { place, state: Mutex::default() });
        let all = Arc::clone(&lines);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // If the server is down, the client sees a connection that ends at once.
                drop(all.open(client));
            }
        });
        Ok((lines, address))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the process whose messages come next, and the cut that they get.
    pub fn plan(&self, process: usize, cut: Option<Cut>) {
        let mut state = self.state();
        (state.process, state.cut, state.fate) = (process, cut, Fate::default());
    }

    /// Removes the planned cut, and returns its result.
    pub fn lift(&self) -> Fate {
        let mut state = self.state();
        state.cut = None;
        state.fate
    }

    /// The result of the planned cut so far.
    pub fn fate(&self) -> Fate {
        self.state().fate
    }

    /// Cuts all lines of a process.
    pub fn cut(&self, process: usize) {
        let mut state = self.state();
        state.lines.iter_mut().filter(|line| line.process == process).for_each(Line::end);
    }

    /// The server's processes that serve this process.
    pub fn backends(&self, process: usize) -> Vec<i32> {
        let state = self.state();
        let open = state.lines.iter().filter(|line| line.process == process && !line.is_over);
        open.filter_map(|line| line.backend).collect()
    }

    /// The server's processes whose lines are closed, and which may not have noticed yet. Each is returned once.
    pub fn take_over(&self) -> Vec<i32> {
        let mut state = self.state();
        let (over, open) = std::mem::take(&mut state.lines).into_iter().partition(|l| l.is_over);
        state.lines = open;
        let over: Vec<Line> = over;
        over.into_iter().filter_map(|line| line.backend).collect()
    }

    fn open(self: &Arc<Lines>, client: TcpStream) -> io::Result<()> {
        let server = Stream::to(&self.place)?;
        client.set_nodelay(true)?;
        let (forth, back) = (client.try_clone()?, client.try_clone()?);
        let (to_server, from_server) = (server.try_clone()?, server.try_clone()?);
        let number = {
            let mut state = self.state();
            state.opened += 1;
            let (number, process) = (state.opened, state.process);
            state.lines.push(Line {
                number,
                process,
                client,
                server,
                backend: None,
                is_deaf: false,
                is_over: false,
            });
            number
        };
        let lines = Arc::clone(self);
        thread::spawn(move || {
            drop(lines.carry_forth(number, forth, to_server));
            lines.end(number);
        });
        let lines = Arc::clone(self);
        thread::spawn(move || {
            drop(lines.carry_back(number, from_server, back));
            lines.end(number);
        });
        Ok(())
    }

    fn end(&self, number: u64) {
        let mut state = self.state();
        state.lines.iter_mut().filter(|line| line.number == number).for_each(Line::end);
    }

    /// Forwards the messages of the client.
    fn carry_forth(&self, number: u64, client: TcpStream, server: Stream) -> io::Result<()> {
        let (mut client, mut server) = (BufReader::new(client), BufWriter::new(server));
        // The first message has no kind.
        let mut message = Vec::new();
        read_sized(&mut client, &mut message)?;
        server.write_all(&message)?;
        server.flush()?;
        loop {
            let kind = read_message(&mut client, &mut message)?;
            if !self.is_let_through(number, kind, &message[5..]) {
                return Ok(());
            }
            server.write_all(&message)?;
            if client.buffer().is_empty() {
                server.flush()?;
            }
        }
    }

    /// Whether a message may be forwarded.
    fn is_let_through(&self, number: u64, kind: u8, body: &[u8]) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        let Some(line) = state.lines.iter_mut().find(|line| line.number == number) else {
            return false;
        };
        if line.process != state.process {
            return true;
        }
        let is_end = kind == QUERY && ENDS.contains(&body);
        match state.cut {
            Some(Cut::After(0)) => {
                state.cut = None;
                state.fate.is_cut = true;
                return false;
            }
            Some(Cut::After(left)) => state.cut = Some(Cut::After(left - 1)),
            Some(Cut::AnswerOfCommit) if is_end => {
                state.cut = None;
                state.fate.is_cut = true;
                line.is_deaf = true;
            }
            Some(Cut::AnswerOfCommit) | None => {}
        }
        state.fate.is_committed |= is_end;
        true
    }

    /// Forwards the messages of the server.
    fn carry_back(&self, number: u64, server: Stream, client: TcpStream) -> io::Result<()> {
        let (mut server, mut client) = (BufReader::new(server), BufWriter::new(client));
        let mut message = Vec::new();
        loop {
            let kind = read_message(&mut server, &mut message)?;
            let is_deaf = {
                let mut state = self.state();
                let Some(line) = state.lines.iter_mut().find(|line| line.number == number) else {
                    return Ok(());
                };
                if kind == BACKEND_KEY {
                    let pid = message.get(5..9).and_then(|pid| pid.try_into().ok());
                    line.backend = pid.map(i32::from_be_bytes);
                }
                line.is_deaf
            };
            if is_deaf {
                // The server has carried out the statement then.
                if kind == READY {
                    return Ok(());
                }
                continue;
            }
            client.write_all(&message)?;
            if server.buffer().is_empty() {
                client.flush()?;
            }
        }
    }
}

/// Reads a part that begins with its own length; the length includes itself.
fn read_sized(from: &mut impl Read, message: &mut Vec<u8>) -> io::Result<()> {
    let mut size = [0; 4];
    from.read_exact(&mut size)?;
    let len = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if !(4..MESSAGE_BYTES_MAX).contains(&len) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    message.extend_from_slice(&size);
    let start = message.len();
    message.resize(start + len - 4, 0);
    from.read_exact(&mut message[start..])
}

/// Reads a message, and returns its kind.
fn read_message(from: &mut impl Read, message: &mut Vec<u8>) -> io::Result<u8> {
    message.clear();
    message.push(0);
    from.read_exact(&mut message[..1])?;
    read_sized(from, message)?;
    Ok(message[0])
}

impl Line {
    /// Closes the line on both sides.
    fn end(&mut self) {
        self.is_over = true;
        // A side that is closed already stays closed.
        drop(self.client.shutdown(Shutdown::Both));
        drop(match &self.server {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
        });
    }
}

impl Stream {
    fn to(place: &Place) -> io::Result<Stream> {
        match place {
            Place::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port))?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Place::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
        }
    }

    fn try_clone(&self) -> io::Result<Stream> {
        match self {
            Stream::Tcp(stream) => stream.try_clone().map(Stream::Tcp),
            Stream::Unix(stream) => stream.try_clone().map(Stream::Unix),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(bytes),
            Stream::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.flush(),
            Stream::Unix(stream) => stream.flush(),
        }
    }
}
