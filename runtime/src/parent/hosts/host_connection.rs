//! The child that is alive in a slot, and the tasks that run there.

use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::HashMap;
use std::sync::Arc;

use bue_model::net::{Completion, NetError, NetErrorKind, Ticket};
use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::bundle_cache::BundleCache;
use super::request::Request;
use crate::parent::bucket::Bucket;
use crate::parent::egress::Egress;
use crate::parent::egress::session::Session;
use crate::parent::egress::session_state::CompletionCallback;
use crate::protocol::{self, Frames, ToHost};
use crate::step::net_port::NetRequest;
use crate::step::task::{Code, Event};

/// Events of a task that may be in flight: the elements sent last, those left at the end, lines twice, and the end itself.
const MAX_EVENTS: usize = 6;

/// The child that is alive now.
#[derive(Debug)]
pub(crate) struct HostConnection {
    pub(crate) frames: Frames,
    /// The process id.
    pub(crate) process: u32,
    tasks: HashMap<u64, RunningTask>,
    /// Tasks that waited when the child last reported it. Messages in flight may have changed that.
    pub(crate) waiting: usize,
    /// Bytes of memory that its images hold.
    pub(crate) image_bytes: u64,
    bundles: BundleCache,
    turn: Turn,
    /// Tasks that it has had.
    started: u64,
    /// It gets no more tasks.
    draining: bool,
}

/// How long a child gets new tasks.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Tasks until another child is to take over.
    pub(crate) steps: u64,
    /// Notified when there were as many, and again after as many more if the child was not drained.
    pub(crate) worn: Arc<Notify>,
    /// Notified when a child that is drained has no task left.
    pub(crate) drained: Arc<Notify>,
}

#[derive(Debug)]
struct RunningTask {
    events: mpsc::Sender<Event>,
    /// Holds its packages, which stay unpacked as long as a task refers to them.
    _code: Code,
    /// Ends the task's requests when it is dropped.
    session: Session,
    bucket: Option<Arc<dyn Bucket>>,
    /// One place, for its one blob operation at a time.
    blob_turn: Arc<Semaphore>,
    /// See [`HostConnection::mark_lost`].
    was_alone: Arc<AtomicBool>,
}

impl HostConnection {
    pub(crate) fn new(process: u32, frames: Frames, turn: Turn) -> Self {
        let (tasks, bundles) = (HashMap::new(), BundleCache::default());
        Self { frames, process, tasks, waiting: 0, image_bytes: 0, bundles, turn, started: 0, draining: false }
    }

    /// Returns whether it gets no more tasks.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Gives it no more tasks.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        self.check_drained();
    }

    fn check_drained(&self) {
        if self.draining && self.tasks.is_empty() {
            self.turn.drained.notify_one();
        }
    }

    /// Returns the number of tasks, running or waiting.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Returns the number of tasks that compete for the child's core.
    pub(crate) fn running(&self) -> usize {
        self.tasks.len().saturating_sub(self.waiting)
    }

    /// Sends a task to the child. Gives the request back if the child is gone.
    pub(crate) fn start(
        &mut self,
        mut request: Box<Request>,
        egress: &Egress,
    ) -> Result<(mpsc::Receiver<Event>, Arc<AtomicBool>), Box<Request>> {
        if self.bundles.ensure(&request.code, &self.frames).is_err() {
            return Err(request);
        }
        let frame = core::mem::take(&mut request.frame);
        if let Err(unsent) = self.frames.send(frame) {
            request.frame = unsent.0;
            return Err(request);
        }
        let (events, receiver) = mpsc::channel(MAX_EVENTS);
        let Request { id, job, code, permissions, limits, bucket, .. } = *request;
        let complete = send_completions(id, self.frames.clone());
        let session = egress.session(job, &permissions, &limits, bucket.clone(), complete);
        let was_alone = Arc::new(AtomicBool::new(false));
        let blob_turn = Arc::new(Semaphore::new(1));
        let task = RunningTask { events, _code: code, session, bucket, blob_turn, was_alone: Arc::clone(&was_alone) };
        self.tasks.insert(id, task);
        self.started += 1;
        if self.started.is_multiple_of(self.turn.steps.max(1)) {
            self.turn.worn.notify_one();
        }
        Ok((receiver, was_alone))
    }

    /// The child died. If it had one task only, records in that task that no other can be the cause.
    pub(crate) fn mark_lost(&self) {
        if self.tasks.len() == 1 {
            self.tasks.values().for_each(|task| task.was_alone.store(true, Ordering::Relaxed));
        }
    }

    /// Removes a task. Dropping what it had ends its requests.
    pub(crate) fn remove(&mut self, id: u64) {
        self.tasks.remove(&id);
        self.check_drained();
    }

    /// Returns where an event of a task goes, and removes the task if the event is its last. `None` if the task was dropped.
    pub(crate) fn receiver(&mut self, id: u64, event: &Event) -> Option<mpsc::Sender<Event>> {
        match event {
            Event::Finished(_) => {
                let task = self.tasks.remove(&id);
                self.check_drained();
                task.map(|task| task.events)
            }
            Event::Items { .. } | Event::Lines { .. } => self.tasks.get(&id).map(|task| task.events.clone()),
        }
    }

    /// Executes a task's request to the network or the bucket. Requests of a task that was dropped are ignored.
    pub(crate) fn handle_request(&self, id: u64, request: NetRequest) {
        let Some(task) = self.tasks.get(&id) else { return };
        match (request, &task.bucket) {
            (NetRequest::PutBlob(ticket, bytes), Some(bucket)) => {
                let stored = bucket.put_blob(bytes);
                let hash = async { stored.await.map(|hash| Bytes::from(hash.to_string())) };
                spawn_blob_operation(self.frames.clone(), (id, ticket), &task.blob_turn, hash);
            }
            (NetRequest::GetBlob(ticket, hash), Some(bucket)) => {
                spawn_blob_operation(self.frames.clone(), (id, ticket), &task.blob_turn, bucket.get_blob(hash));
            }
            (request, _) => task.session.handle(request),
        }
    }
}

