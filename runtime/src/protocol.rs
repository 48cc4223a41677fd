//! The protocol between a worker and its sandbox hosts: postcard frames over a socket pair.
//!
//! ```text
//! parent            sandbox host
//! Setup        ->
//!              <-   Ready, or Refused and the end
//! Compile      ->   instead of Setup: a child that compiles one step
//!              <-   Compiled, Refused, or CompilerFailed, and the end
//! RaiseWall    ->   instead of Setup: a child that only raises its wall
//!              <-   Ready, or Refused, and the end
//! Load         ->   once per bundle, before the first task that runs it; Forget drops it
//! LoadCode     ->   the same with a compiled step
//! Run          ->
//!              <-   Items, then no more until Taken arrives
//! Taken        ->
//!              <-   Net, starts an operation on the network or closes an exchange, at any time
//! Net          ->   the result of an operation
//!              <-   Load, the number of its steps that wait, when it changes, and the memory of its images
//!              <-   Finished
//! SendLines    ->   requests what a task prints, from a position in its log on
//!              <-   Lines, once for each request, when there are some
//! Cancel       ->   stops a running task; there is no reply
//! Ping         ->   asks whether the loop of the host still runs
//!              <-   Pong, with the same number
//! ```
//! A frame is its length (32 bits, little endian) and its bytes. Frames of the parent may carry open files, see
//! [`descriptors`](crate::descriptors): a sandbox host opens none itself.

use std::any::Any;
use std::fs::File;
use std::io;
use std::sync::Arc;

use bue_model::net::{Completion, Ticket};
use bue_model::{BlobHash, Bundle};
use bue_sql::placeholders::Placeholders;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use crate::prepared::Seal;
use crate::step::compiled_step::WasmKind;
use crate::step::limits::Limits;
use crate::step::net_port::NetRequest;
use crate::step::permissions::Permissions;
use crate::step::task::Finished;
use crate::wall::report::Wall;
use crate::wall::spec::WallSpec;

/// Bytes of a frame at most: the largest inputs or result, and some more.
pub(crate) const MAX_FRAME: usize = 256 << 20;

/// To a sandbox host.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToHost {
    /// With the code and the image of each guest, in the order of the seals, and the folder of packages if there is one.
    Setup {
        python: Seal,
        sqlite: Option<Seal>,
        wall: WallSpec,
    },
    Compile {
        kind: WasmKind,
        wasm: Bytes,
        wall: WallSpec,
    },
    /// With the folder of packages.
    RaiseWall(WallSpec),
    Load {
        key: BlobHash,
        bundle: Bundle,
    },
    /// With the code.
    LoadCode {
        key: BlobHash,
        kind: WasmKind,
    },
    Forget {
        key: BlobHash,
    },
    Run {
        id: u64,
        request: Box<RunRequest>,
    },
    Taken {
        id: u64,
    },
    SendLines {
        id: u64,
        position: u64,
    },
    Cancel {
        id: u64,
    },
    Net {
        id: u64,
        ticket: Ticket,
        completion: Completion,
    },
    Ping {
        number: u64,
    },
}

/// From a sandbox host.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromHost {
    Ready(Wall),
    Refused(String),
    Compiled(Bytes),
    /// The compiler could not run, for a reason that is not the module's.
    CompilerFailed(String),
    Items {
        id: u64,
        count: u32,
        items: Bytes,
        early: bool,
    },
    Lines {
        id: u64,
        position: u64,
        text: String,
        next: u64,
    },
    Finished {
        id: u64,
        finished: Finished,
    },
    Net {
        id: u64,
        request: NetRequest,
    },
    Load {
        waiting: u32,
        image_bytes: u64,
    },
    Pong {
        number: u64,
    },
}

/// A [`Task`](crate::Task) whose bundle was sent before.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunRequest {
    /// The key of the bundle or of the compiled code.
    pub(crate) key: BlobHash,
    pub(crate) program: Program,
    pub(crate) inputs: Vec<Bytes>,
    pub(crate) env: Option<Bytes>,
    pub(crate) loop_text: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) permissions: Permissions,
    /// The simulated time in milliseconds since 1970; `None` if time is real.
    pub(crate) simulated_ms: Option<u64>,
}

/// What to run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Program {
    Python {
        function: String,
        keywords: Option<Bytes>,
        /// The name of a folder in the folder of packages.
        packages: Option<String>,
    },
    Sqlite {
        table: String,
        placeholders: Placeholders,
    },
    /// Compiled code.
    Wasm {
        function: String,
    },
}

/// The queue of frames to the socket. It is unbounded: every frame belongs to a task or is a few bytes long, and the number
/// of tasks is limited elsewhere.
pub(crate) type Frames = mpsc::UnboundedSender<Frame>;

/// A message to send.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    /// Open files that the receiver gets with it, at most [`MAX_FILES`](crate::descriptors::MAX_FILES).
    pub(crate) files: Vec<Arc<File>>,
    /// Dropped when the frame has been written.
    pub(crate) held: Option<Arc<dyn Any + Send + Sync>>,
}

impl Frame {
    /// Adds a file.
    pub(crate) fn with_file(mut self, file: &Arc<File>) -> Self {
        self.files.push(Arc::clone(file));
        self
    }
}

