//! A network that can be faulty: connections through it are slow, are cut at any byte, or go silent in one or both directions. When
//! faults start or stop, the connections made before are cut, so that a silent connection ends at last.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// The most bytes before a connection is cut or goes silent: a few requests.
const MAX_BYTES: usize = 20_000;
/// The most milliseconds by which a slow connection delays each chunk.
const MAX_DELAY_MS: u64 = 40;
/// Bytes forwarded at a time.
const CHUNK: usize = 4_096;

/// The server behind the proxy.
#[derive(Clone)]
pub(crate) enum Target {
    Tcp(String),
    Unix(PathBuf),
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) address: String,
    is_good: watch::Sender<bool>,
    faults: Arc<AtomicU64>,
}

/// What happens to one direction of a connection, and after how many bytes.
#[derive(Clone, Copy)]
enum Fault {
    None,
    Slow,
    Cut(usize),
    Silent(usize),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Proxy {
    /// Starts a proxy without faults. Later faults are random, from the seed.
    pub(crate) fn start(target: Target, seed: u64) -> Self {
        let (is_good, goodness) = watch::channel(true);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address").to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let faults = Arc::<AtomicU64>::default();
        let serving = serve(listener, target, Rng::with_seed(seed), goodness, faults.clone());
        thread::spawn(move || runtime.block_on(serving));
        Self { address, is_good, faults }
    }

    /// Gives new connections faults.
    pub(crate) fn start_faults(&self) {
        self.is_good.send_replace(false);
    }

    /// Gives new connections no faults.
    pub(crate) fn stop_faults(&self) {
        self.is_good.send_replace(true);
    }

    /// Returns the number of faults so far.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }
}

impl Fault {
    fn random(random: &mut Rng) -> Self {
        match random.u8(0..12) {
            0..5 => Self::None,
            5..8 => Self::Slow,
            8..11 => Self::Cut(random.usize(0..MAX_BYTES)),
            _ => Self::Silent(random.usize(0..MAX_BYTES)),
        }
    }

    /// Returns the number of bytes that pass.
    fn byte_limit(self) -> usize {
        match self {
            Self::None | Self::Slow => usize::MAX,
            Self::Cut(after) | Self::Silent(after) => after,
        }
    }
}

/// Runs until the proxy is dropped.
async fn serve(
    listener: std::net::TcpListener,
    target: Target,
    mut random: Rng,
    mut is_good: watch::Receiver<bool>,
    faults: Arc<AtomicU64>,
) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    loop {
        let goodness = is_good.clone();
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.expect("a connection").0,
            gone = is_good.changed() => if gone.is_ok() { continue } else { return },
        };
        let faults_of_directions = match *goodness.borrow() {
            true => [Fault::None; 2],
            false => [Fault::random(&mut random), Fault::random(&mut random)],
        };
        let (target, faults, random) = (target.clone(), faults.clone(), random.fork());
        tokio::spawn(async move {
            let there: Box<dyn Stream> = match target {
                Target::Tcp(address) => match TcpStream::connect(address).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => return,
                },
                Target::Unix(path) => match UnixStream::connect(path).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => return,
                },
            };
            connect(stream, there, faults_of_directions, random, goodness, &faults).await;
        });
    }
}

/// Forwards until one side ends, the connection is cut, or faults start or stop; a connection without faults survives that.
async fn connect(
    here: impl Stream,
    there: impl Stream,
    faults_of_directions: [Fault; 2],
    mut random: Rng,
    mut is_good: watch::Receiver<bool>,
    faults: &AtomicU64,
) {
    let was_good = *is_good.borrow();
    let outlives = !was_good && faults_of_directions.iter().all(|fault| matches!(fault, Fault::None));
    let ((from_here, to_here), (from_there, to_there)) = (split(here), split(there));
    let [out, back] = faults_of_directions;
    let out = forward(from_here, to_there, out, random.fork(), faults);
    let back = forward(from_there, to_here, back, random.fork(), faults);
    tokio::select! {
        // an error of either direction ends both
        _ = async { tokio::try_join!(out, back) } => {}
        _ = is_good.wait_for(|is_good| *is_good != was_good), if !outlives => {}
    }
}

async fn forward(
    mut from: ReadHalf<impl Stream>,
    mut to: WriteHalf<impl Stream>,
    fault: Fault,
    mut random: Rng,
    faults: &AtomicU64,
) -> std::io::Result<()> {
    let (mut room, mut piece) = (fault.byte_limit(), [0; CHUNK]);
    if matches!(fault, Fault::Slow) {
        faults.fetch_add(1, Ordering::Relaxed);
    }
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if matches!(fault, Fault::Slow) {
            sleep(Duration::from_millis(random.u64(0..=MAX_DELAY_MS))).await;
        }
        to.write_all(piece.get(..read.min(room)).unwrap_or_default()).await?;
        room = room.saturating_sub(read);
        if room == 0 {
            faults.fetch_add(1, Ordering::Relaxed);
            match fault {
                Fault::Silent(_) => std::future::pending::<()>().await,
                _ => return Err(std::io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }
}
