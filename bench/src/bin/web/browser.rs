//! What a browser does with a page of the dashboard, as far as the hub notices: it requests the page, follows the changes of runs, and
//! requests what has changed.

use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bue_bench::Samples;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The intervals of `hub/src/web/assets/module.js`: between two refreshes at least, and at most.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
const SLOW_INTERVAL: Duration = Duration::from_secs(10);

/// A connection, with one request at a time.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Requests a page; returns the bytes of the answer's body, as they were sent.
    pub(crate) async fn get(&mut self, path: &str, header: &str) -> Result<usize> {
        self.send(path, header).await?;
        let mut length = None;
        loop {
            let mut line = String::new();
            ensure!(self.stream.read_line(&mut line).await? > 0, "the hub closed the connection");
            let line = line.trim_end().to_ascii_lowercase();
            if line.starts_with("http/1.1 ") {
                ensure!(line.starts_with("http/1.1 200"), "{path}: {line}");
            }
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = Some(text.parse()?);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length.context("an answer without a length")?];
        self.stream.read_exact(&mut body).await?;
        Ok(body.len())
    }

    /// Requests what has changed of a page that is open.
    pub(crate) async fn refresh(&mut self, path: &str) -> Result<usize> {
        self.get(path, "bue-refresh: 1\r\n").await
    }

    async fn send(&mut self, path: &str, header: &str) -> Result<()> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\naccept-encoding: gzip\r\n{header}\r\n"
        );
        Ok(self.stream.write_all(request.as_bytes()).await?)
    }

    /// Waits for an event; the stream must have been requested.
    async fn event(&mut self) -> Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let count = self.stream.read(&mut bytes).await?;
            ensure!(count > 0, "the stream of events ended");
            if bytes.get(..count).is_some_and(|bytes| bytes.windows(6).any(|part| part == b"event:")) {
                return Ok(());
            }
        }
    }
}

/// Opens a page, tells `opened`, and keeps it open until `stop` is true. Returns how long its refreshes took.
pub(crate) async fn keep_open(
    address: String,
    path: String,
    opened: Sender<()>,
    mut stop: watch::Receiver<bool>,
) -> Result<Samples> {
    let (mut page, mut events) = (Connection::open(&address).await?, Connection::open(&address).await?);
    page.get(&path, "").await?;
    let run = path.strip_prefix("/runs/").map(|run| format!("?run={run}")).unwrap_or_default();
    events.send(&format!("/v1/events{run}"), "").await?;
    opened.send(()).context("nobody waits for the page")?;
    let (mut samples, mut last) = (Samples::default(), Instant::now());
    while !*stop.borrow() {
        tokio::select! {
            event = events.event() => event?,
            () = sleep_until(last + SLOW_INTERVAL) => {}
            _ = stop.changed() => break,
        }
        tokio::select! {
            () = sleep_until(last + REFRESH_INTERVAL) => {}
            _ = stop.changed() => break,
        }
        last = Instant::now();
        page.refresh(&path).await?;
        samples.push(last.elapsed());
    }
    Ok(samples)
}
