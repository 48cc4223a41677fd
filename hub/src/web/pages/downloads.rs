//! Values as files: JSON as the API returns it, and results as CSV for spreadsheets.

use bue_model::{JobId, RunId};
use http::{HeaderValue, Response, header};
use serde::Serialize;
use serde_json::Value;

use crate::api::dispatch::expect_pipeline;
use crate::api::job_reads;
use crate::api::routes::Operation;
use crate::http::reply::{Body, ErrorReply, json, typed};
use crate::http::request::parse_parameter;
use crate::web::parts::csv::csv;
use crate::web::visit::Visit;

/// A page of the results of a run: `next` in it is the `after` of the next one.
pub(in crate::web) async fn results_json(visit: &Visit, id: &str) -> Result<Response<Body>, ErrorReply> {
    let run = expect_run(visit, id).await?;
    let page = job_reads::results_as_json(&visit.hub, visit.query(), run).await?;
    file(&page, &format!("results-{run}.json"))
}

/// The results of one page as a table, one row for each element of a list.
pub(in crate::web) async fn results_csv(visit: &Visit, id: &str) -> Result<Response<Body>, ErrorReply> {
    let run = expect_run(visit, id).await?;
    let page = job_reads::results_as_json(&visit.hub, visit.query(), run).await?;
    let value = serde_json::to_value(&page).unwrap_or(Value::Null);
    let calls = value.get("results").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut response = typed("text/csv; charset=utf-8", csv(&calls));
    name_file(&mut response, &format!("results-{run}.csv"));
    Ok(response)
}

pub(in crate::web) async fn job_result(visit: &Visit, id: &str) -> Result<Response<Body>, ErrorReply> {
    let job = JobId(parse_parameter(id, "job id")?);
    file(&job_reads::result(&visit.hub, None, job).await?, &format!("result-{job}.json"))
}

pub(in crate::web) async fn job_inputs(visit: &Visit, id: &str) -> Result<Response<Body>, ErrorReply> {
    let job = JobId(parse_parameter(id, "job id")?);
    file(&job_reads::inputs(&visit.hub, None, job).await?, &format!("inputs-{job}.json"))
}

async fn expect_run(visit: &Visit, id: &str) -> Result<RunId, ErrorReply> {
    let run = parse_parameter::<RunId>(id, "run id")?;
    expect_pipeline(&visit.hub, visit.principal.as_ref(), Operation::GetResults, id).await?;
    Ok(run)
}

fn file<T: Serialize>(value: &T, name: &str) -> Result<Response<Body>, ErrorReply> {
    let mut response = json(value)?;
    name_file(&mut response, name);
    Ok(response)
}

fn name_file(response: &mut Response<Body>, name: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
}
