//! The traces of runs: one for each run, with a span for each attempt. All ids are computed, so that any hub and any worker agrees on
//! them and none has to be stored but that of a client's own span. Pure.

use bue_model::{JobId, RunId, TraceContext};

/// What the spans of runs and of attempts are hashed with, so that they differ.
const RUN: &[u8] = b"run";
const ATTEMPT: &[u8] = b"attempt";

/// A run as its trace sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TracedRun {
    pub(crate) id: RunId,
    /// The client's own span, of which the run is a part.
    pub(crate) parent: Option<TraceContext>,
}

impl TracedRun {
    /// Returns the span of the run. Its trace is that of the client's span or else has the id of the run. `None` for the one id that no
    /// trace can have.
    pub(crate) fn span(self) -> Option<TraceContext> {
        let run = *self.id.0.as_bytes();
        let own = TraceContext { trace: run, span: [0; 8], sampled: true };
        let base = self.parent.or_else(|| (run != [0; 16]).then_some(own))?;
        Some(TraceContext { span: span_id(&[RUN, &run]), ..base })
    }

    /// Returns the span of the part of the run that began at this time, after a reset.
    pub(crate) fn span_after_reset(self, at: i64) -> Option<TraceContext> {
        let span = span_id(&[RUN, self.id.0.as_bytes(), &at.to_be_bytes()]);
        Some(TraceContext { span, ..self.span()? })
    }

    /// Returns the span of an attempt: that of a job under the token of its lease.
    pub(crate) fn attempt_span(self, job: JobId, token: u64) -> Option<TraceContext> {
        let span = span_id(&[ATTEMPT, self.id.0.as_bytes(), &job.0.to_be_bytes(), &token.to_be_bytes()]);
        Some(TraceContext { span, ..self.span()? })
    }
}

/// Hashes parts that have the same lengths whenever the first one is the same.
fn span_id(parts: &[&[u8]]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut span = [0; 8];
    hasher.finalize_xof().fill(&mut span);
    // all zeros mean that there is no span
    if span == [0; 8] { [1; 8] } else { span }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_span_has_an_id_of_its_own_which_never_changes() {
        let traced = |id| TracedRun { id: RunId(Uuid::from_u128(id)), parent: None };
        let run = traced(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        let root = run.span().expect("a trace");
        assert_eq!(root.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-9c3f6861f028fd13-01");
        let mut spans = HashSet::from([root.span]);
        for number in 0..100 {
            assert!(spans.insert(run.attempt_span(JobId(number), 1).expect("a trace").span));
            assert!(spans.insert(run.attempt_span(JobId(1), number + 2).expect("a trace").span));
            assert!(spans.insert(run.span_after_reset(number.cast_signed()).expect("a trace").span));
        }
        assert!(spans.insert(traced(1).attempt_span(JobId(1), 1).expect("a trace").span));
        assert_eq!(traced(0).span(), None);
    }

    #[test]
    fn a_run_is_part_of_its_clients_trace() {
        let parent = TraceContext { trace: [7; 16], span: [8; 8], sampled: false };
        let run = TracedRun { id: RunId(Uuid::nil()), parent: Some(parent) };
        let attempt = run.attempt_span(JobId(1), 1).expect("a trace");
        assert_eq!((attempt.trace, attempt.sampled), ([7; 16], false));
        assert_ne!(run.span().expect("a trace").span, parent.span);
    }
}
