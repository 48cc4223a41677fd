//! [`Download`]: the body of an answer, read in chunks.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::endpoint::Endpoint;
use crate::error::{ClientError, root_cause};

/// The longest time between two chunks of an answer.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);

/// The body of an answer, read one chunk at a time.
#[derive(Debug)]
pub struct Download {
    endpoint: Endpoint,
    body: Incoming,
}

impl Download {
    pub(crate) const fn new(endpoint: Endpoint, body: Incoming) -> Self {
        Self { endpoint, body }
    }

    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Reads the next chunk. `None` at the end.
    ///
    /// # Errors
    /// The connection broke, or nothing arrived in time.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match timeout(CHUNK_TIMEOUT, self.body.frame()).await {
                Err(_) => return Err(self.endpoint.timed_out(CHUNK_TIMEOUT)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(self.endpoint.broken(root_cause(&error))),
                Ok(Some(Ok(frame))) => {
                    if let Ok(chunk) = frame.into_data() {
                        return Ok(Some(chunk));
                    }
                }
            }
        }
    }

    /// Reads the whole body, of at most `max` bytes.
    pub(crate) async fn collect(mut self, max: usize) -> Result<Bytes, ClientError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            if body.len().saturating_add(chunk.len()) > max {
                return Err(ClientError::TooLarge { what: "the answer", limit: max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}
