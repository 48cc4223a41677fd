//! A network that can be bad: connections through it are slow, are cut at any byte, fall silent in one or both directions.
//! When it changes, those that were made before are cut: so whoever was left in silence is told in the end.

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

/// Bytes until something happens to a connection, at most: some requests long.
const MOST_BYTES: usize = 20_000;
/// Milliseconds by which a slow connection delays each piece, at most.
const MOST_DELAY: u64 = 40;
/// Bytes forwarded at a time.
const PIECE: usize = 4_096;

/// Where connections lead.
#[derive(Clone)]
pub(crate) enum Target {
    Tcp(String),
    Unix(PathBuf),
}

/// The way there.
pub(crate) struct Proxy {
    pub(crate) address: String,
    is_good: watch::Sender<bool>,
    faults: Arc<AtomicU64>,
}

/// What happens to one direction of a connection, and after how many bytes.
#[derive(Clone, Copy)]
enum Fate {
    Fine,
    Slow,
    Cut(usize),
    Silent(usize),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Proxy {
    /// Good at first. When it is bad, then by chance from the seed.
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

    /// From here on.
    pub(crate) fn be_bad(&self) {
        self.is_good.send_replace(false);
    }

    /// No faults any more.
    pub(crate) fn be_good(&self) {
        self.is_good.send_replace(true);
    }

    /// Directions of connections to which something happened.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }
}

impl Fate {
    fn of(chance: &mut Rng) -> Self {
        match chance.u8(0..12) {
            0..5 => Self::Fine,
            5..8 => Self::Slow,
            8..11 => Self::Cut(chance.usize(0..MOST_BYTES)),
            _ => Self::Silent(chance.usize(0..MOST_BYTES)),
        }
    }

    /// Bytes that still pass.
    fn room(self) -> usize {
        match self {
            Self::Fine | Self::Slow => usize::MAX,
            Self::Cut(after) | Self::Silent(after) => after,
        }
    }
}

/// Ends with the proxy.
async fn serve(
    listener: std::net::TcpListener,
    target: Target,
    mut chance: Rng,
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
        let fates = match *goodness.borrow() {
            true => [Fate::Fine; 2],
            false => [Fate::of(&mut chance), Fate::of(&mut chance)],
        };
        let (target, faults, chance) = (target.clone(), faults.clone(), chance.fork());
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
            connect(stream, there, fates, chance, goodness, &faults).await;
        });
    }
}

/// Forwards until one side ends, the connection is cut, or the network changes; a good connection outlives a bad network.
async fn connect(
    here: impl Stream,
    there: impl Stream,
    fates: [Fate; 2],
    mut chance: Rng,
    mut is_good: watch::Receiver<bool>,
    faults: &AtomicU64,
) {
    let was_good = *is_good.borrow();
    let outlives = !was_good && fates.iter().all(|fate| matches!(fate, Fate::Fine));
    let ((from_here, to_here), (from_there, to_there)) = (split(here), split(there));
    let [out, back] = fates;
    let out = forward(from_here, to_there, out, chance.fork(), faults);
    let back = forward(from_there, to_here, back, chance.fork(), faults);
    tokio::select! {
        // an error of either is the end of both
        _ = async { tokio::try_join!(out, back) } => {}
        _ = is_good.wait_for(|is_good| *is_good != was_good), if !outlives => {}
    }
}

async fn forward(
    mut from: ReadHalf<impl Stream>,
    mut to: WriteHalf<impl Stream>,
    fate: Fate,
    mut chance: Rng,
    faults: &AtomicU64,
) -> std::io::Result<()> {
    let (mut room, mut piece) = (fate.room(), [0; PIECE]);
    if matches!(fate, Fate::Slow) {
        faults.fetch_add(1, Ordering::Relaxed);
    }
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if matches!(fate, Fate::Slow) {
            sleep(Duration::from_millis(chance.u64(0..=MOST_DELAY))).await;
        }
        to.write_all(piece.get(..read.min(room)).unwrap_or_default()).await?;
        room = room.saturating_sub(read);
        if room == 0 {
            faults.fetch_add(1, Ordering::Relaxed);
            match fate {
                Fate::Silent(_) => std::future::pending::<()>().await,
                _ => return Err(std::io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }
}
