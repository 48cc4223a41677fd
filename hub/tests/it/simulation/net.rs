//! [`Net`]: a network in memory, in the simulation's time. Every piece of bytes has a random delay, connections break, hosts are
//! isolated, and whole conversations are replayed to the hub.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bue_client::{Dial, Stream};
use bue_hub::Listener;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::SimRng;

/// Time after which a connection attempt without an answer fails.
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of a conversation that are kept for a replay.
const REMEMBERED: usize = 64 * 1024;
/// Conversations that are kept.
const CONVERSATIONS: usize = 30;
/// One in this many pieces of bytes breaks its connection.
const BREAKS: u32 = 400;

/// The network between the hub and all other hosts.
#[derive(Debug)]
pub(super) struct Net {
    rng: SimRng,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where the hub listens; `None` while it is down.
    listener: Option<UnboundedSender<End>>,
    cut: BTreeSet<usize>,
    slow: BTreeSet<usize>,
    /// The latest conversations, and their hosts.
    wires: VecDeque<(usize, Arc<Mutex<Wire>>)>,
}

/// What becomes of bytes that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Arrives,
    /// They vanish without an error.
    Vanishes,
    /// Both sides get an error: the connection broke.
    Broken,
}

/// A connection.
#[derive(Debug)]
struct Wire {
    /// Towards the client, towards the hub.
    pipes: [Pipe; 2],
    delivery: Delivery,
    /// What the client has sent so far.
    sent: Vec<u8>,
}

#[derive(Debug)]
struct Pipe {
    /// Bytes and when they arrive; empty ones are the end.
    queue: VecDeque<(Instant, Bytes)>,
    last: Instant,
    reader: Option<Waker>,
}

impl Wire {
    fn end(&mut self, delivery: Delivery) {
        self.delivery = delivery;
        for pipe in &mut self.pipes {
            pipe.queue.clear();
            pipe.wake();
        }
    }
}

