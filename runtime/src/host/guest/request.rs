//! Requests to a guest, encoded, and the failures of those that have no reply.

use bue_model::{Answer, Failure, FailureKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::engine::GUEST_STACK;
use crate::host::guest::code::{GuestFunction, Instance};
use crate::host::guest_failure::{self, Stacks};
use crate::host::memory::image::Image;
use crate::host::values;
use crate::step::limits::Limits;

/// Sends a request to the guest and decodes its reply.
pub(crate) async fn request<Request: Serialize, Reply: DeserializeOwned>(
    instance: &mut Instance<'_>,
    function: GuestFunction,
    request: &Request,
) -> Result<Reply, Failure> {
    let unreadable = |error| Failure::new(FailureKind::Trap, format!("The guest's answer cannot be read: {error}"));
    let request = postcard::to_allocvec(request).map_err(unreadable)?;
    let reply = match instance.request(function, &request).await {
        Ok(reply) => reply,
        Err(error) => {
            let stacks = Stacks { native: GUEST_STACK, is_exhausted: instance.is_stack_exhausted() };
            return Err(guest_failure::from_error(&error, instance.state(), stacks));
        }
    };
    postcard::from_bytes(&reply).map_err(unreadable)
}

/// Returns the answer of a guest, unless it contains values that are not well-formed.
pub(crate) async fn checked(answer: Answer) -> Result<Answer, Failure> {
    let wrong = |problem| Failure::new(FailureKind::Trap, format!("The guest answered with {problem}"));
    values::checked_answer(answer).await.map_err(wrong)
}

/// Checks that the image is within the step's memory limit. `content` says what is in it.
pub(crate) fn check_image_size(image: &Image, content: &str, limits: &Limits) -> Result<(), Failure> {
    let bytes = image.len() as u64;
    if bytes > limits.memory_bytes { Err(guest_failure::image_too_large(bytes, content, limits)) } else { Ok(()) }
}

/// The failure of a step whose sandbox could not be created.
pub(crate) fn not_created(error: &wasmtime::Error) -> Failure {
    Failure::new(FailureKind::Internal, format!("The sandbox could not be created: {error:#}"))
}