/// Starts a blob operation and sends its result to the child. A step waits for the end of each one, so a second one is not
/// from a step: it fails.
fn spawn_blob_operation(
    frames: Frames,
    (id, ticket): (u64, Ticket),
    turn: &Arc<Semaphore>,
    operation: impl Future<Output = Result<Bytes, String>> + Send + 'static,
) {
    match Arc::clone(turn).try_acquire_owned() {
        Ok(turn) => {
            tokio::spawn(async move {
                let result = operation.await;
                // before the child can start the next one
                drop(turn);
                send_blob(id, ticket, result, frames);
            });
        }
        Err(_) => send_blob(id, ticket, Err("a step has one blob operation at a time".to_owned()), frames),
    }
}

/// Sends the results of a task's operations to its child.
fn send_completions(id: u64, frames: Frames) -> CompletionCallback {
    Box::new(move |ticket, completion| {
        // a child that is gone does not need it
        let _ = protocol::frame(&ToHost::Net { id, ticket, completion }).map(|frame| frames.send(frame));
    })
}

/// Sends the result of a blob operation to the child.
fn send_blob(id: u64, ticket: Ticket, result: Result<Bytes, String>, frames: Frames) {
    let completion = match result {
        Ok(bytes) => Completion::Data { bytes, last: true },
        Err(reason) => Completion::Failed(NetError::new(NetErrorKind::Closed, reason)),
    };
    send_completions(id, frames)(ticket, completion);
}

#[cfg(test)]
mod tests {
    use bue_test_support::wait::within_deadline;

    use super::*;

    #[tokio::test]
    async fn a_step_has_one_blob_operation_at_a_time() {
        let (frames, mut sent) = mpsc::unbounded_channel();
        let turn = Arc::new(Semaphore::new(1));
        let start = |ticket| {
            let (finish, finished) = tokio::sync::oneshot::channel();
            let operation = async { finished.await.map_err(|_| "never finished".to_owned()) };
            spawn_blob_operation(frames.clone(), (7, ticket), &turn, operation);
            finish
        };
        let mut answer = async || {
            let frame = within_deadline("an answer", sent.recv()).await.expect("an open queue");
            match postcard::from_bytes(&frame.bytes[4..]).expect("a message") {
                ToHost::Net { id: 7, ticket, completion } => (ticket, completion),
                other => panic!("{other:?}"),
            }
        };
        let first = start(1);
        let _second = start(2);
        assert!(
            matches!(answer().await, (2, Completion::Failed(error)) if error.message.contains("one blob operation"))
        );
        first.send(Bytes::from_static(b"x")).expect("it waits");
        assert!(matches!(answer().await, (1, Completion::Data { .. })));
        // the first one has made room
        start(3).send(Bytes::from_static(b"y")).expect("it waits");
        assert!(matches!(answer().await, (3, Completion::Data { .. })));
    }
}
