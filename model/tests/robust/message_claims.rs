//! What must hold for any bytes that should be a message. The tests beside this file check it on mutated messages,
//! `fuzz/fuzz_targets/messages.rs` on what a fuzzer finds.

use core::fmt::Debug;

use bue_model::guest::{CallRequest, Completions, HostRequest, LoadReply, LoadRequest};
use bue_model::log::LogBatch;
use bue_model::pipeline::Publication;
use bue_model::wire::{
    Collected, Collection, Heartbeat, HeartbeatAnswer, LeaseBatch, LeaseRequest, ListPiece, PieceVerdict, ReportBatch,
    ResultPage, Submission, Verdict,
};
use bue_model::{Answer, Bundle, Plan, ValueRef};
use serde::de::DeserializeOwned;
use serde::ser::Serialize;

/// Bytes are an error or a message that survives being written and read again, for every type of message. Returns the number of
/// types that they are a message of.
pub(crate) fn check_messages(bytes: &[u8]) -> usize {
    let checks = [
        // from clients and workers to the hub and the bucket
        check_plan::<Submission>,
        check_plan::<Publication>,
        check::<LeaseRequest>,
        check::<Heartbeat>,
        check::<ReportBatch>,
        check::<ListPiece>,
        check::<PieceVerdict>,
        check::<LogBatch>,
        check::<Collection>,
        // and back
        check::<LeaseBatch>,
        check::<HeartbeatAnswer>,
        check::<Vec<Verdict>>,
        check::<ResultPage>,
        check::<Option<ValueRef>>,
        check::<Collected>,
        // from the bucket to workers
        check::<Bundle>,
        // from guests to sandbox hosts
        check::<HostRequest>,
        check::<LoadReply>,
        check::<Answer>,
        // and back
        check::<LoadRequest>,
        check::<CallRequest>,
        check::<Completions>,
    ];
    checks.into_iter().filter(|check| check(bytes)).count() + usize::from(check_submission_json(bytes))
}

fn check<T: DeserializeOwned + Serialize + Debug>(bytes: &[u8]) -> bool {
    check_grown::<T>(bytes, |_| 0)
}

/// A plan of an earlier version is written as one of the current version, which has more fields: at most eight of a step, of a byte
/// each if they are not set.
fn check_plan<T: DeserializeOwned + Serialize + Debug + HasPlan>(bytes: &[u8]) -> bool {
    check_grown::<T>(bytes, |message| 8 * message.plan().steps.len() + 1)
}

trait HasPlan {
    fn plan(&self) -> &Plan;
}

impl HasPlan for Submission {
    fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl HasPlan for Publication {
    fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// `growth` returns the bytes of fields that a message of an earlier version did not have.
fn check_grown<T: DeserializeOwned + Serialize + Debug>(bytes: &[u8], growth: impl Fn(&T) -> usize) -> bool {
    let Ok(message) = postcard::from_bytes::<T>(bytes) else { return false };
    let encoded = postcard::to_allocvec(&message).expect("every message can be written");
    assert!(encoded.len() <= bytes.len() + growth(&message), "no byte comes from elsewhere: {message:?}");
    let again: T = postcard::from_bytes(&encoded).expect("what was written");
    assert_eq!(postcard::to_allocvec(&again).expect("a message"), encoded, "{message:?}");
    true
}

/// A run may also be submitted as JSON.
fn check_submission_json(bytes: &[u8]) -> bool {
    let Ok(submission) = serde_json::from_slice::<Submission>(bytes) else { return false };
    let json = serde_json::to_string(&submission).expect("every submission is JSON");
    let mut again: Submission = serde_json::from_str(&json).expect("what was written");
    // the last bit of a float may be lost in JSON
    for (step, original) in again.plan.steps.iter_mut().zip(&submission.plan.steps) {
        step.settings.timeout_s = original.settings.timeout_s;
    }
    assert_eq!(again, submission);
    true
}
