//! A named value of the bucket that a step reads, writes or deletes. The check of `!allow bucket` is here.
//!
//! ```text
//! read     a request for each part; all of them for the same version of the value
//! store    small   one request
//!          large   parts, of which the last request makes the value
//! ```
//! No connection to the bucket is kept between two operations of the step, because hours may lie between them. Each request is one
//! that may be repeated.

use std::sync::Arc;

use bue_model::net::{Completion, NetError, NetErrorKind, Ticket};
use bue_model::value_name::{MAX_LIFETIME_S, check_value_name};
use bue_model::{NamePattern, UploadId};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::parent::bucket::{Bucket, ValuePart};
use crate::parent::egress::commands::{Commands, ReadCommand, WriteCommand};
use crate::parent::egress::gate::{MissingPermission, PolicySource, Refusal};
use crate::parent::egress::session_state::SessionState;

/// Parts of a value. Those of a Python step have a mebibyte each, so a step may send no more bytes than these.
const MAX_PARTS: u32 = 65_536;

/// Reads a value until its end, or until the step closes the exchange.
pub(crate) async fn read(state: Arc<SessionState>, exchange: Ticket, name: String, max: u32, commands: Commands) {
    // nothing is written here
    drop(commands.writes);
    let (last, completion) = match permitted(&state, &name) {
        Ok(bucket) => {
            let reader = Reader { state: &state, exchange, bucket, name, offset: 0, version: None };
            reader.serve(max, commands.reads).await
        }
        Err(refused) => (exchange, refused),
    };
    state.finish_exchange(exchange, last, completion);
}

/// Writes a value until its last part, or until the step closes the exchange.
pub(crate) async fn store(
    state: Arc<SessionState>,
    exchange: Ticket,
    name: String,
    expires_s: Option<u64>,
    commands: Commands,
) {
    // nothing is read here
    drop(commands.reads);
    let permitted = check_lifetime(expires_s).and_then(|()| permitted(&state, &name));
    let (last, completion) = match permitted {
        Ok(bucket) => {
            state.finish_operation(exchange, exchange, Completion::Written);
            let writer = Writer { state: &state, exchange, bucket, name, expires_s, upload: None };
            writer.serve(commands.writes).await
        }
        Err(refused) => (exchange, refused),
    };
    state.finish_exchange(exchange, last, completion);
}

/// Deletes a value.
pub(crate) async fn delete(state: Arc<SessionState>, exchange: Ticket, name: String) {
    let completion = match permitted(&state, &name) {
        Ok(bucket) => bucket.delete_value(name).await.map_or_else(failed, |()| Completion::Written),
        Err(refused) => refused,
    };
    state.finish_exchange(exchange, exchange, completion);
}

/// Returns the bucket if the script allows the name.
fn permitted(state: &SessionState, name: &str) -> Result<Arc<dyn Bucket>, Completion> {
    if let Err(reason) = check_value_name(name) {
        let shown: String = name.chars().take(80).collect();
        return Err(invalid(format!("{shown:?} is not a name of a value: {reason}")));
    }
    if !state.names().iter().any(|pattern| pattern.allows(name)) {
        let pattern = NamePattern::that_allows(name);
        let message = format!(
            "the script does not allow the value `{name}` of the bucket: write `!allow bucket {pattern}` above the step"
        );
        let missing = vec![(PolicySource::Script, MissingPermission::Bucket(pattern))];
        return Err(state.refuse(Refusal { message, missing }));
    }
    state.bucket().cloned().ok_or_else(|| failed("this step has no bucket".to_owned()))
}

fn check_lifetime(expires_s: Option<u64>) -> Result<(), Completion> {
    match expires_s {
        None | Some(1..=MAX_LIFETIME_S) => Ok(()),
        Some(seconds) => Err(invalid(format!("a value cannot expire after {seconds} seconds"))),
    }
}

fn invalid(message: String) -> Completion {
    Completion::Failed(NetError::new(NetErrorKind::BadRequest, message))
}

fn failed(message: String) -> Completion {
    Completion::Failed(NetError::new(NetErrorKind::Bucket, message))
}

fn closed(message: &str) -> Completion {
    Completion::Failed(NetError::new(NetErrorKind::Closed, message))
}

/// A value that is being read.
struct Reader<'a> {
    state: &'a SessionState,
    exchange: Ticket,
    bucket: Arc<dyn Bucket>,
    name: String,
    offset: u64,
    /// The version that the first part had.
    version: Option<String>,
}

