//! Asks HTTP servers in turn, so that all of them have the same moments of a busy machine, and says how long they took:
//!
//! ```text
//! cargo run --release -p aecp-integration-tests --example load -- 20000 1 \
//!   app=http://127.0.0.1:3001/customers/7 protected=http://127.0.0.1:3002/customers/7
//! ```
//!
//! The first number is how many requests each gets, the second how many connections ask at the same time. Every connection
//! asks one server after the other, and stays open. What the others take longer than the first is said too: the difference
//! of the medians, and of the 99th percentiles.

use std::{
    error::Error,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

/// Requests that are not counted: connections are made, instances started.
const WARM_UP: usize = 500;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
struct Target {
    name: String,
    address: String,
    path: String,
}

struct Connection {
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
    body: Vec<u8>,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [requests, connections, targets @ ..] = arguments.as_slice() else {
        return Err("give REQUESTS CONNECTIONS NAME=URL…".into());
    };
    let (requests, connections): (usize, usize) = (requests.parse()?, connections.parse()?);
    let targets: Vec<Target> = targets.iter().map(|text| target(text)).collect::<Result<_, _>>()?;
    let start = Arc::new(Barrier::new(connections));
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let (targets, start) = (targets.clone(), Arc::clone(&start));
            thread::spawn(move || run(&targets, requests / connections, &start))
        })
        .collect();
    let mut times = vec![Vec::new(); targets.len()];
    let begun = Instant::now();
    for thread in threads {
        let of_thread = thread.join().map_err(|_| "a thread panicked")??;
        for (all, mut one) in times.iter_mut().zip(of_thread) {
            all.append(&mut one);
        }
    }
    println!(
        "{requests} requests each, {connections} connections, {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    println!(
        "{:<16} {:>10} {:>10} {:>10} {:>12} {:>12}",
        "µs", "p50", "p99", "p99.9", "p50 added", "p99 added"
    );
    let mut base = None;
    for (target, mut times) in targets.iter().zip(times) {
        times.sort_unstable();
        let at = |share: f64| {
            let index = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
            times.get(index).copied().unwrap_or_default().as_secs_f64() * 1e6
        };
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        let (base50, base99) = *base.get_or_insert((p50, p99));
        let (name, added50, added99) = (&target.name, p50 - base50, p99 - base99);
        println!("{name:<16} {p50:>10.0} {p99:>10.0} {p999:>10.0} {added50:>12.0} {added99:>12.0}");
    }
    Ok(())
}

/// NAME=http://HOST:PORT/PATH.
fn target(text: &str) -> Result<Target, Failure> {
    let (name, url) = text.split_once('=').ok_or("expected NAME=URL")?;
    let rest = url.strip_prefix("http://").ok_or("expected http://")?;
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    Ok(Target { name: name.to_owned(), address: address.to_owned(), path: format!("/{path}") })
}

/// How long each target took for each request of one connection.
fn run(targets: &[Target], requests: usize, start: &Barrier) -> Result<Vec<Vec<Duration>>, Failure> {
    let mut connections: Vec<_> = targets.iter().map(Connection::open).collect::<Result<_, _>>()?;
    let mut times = vec![Vec::with_capacity(requests); targets.len()];
    start.wait();
    for round in 0..WARM_UP + requests {
        for (connection, times) in connections.iter_mut().zip(&mut times) {
            let begun = Instant::now();
            connection.ask()?;
            if round >= WARM_UP {
                times.push(begun.elapsed());
            }
        }
    }
    Ok(times)
}

impl Connection {
    fn open(target: &Target) -> Result<Self, Failure> {
        let stream = TcpStream::connect(&target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let Target { address, path, .. } = target;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n\r\n");
        Ok(Self { stream: BufReader::new(stream), request: request.into_bytes(), body: Vec::new() })
    }

    /// Asks once and reads the answer whole.
    fn ask(&mut self) -> Result<(), Failure> {
        self.stream.get_mut().write_all(&self.request)?;
        let (mut line, mut length, mut status) = (String::new(), None, String::new());
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err("the server closed the connection".into());
            }
            if status.is_empty() {
                status = line.trim().to_owned();
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = Some(value.trim().parse::<usize>()?);
            }
            if line == "\r\n" {
                break;
            }
        }
        if !status.contains(" 200") {
            return Err(format!("the server answered {status}").into());
        }
        match length {
            Some(length) => self.read(length),
            None => loop {
                line.clear();
                self.stream.read_line(&mut line)?;
                let chunk = usize::from_str_radix(line.trim(), 16)?;
                self.read(chunk + 2)?;
                if chunk == 0 {
                    return Ok(());
                }
            },
        }
    }

    fn read(&mut self, length: usize) -> Result<(), Failure> {
        self.body.resize(length, 0);
        Ok(self.stream.read_exact(&mut self.body)?)
    }
}