/// Encodes a message as a frame without files.
pub(crate) fn frame<T: Serialize>(message: &T) -> io::Result<Frame> {
    let mut bytes = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let len = bytes.len().saturating_sub(4);
    let length = u32::try_from(len).ok().filter(|_| len <= MAX_FRAME);
    let length = length.ok_or_else(|| io::Error::other("a message is longer than a frame may be"))?;
    if let Some(head) = bytes.first_chunk_mut() {
        *head = length.to_le_bytes();
    }
    Ok(Frame { bytes, files: Vec::new(), held: None })
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

#[cfg(test)]
mod tests {
    use bue_model::job::Hints;
    use bue_model::net::{Body, Operation, Request};
    use bue_model::{Answer, Failure, FailureKind};
    use bue_test_support::mutation::{mutated, runner, write_seeds};

    use super::*;
    use crate::frame_claims::check_frame;
    use crate::step::task::Usage;

    #[tokio::test]
    async fn hostile_frames_are_refused() {
        let huge = u32::MAX.to_le_bytes();
        assert!(read::<ToHost>(&mut huge.as_slice()).await.is_err());
        let nonsense = [1, 0, 0, 0, 99];
        assert!(read::<ToHost>(&mut nonsense.as_slice()).await.is_err());
        let cut = [9, 0, 0, 0, 1];
        assert!(read::<ToHost>(&mut cut.as_slice()).await.expect("an end").is_none());
    }

    /// A few bytes for each element become dozens in the memory of the worker.
    #[tokio::test]
    async fn a_frame_takes_no_more_memory_than_a_few_times_its_length() {
        // the variant, four absent parts, and a list of a million parts without a reason
        let mut message = vec![0, 0, 0, 0, 0, 0];
        message.extend(postcard::to_allocvec(&vec![(0_u8, ""); 1_000_000]).expect("postcard"));
        let length = u32::try_from(message.len()).expect("small").to_le_bytes();
        assert!(read::<FromHost>(&mut [&length[..], &message].concat().as_slice()).await.is_err());
    }

    fn request() -> Request {
        Request {
            method: "POST".into(),
            origin: "https://example.com".into(),
            target: "/a?b".into(),
            headers: vec![("accept".into(), Bytes::from_static(b"*/*"))],
            body: Body::Whole(Bytes::from_static(b"body")),
            connect_timeout_ms: Some(1),
            read_timeout_ms: None,
        }
    }

    fn from_host() -> Vec<FromHost> {
        let finished = |answer| Finished { answer, log: Bytes::from_static(b"a\n"), usage: Usage::default() };
        let hints = Hints { priority: Some(-1), env: Some(Bytes::from_static(&[0xa0])), scope: None };
        let completed = Answer::Completed { value: Bytes::from_static(&[0xf6]), streamed: false, hints };
        let failed = Answer::Failed(Failure::new(FailureKind::Raised, "ValueError"));
        vec![
            FromHost::Ready(Wall::default()),
            FromHost::Refused("no".into()),
            FromHost::CompilerFailed("no wall".into()),
            FromHost::Compiled(Bytes::from_static(b"code")),
            FromHost::Items { id: 1, count: 2, items: Bytes::from_static(&[0x82, 1, 2]), early: true },
            FromHost::Lines { id: 1, position: 2, text: "a\n".into(), next: 4 },
            FromHost::Finished { id: 1, finished: finished(completed) },
            FromHost::Finished { id: 2, finished: finished(failed) },
            FromHost::Net { id: 1, request: NetRequest::Start(7, Operation::Request(request())) },
            FromHost::Net { id: 1, request: NetRequest::PutBlob(8, Bytes::from_static(b"blob")) },
            FromHost::Load { waiting: 3, image_bytes: 4096 },
        ]
    }

    fn to_host() -> Vec<ToHost> {
        let program = Program::Python {
            function: "f".into(),
            keywords: Some(Bytes::from_static(&[0xa0])),
            packages: Some("1".into()),
        };
        let request = RunRequest {
            key: BlobHash([1; 32]),
            program,
            inputs: vec![Bytes::from_static(&[0xf6])],
            env: None,
            loop_text: None,
            limits: Limits::default(),
            permissions: Permissions::default(),
            simulated_ms: Some(1),
        };
        vec![
            ToHost::Run { id: 1, request: Box::new(request) },
            ToHost::Load { key: BlobHash([1; 32]), bundle: Bundle::default() },
            ToHost::Net { id: 1, ticket: 2, completion: Completion::Secret("s".into()) },
            ToHost::SendLines { id: 1, position: 5 },
        ]
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error() {
        let bytes = |frame: io::Result<Frame>| frame.expect("small").bytes;
        let mut seeds: Vec<Vec<u8>> = from_host().iter().map(|message| bytes(frame(message))).collect();
        seeds.extend(to_host().iter().map(|message| bytes(frame(message))));
        assert!(seeds.iter().all(|bytes| check_frame(bytes)));
        write_seeds("frame", &seeds);
        let result = runner(2_000).run(&mutated(seeds), |bytes| {
            check_frame(&bytes);
            Ok(())
        });
        assert!(result.is_ok(), "{}", result.expect_err("a failing case"));
    }
}
