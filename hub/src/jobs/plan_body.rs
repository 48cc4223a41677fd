//! The plan of a run as it is stored, with the code of its steps and, if the client named one, the span that the run is part of.
//!
//! Postcard, the plan and the code first. Rows of earlier releases end after them, and those releases ignore what follows, so no
//! migration is needed.

use bue_model::{BlobRef, Plan, TraceContext};

use crate::error::HubError;
use crate::jobs::columns::{from_postcard, to_postcard};

/// Encodes a plan for its column.
pub(crate) fn encode_plan(plan: &Plan, code: &[BlobRef], parent: Option<TraceContext>) -> Result<Vec<u8>, HubError> {
    let mut body = to_postcard(&(plan, code))?;
    if let Some(parent) = parent {
        body.extend(to_postcard(&parent)?);
    }
    Ok(body)
}

/// Decodes a column.
pub(crate) fn decode_plan(body: &[u8]) -> Result<(Plan, Vec<BlobRef>, Option<TraceContext>), HubError> {
    let decoded = postcard::take_from_bytes(body);
    let ((plan, code), rest) = decoded.map_err(|error| HubError::damaged(error.to_string()))?;
    let parent = if rest.is_empty() { None } else { Some(from_postcard(rest)?) };
    Ok((plan, code, parent))
}

#[cfg(test)]
mod tests {
    use bue_model::plan::PLAN_VERSION;

    use super::*;

    #[test]
    fn a_plan_of_an_older_release_has_no_parent() {
        let plan =
            Plan { version: PLAN_VERSION, steps: Vec::new(), nodes: Vec::new(), calls: Vec::new(), params: Vec::new() };
        let older = to_postcard(&(&plan, &Vec::<BlobRef>::new())).expect("postcard");
        assert_eq!(decode_plan(&older).expect("a plan"), (plan.clone(), Vec::new(), None));
        let parent = Some(TraceContext { trace: [1; 16], span: [2; 8], sampled: false });
        let body = encode_plan(&plan, &[], parent).expect("postcard");
        assert_eq!(decode_plan(&body).expect("a plan"), (plan.clone(), Vec::new(), parent));
        // what an older release reads
        assert_eq!(from_postcard::<(Plan, Vec<BlobRef>)>(&body).expect("a plan"), (plan, Vec::new()));
    }
}
