//! The protocol between a worker and its sandbox hosts: postcard frames over a socket pair.
//!
//! ```text
//! parent            sandbox host
//! Setup        ->
//!              <-   Ready, or Refused and the end
//! Compile      ->   instead of Setup: a child that compiles one step
//!              <-   Compiled, or Refused, and the end
//! Load         ->   once per bundle, before the first task that runs it; Forget drops it
//! Run          ->
//!              <-   Items, then no more until Taken arrives
//! Taken        ->
//!              <-   Net, starts an operation on the network or closes an exchange, at any time
//! Net          ->   the result of an operation
//!              <-   Waiting, the number of its steps that wait, when it changes
//!              <-   Finished
//! SendLines    ->   requests what a task prints, from a position in its log on
//!              <-   Lines, once for each request, when there are some
//! Cancel       ->   stops a running task; there is no reply
//! ```
//! A frame is its length (32 bits, little endian) and its bytes.

use std::io;
use std::path::PathBuf;

use bue_model::net::{Completion, Ticket};
use bue_model::{BlobHash, Bundle};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;

use crate::prepared::PreparedFiles;
use crate::step::compiled_step::{CompiledStep, WasmKind};
use crate::step::limits::Limits;
use crate::step::net_port::NetRequest;
use crate::step::permissions::Permissions;
use crate::step::task::{Finished, Placeholders};

/// Bytes of a frame at most: the largest inputs or result, and some more.
pub(crate) const MAX_FRAME: usize = 256 << 20;

/// Frames that are written at once at most.
const MAX_BATCH: usize = 64;

/// To a sandbox host.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToHost {
    Setup(PreparedFiles),
    Compile { kind: WasmKind, wasm: Bytes },
    Load { key: BlobHash, bundle: Bundle },
    Forget { key: BlobHash },
    Run { id: u64, request: Box<RunRequest> },
    Taken { id: u64 },
    SendLines { id: u64, position: u64 },
    Cancel { id: u64 },
    Net { id: u64, ticket: Ticket, completion: Completion },
}

/// From a sandbox host.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromHost {
    Ready,
    Refused(String),
    Compiled(Bytes),
    Items { id: u64, count: u32, items: Bytes },
    Lines { id: u64, position: u64, text: String, next: u64 },
    Finished { id: u64, finished: Finished },
    Net { id: u64, request: NetRequest },
    Waiting { steps: u32 },
}

/// A [`Task`](crate::Task) whose bundle was sent before.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunRequest {
    /// The key of the bundle, if the program needs one.
    pub(crate) key: Option<BlobHash>,
    pub(crate) program: Program,
    pub(crate) inputs: Vec<Bytes>,
    pub(crate) env: Option<Bytes>,
    pub(crate) loop_text: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) permissions: Permissions,
}

/// What to run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Program {
    Python {
        function: String,
        packages: Option<PathBuf>,
    },
    Sqlite {
        table: String,
        placeholders: Placeholders,
    },
    /// Compiled code, which needs no bundle.
    Wasm {
        step: CompiledStep,
        function: String,
    },
}

/// The queue of frames to the socket. It is unbounded: every frame belongs to a task or is a few bytes long, and the number
/// of tasks is limited elsewhere.
pub(crate) type Frames = mpsc::UnboundedSender<Vec<u8>>;

/// Encodes a message as a frame.
pub(crate) fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let len = bytes.len().saturating_sub(4);
    let length = u32::try_from(len).ok().filter(|_| len <= MAX_FRAME);
    let length = length.ok_or_else(|| io::Error::other("a message is longer than a frame may be"))?;
    if let Some(head) = bytes.first_chunk_mut() {
        *head = length.to_le_bytes();
    }
    Ok(bytes)
}

/// Reads the next message; `None` if the other side has closed the socket.
pub(crate) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    };
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::other("a frame longer than a frame may be"));
    }
    // the buffer grows with the bytes that arrive, not with the announced length
    let mut bytes = Vec::with_capacity(length.min(1 << 20));
    from.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Ok(None);
    }
    postcard::from_bytes(&bytes).map(Some).map_err(io::Error::other)
}

/// Writes frames until all senders are dropped, then closes the socket for writing.
pub(crate) async fn write_all(
    to: impl AsyncWrite + Unpin,
    mut frames: mpsc::UnboundedReceiver<Vec<u8>>,
) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while frames.recv_many(&mut batch, MAX_BATCH).await > 0 {
        for frame in batch.drain(..) {
            to.write_all(&frame).await?;
        }
        to.flush().await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_arrive_whole_and_in_order() {
        let (mut here, there) = tokio::io::duplex(100);
        let (send, frames) = mpsc::unbounded_channel();
        for id in 0..200 {
            send.send(frame(&ToHost::Taken { id }).expect("small")).expect("open");
        }
        drop(send);
        let writer = tokio::spawn(write_all(there, frames));
        for expected in 0..200 {
            let message = read(&mut here).await.expect("readable");
            assert!(matches!(message, Some(ToHost::Taken { id }) if id == expected));
        }
        assert!(read::<ToHost>(&mut here).await.expect("closed in order").is_none());
        writer.await.expect("no panic").expect("written");
    }

    #[tokio::test]
    async fn hostile_frames_are_refused() {
        let huge = u32::MAX.to_le_bytes();
        assert!(read::<ToHost>(&mut huge.as_slice()).await.is_err());
        let nonsense = [1, 0, 0, 0, 99];
        assert!(read::<ToHost>(&mut nonsense.as_slice()).await.is_err());
        let cut = [9, 0, 0, 0, 1];
        assert!(read::<ToHost>(&mut cut.as_slice()).await.expect("an end").is_none());
    }
}
