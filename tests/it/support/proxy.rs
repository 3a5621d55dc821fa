//! An HTTP proxy that remembers what it was asked for.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::default());
        let kept: Arc<Mutex<Vec<String>>> = Arc::clone(&heads);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || pass_on(client, &kept));
            }
        });
        Proxy { address, heads }
    }

    /// The first line and the headers of every request, in order, since the last look.
    pub(crate) fn take_heads(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

fn pass_on(client: TcpStream, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    heads.lock().unwrap().push(head.clone());
    let mut client = client;
    let target = head.split(' ').nth(1).unwrap_or_default();
    if head.starts_with("CONNECT ") {
        let mut server = TcpStream::connect(target)?;
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        let (mut back, mut forth) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || io::copy(&mut back, &mut forth));
        io::copy(&mut reader, &mut server)?;
        return Ok(());
    }
    let (host, path) = target.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut server = TcpStream::connect(host)?;
    let direct = head.replacen(&format!("http://{host}/{path}"), &format!("/{path}"), 1);
    let lines = direct.split("\r\n").filter(|line| !line.is_empty());
    let is_ours = |line: &&str| !line.to_lowercase().starts_with("proxy-");
    for line in lines.filter(is_ours).chain(["Connection: close", ""]) {
        write!(server, "{line}\r\n")?;
    }
    let length = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .map(|rest| rest.split("\r\n").next().unwrap().parse::<u64>().unwrap());
    io::copy(&mut reader.take(length.unwrap_or(0)), &mut server)?;
    io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Both)
}
