//! The task that sends metrics and the times of attempts to a StatsD server, over UDP.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::drops::Drops;
use super::scrape::scrape;
use super::statsd_lines::{CounterValues, attempt_lines};
use super::stopping::stopping;
use crate::api::hub::Hub;
use crate::jobs::ended::Ended;

/// Attempts that wait to be sent.
pub(crate) const QUEUE: usize = 16_384;
/// Between two exports of metrics: the interval at which StatsD computes its own.
const METRIC_INTERVAL: Duration = Duration::from_secs(10);
/// How long a line waits for others.
const LINE_DELAY: Duration = Duration::from_secs(1);
/// Bytes of a datagram that every network takes in one piece.
const MAX_DATAGRAM: usize = 1_432;
/// After this time the server's name is looked up again.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(60);

/// Sends lines of one hub.
pub(crate) struct StatsdExporter {
    server: Server,
    hub_name: String,
    counters: CounterValues,
    /// Lines that are not sent yet, fewer bytes than a datagram takes.
    datagram: String,
    lines: u64,
    drops: Drops,
    /// The last error since lines were dropped.
    problem: Option<String>,
}

impl StatsdExporter {
    /// Sends to `address`, which is `HOST:PORT`.
    pub(crate) fn new(address: String, hub_name: String, drops: Drops) -> Self {
        let server = Server { address, connection: None };
        let (counters, datagram) = (CounterValues::default(), String::new());
        Self { server, hub_name, counters, datagram, lines: 0, drops, problem: None }
    }

    /// Sends what arrives, and the metrics at intervals. When the hub stops, sends what is left and returns.
    pub(crate) async fn run(
        mut self,
        hub: Hub,
        mut ended: mpsc::Receiver<Arc<Ended>>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let (mut send_at, mut metrics_at) = (Instant::now() + LINE_DELAY, Instant::now() + METRIC_INTERVAL);
        loop {
            tokio::select! {
                // in this order, so that attempts that never stop coming hold up nothing
                biased;
                () = sleep_until(send_at) => {
                    self.flush().await;
                    send_at = Instant::now() + LINE_DELAY;
                }
                () = sleep_until(metrics_at) => {
                    self.add_metrics(&hub).await;
                    metrics_at = Instant::now() + METRIC_INTERVAL;
                }
                received = ended.recv() => match received {
                    Some(ended) => self.add_ended(&ended).await,
                    None => break,
                },
                () = stopping(&mut stopped) => ended.close(),
            }
        }
        self.add_metrics(&hub).await;
        self.flush().await;
    }

    async fn add_ended(&mut self, ended: &Ended) {
        if let Ended::Attempt(end) = ended {
            for line in attempt_lines(end) {
                self.add(&line).await;
            }
        }
    }

    async fn add_metrics(&mut self, hub: &Hub) {
        let families = scrape(hub).await.unwrap_or_default();
        for line in self.counters.lines(&families, &self.hub_name) {
            self.add(&line).await;
        }
    }

    async fn add(&mut self, line: &str) {
        if self.datagram.len() + line.len() >= MAX_DATAGRAM {
            self.send().await;
        }
        if !self.datagram.is_empty() {
            self.datagram.push('\n');
        }
        self.datagram.push_str(line);
        self.lines += 1;
    }

    /// Sends the lines that wait, and logs what was dropped.
    async fn flush(&mut self) {
        self.send().await;
        let full = "there are more attempts than can be sent";
        let problem = self.problem.take();
        self.drops.log(problem.as_deref().unwrap_or(full));
    }

    async fn send(&mut self) {
        let (datagram, lines) = (std::mem::take(&mut self.datagram), std::mem::take(&mut self.lines));
        if datagram.is_empty() {
            return;
        }
        if let Err(error) = self.server.send(datagram.as_bytes()).await {
            self.drops.add(lines);
            self.problem = Some(format!("the StatsD server {} cannot be reached: {error}", self.server.address));
        }
    }
}

/// The server's address, and the socket that is connected to it.
struct Server {
    address: String,
    connection: Option<(UdpSocket, Instant)>,
}

impl Server {
    /// Sends a datagram. An error may be that of the one before: the network reports later that nobody listens.
    async fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let open = self.connection.take().filter(|(_, since)| since.elapsed() < LOOKUP_INTERVAL);
        let (socket, since) = match open {
            Some(open) => open,
            None => (connect(&self.address).await?, Instant::now()),
        };
        socket.send(datagram).await?;
        self.connection = Some((socket, since));
        Ok(())
    }
}

async fn connect(address: &str) -> io::Result<UdpSocket> {
    let found = lookup_host(address).await?.next();
    let server = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "its name has no address"))?;
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    Ok(socket)
}