impl Reader<'_> {
    /// Returns the operation that ends the exchange, and its result.
    async fn serve(mut self, mut max: u32, mut reads: mpsc::Receiver<Box<ReadCommand>>) -> (Ticket, Completion) {
        let mut ticket = self.exchange;
        loop {
            let completion = self.next(max).await;
            if !matches!(completion, Completion::Data { last: false, .. }) {
                return (ticket, completion);
            }
            self.state.finish_operation(self.exchange, ticket, completion);
            let Some(command) = reads.recv().await else { return (self.exchange, closed("the step closed it")) };
            (ticket, max) = (command.ticket, command.max);
        }
    }

    async fn next(&mut self, max: u32) -> Completion {
        let (name, version) = (self.name.clone(), self.version.clone());
        let ValuePart { bytes, length, version } = match self.bucket.read_value(name, self.offset, max, version).await {
            Ok(Some(part)) => part,
            Ok(None) if self.version.is_none() => return Completion::Missing,
            Ok(None) => return failed(format!("`{}` was deleted while it was read", self.name)),
            Err(reason) => return failed(reason),
        };
        self.version = Some(version);
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        let last = self.offset >= length;
        if bytes.is_empty() && !last {
            return failed(format!("the bucket returned nothing of `{}`, which has {length} bytes", self.name));
        }
        match self.state.count_received(bytes.len()) {
            Ok(()) => Completion::Data { bytes, last },
            Err(error) => Completion::Failed(error),
        }
    }
}

/// A value that is being written.
struct Writer<'a> {
    state: &'a SessionState,
    exchange: Ticket,
    bucket: Arc<dyn Bucket>,
    name: String,
    expires_s: Option<u64>,
    /// From the second part on.
    upload: Option<Upload>,
}

impl Writer<'_> {
    /// Returns the operation that ends the exchange, and its result.
    async fn serve(mut self, mut writes: mpsc::Receiver<Box<WriteCommand>>) -> (Ticket, Completion) {
        while let Some(command) = writes.recv().await {
            match *command {
                WriteCommand::Write { ticket, bytes, last } => match self.write(bytes, last).await {
                    Ok(()) if last => return (ticket, Completion::Written),
                    Ok(()) => self.state.finish_operation(self.exchange, ticket, Completion::Written),
                    Err(reason) => return (ticket, failed(reason)),
                },
                WriteCommand::StartTls { ticket, .. } => {
                    self.state.finish_operation(self.exchange, ticket, closed("a value has no TLS"));
                }
            }
        }
        (self.exchange, closed("the step closed it"))
    }

    async fn write(&mut self, bytes: Bytes, last: bool) -> Result<(), String> {
        let mut upload = match self.upload.take() {
            None if last => return self.bucket.store_value(self.name.clone(), bytes, self.expires_s).await,
            None => Upload { id: self.bucket.begin_upload().await?, bucket: Arc::clone(&self.bucket), parts: 0 },
            Some(upload) => upload,
        };
        if !bytes.is_empty() {
            upload.store(bytes).await?;
        }
        if last {
            return self.bucket.store_upload(upload.id, upload.parts, self.name.clone(), self.expires_s).await;
        }
        self.upload = Some(upload);
        Ok(())
    }
}

/// The parts of a value. When this is dropped, they are deleted: either the value has been made of them, or there will be none.
struct Upload {
    bucket: Arc<dyn Bucket>,
    id: UploadId,
    parts: u32,
}

impl Upload {
    async fn store(&mut self, bytes: Bytes) -> Result<(), String> {
        if self.parts >= MAX_PARTS {
            return Err(format!("a value may be sent in {MAX_PARTS} parts; write more bytes at a time"));
        }
        // counted first: if it is not known whether the part was stored, it is deleted as well
        self.parts += 1;
        self.bucket.store_part(self.id, self.parts - 1, bytes).await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // the runtime is gone only when the process ends; the bucket then deletes the parts when they have expired
        if let Ok(runtime) = Handle::try_current()
            && self.parts > 0
        {
            let deletion = self.bucket.delete_upload(self.id, self.parts);
            runtime.spawn(async move {
                if let Err(error) = deletion.await {
                    tracing::warn!(%error, "failed to delete the parts of a value; they will expire");
                }
            });
        }
    }
}