impl Pipe {
    fn new() -> Self {
        Self { queue: VecDeque::new(), last: Instant::now(), reader: None }
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Queues bytes, in order, whatever the delay.
    fn send(&mut self, delay: Duration, bytes: Bytes) {
        self.last = self.last.max(Instant::now() + delay);
        self.queue.push_back((self.last, bytes));
        self.wake();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    pub(super) fn new(rng: SimRng) -> Arc<Self> {
        Arc::new(Self { rng, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Returns how a host connects to the hub.
    pub(super) fn dial(self: &Arc<Self>, host: usize) -> Dial {
        let net = self.clone();
        Dial::new(move |_| {
            let net = net.clone();
            Box::pin(async move { Ok(Box::new(net.connect(host).await?) as Box<dyn Stream>) })
        })
    }

    async fn connect(self: Arc<Self>, host: usize) -> io::Result<End> {
        sleep(self.delay(host)).await;
        if self.state().cut.contains(&host) {
            sleep(CONNECT).await;
            return Err(io::ErrorKind::TimedOut.into());
        }
        let wire = Wire { pipes: [Pipe::new(), Pipe::new()], delivery: Delivery::Arrives, sent: Vec::new() };
        let wire = Arc::new(Mutex::new(wire));
        let end = |side| End { net: self.clone(), host, wire: wire.clone(), side, until: None };
        let mut state = self.state();
        let listener = state.listener.as_ref().ok_or(io::ErrorKind::ConnectionRefused)?;
        listener.send(end(1)).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        state.wires.push_back((host, wire.clone()));
        if state.wires.len() > CONVERSATIONS {
            state.wires.pop_front();
        }
        Ok(end(0))
    }

    /// Starts to listen for the hub.
    pub(super) fn listen(&self) -> SimListener {
        let (listener, connections) = unbounded_channel();
        self.state().listener = Some(listener);
        SimListener(connections)
    }

    /// Closes the hub's listener and every connection.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.listener = None;
        state.wires.iter().for_each(|(_, wire)| lock(wire).end(Delivery::Broken));
    }

    /// Breaks every connection of a host.
    pub(super) fn break_all(&self, host: usize) {
        self.end_all(host, Delivery::Broken);
    }

    fn end_all(&self, host: usize, delivery: Delivery) {
        let state = self.state();
        state.wires.iter().filter(|(of, _)| *of == host).for_each(|(_, wire)| lock(wire).end(delivery));
    }

    /// Isolates a host: nothing gets through any more.
    pub(super) fn cut(&self, host: usize) {
        self.end_all(host, Delivery::Vanishes);
        self.state().cut.insert(host);
    }

    /// Delays everything of a host by seconds.
    pub(super) fn slow_down(&self, host: usize) {
        self.state().slow.insert(host);
    }

    /// Ends a host's faults for new connections; those that were isolated break.
    pub(super) fn heal(&self, host: usize) {
        let mut state = self.state();
        state.slow.remove(&host);
        let was_cut = state.cut.remove(&host);
        drop(state);
        if was_cut {
            self.break_all(host);
        }
    }

    /// Replays a conversation to the hub, and ignores the answers.
    pub(super) async fn replay(self: Arc<Self>, host: usize) {
        let sent: Vec<Vec<u8>> = self.state().wires.iter().map(|(_, wire)| lock(wire).sent.clone()).collect();
        let sent: Vec<Vec<u8>> = sent.into_iter().filter(|sent| !sent.is_empty()).collect();
        let Some(sent) = lock(&self.rng).choice(sent) else { return };
        let Ok(mut end) = self.clone().connect(host).await else { return };
        let _ = end.write_all(&sent).await;
        let _ = timeout(Duration::from_secs(40), end.read_to_end(&mut Vec::new())).await;
    }

    fn delay(&self, host: usize) -> Duration {
        let is_slow = self.state().slow.contains(&host);
        let mut rng = lock(&self.rng);
        let most = if is_slow { 6_000 } else { [2, 20, 200][rng.usize(..3)] };
        Duration::from_millis(rng.u64(..most))
    }

    fn breaks(&self) -> bool {
        lock(&self.rng).u32(..BREAKS) == 0
    }
}

/// The hub's listener.
#[derive(Debug)]
pub(super) struct SimListener(UnboundedReceiver<End>);

impl Listener for SimListener {
    type Stream = End;

    async fn accept(&mut self) -> io::Result<End> {
        match self.0.recv().await {
            Some(end) => Ok(end),
            None => std::future::pending().await,
        }
    }
}

/// One end of a connection: side 0 is the client's.
#[derive(Debug)]
pub(super) struct End {
    net: Arc<Net>,
    host: usize,
    wire: Arc<Mutex<Wire>>,
    side: usize,
    /// Wakes when the next bytes arrive.
    until: Option<Pin<Box<Sleep>>>,
}

impl End {
    /// Reads what has arrived by now, or returns when something will.
    fn arrived(&self, cx: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<Option<Instant>, io::Error>> {
        let mut wire = lock(&self.wire);
        if wire.delivery == Delivery::Broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let pipe = &mut wire.pipes[self.side];
        pipe.reader = Some(cx.waker().clone());
        let Some((due, bytes)) = pipe.queue.front_mut() else { return Poll::Pending };
        if *due > Instant::now() {
            return Poll::Ready(Ok(Some(*due)));
        }
        // empty bytes are the end, and stay
        if !bytes.is_empty() {
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..count]);
            bytes.advance(count);
            if bytes.is_empty() {
                pipe.queue.pop_front();
            }
        }
        Poll::Ready(Ok(None))
    }

    fn send(&self, bytes: Bytes) -> io::Result<()> {
        let (delay, breaks) = (self.net.delay(self.host), self.net.breaks());
        let mut wire = lock(&self.wire);
        if breaks {
            wire.end(Delivery::Broken);
        }
        match wire.delivery {
            Delivery::Broken => return Err(io::ErrorKind::BrokenPipe.into()),
            Delivery::Vanishes => return Ok(()),
            Delivery::Arrives => {}
        }
        if self.side == 0 && wire.sent.len() < REMEMBERED {
            wire.sent.extend_from_slice(&bytes);
        }
        wire.pipes[1 - self.side].send(delay, bytes);
        Ok(())
    }
}

impl AsyncRead for End {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(due) = ready!(self.arrived(cx, buffer))? else { return Poll::Ready(Ok(())) };
            let until = self.until.insert(Box::pin(sleep_until(due)));
            ready!(until.as_mut().poll(cx));
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.send(Bytes::copy_from_slice(bytes)).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send(Bytes::new()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // the other side gets the end, if it gets anything
        let _ = self.send(Bytes::new());
    }
}
