//! Values as files: JSON as the API returns it, and results as CSV for spreadsheets. Results are sent page by page, so that a run may have
//! any number of them.

use std::io;

use bue_model::{JobId, RunId};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{iter, try_unfold};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde::Serialize;
use serde_json::Value;

use crate::api::dispatch::expect_pipeline;
use crate::api::job_reads::{self, ResultsJson};
use crate::api::result_pages::ResultPages;
use crate::api::routes::Operation;
use crate::http::reply::{Body, ErrorReply, json, printable_json, typed};
use crate::http::request::parse_parameter;
use crate::web::parts::csv::CsvColumns;
use crate::web::visit::Visit;

/// All results of a run, as the API would return them if a page had no limit.
pub(in crate::web) async fn results_json(visit: &Visit, id: &str) -> Result<Response<Body>, ErrorReply> {
    let run = expect_run(visit, id).await?;
    let mut pages = ResultPages::new(&visit.hub, visit.query(), run);
    // an error of the first page is an answer, and one of a later page ends the file without its last lines
    let Some(first) = pages.next().await? else { return Err(no_page()) };
    let failed = text(&first.failed)?;
    let head = format!("{{\"run\":{},\"state\":{},\"results\":[", text(&first.run)?, text(&first.state)?);
    let results = entries(&first)?;
    let end = Bytes::from(format!("],\"failed\":{failed},\"next\":null}}"));
    let rest = JsonRest { pages, separator: if results.is_empty() { "" } else { "," }, end: Some(end) };
    Ok(streamed("application/json", &format!("results-{run}.json"), Bytes::from(head + &results), rest, next_json))
}

/// All results of a run as a table, one row for each element of a list. Reads them twice: first for the columns.
pub(in crate::web) async fn results_csv(visit: &Visit, id: &str) -> Result<Response<Body>, ErrorReply> {
    let run = expect_run(visit, id).await?;
    let mut columns = CsvColumns::default();
    let mut pages = ResultPages::new(&visit.hub, visit.query(), run);
    while let Some(page) = pages.next().await? {
        columns.add(&calls(&page)?);
    }
    let pages = ResultPages::new(&visit.hub, visit.query(), run);
    let begin = Bytes::from(columns.header());
    Ok(streamed("text/csv; charset=utf-8", &format!("results-{run}.csv"), begin, (pages, columns), next_csv))
}

/// The next part of a file, and what comes after it. `None` after the last part.
type Part<S> = Result<Option<(Bytes, S)>, ErrorReply>;

/// What is missing of a file of JSON.
struct JsonRest {
    pages: ResultPages,
    /// Before the next results.
    separator: &'static str,
    /// After the last ones; `None` if it was sent.
    end: Option<Bytes>,
}

async fn next_json(mut rest: JsonRest) -> Part<JsonRest> {
    let Some(page) = rest.pages.next().await? else { return Ok(rest.end.take().map(|end| (end, rest))) };
    let results = entries(&page)?;
    if results.is_empty() {
        return Ok(Some((Bytes::new(), rest)));
    }
    let text = format!("{}{results}", rest.separator);
    Ok(Some((text.into(), JsonRest { separator: ",", ..rest })))
}

async fn next_csv((mut pages, columns): (ResultPages, CsvColumns)) -> Part<(ResultPages, CsvColumns)> {
    let Some(page) = pages.next().await? else { return Ok(None) };
    // the run may have gone on meanwhile
    let rows = columns.rows(&calls(&page)?).map_err(|name| changed(&name))?;
    Ok(Some((rows.into(), (pages, columns))))
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

/// The results of a page as JSON, separated by commas.
fn entries(page: &ResultsJson) -> Result<String, ErrorReply> {
    let all: Vec<String> = page.results.iter().map(text).collect::<Result<_, _>>()?;
    Ok(all.join(","))
}

fn text(value: &impl Serialize) -> Result<String, ErrorReply> {
    printable_json(value).map_err(|error| {
        ErrorReply::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("a result is no JSON: {error}"), "")
    })
}

/// The results of a page as values.
fn calls(page: &ResultsJson) -> Result<Vec<Value>, ErrorReply> {
    let all = page.results.iter().map(serde_json::to_value).collect::<Result<_, _>>();
    all.map_err(|_| {
        let message = "a result is nested too deeply for a table";
        ErrorReply::new(StatusCode::UNPROCESSABLE_ENTITY, "too_deep", message, "download the results as JSON")
    })
}

fn changed(column: &str) -> ErrorReply {
    let message = format!("the run went on meanwhile, and a new result has the field `{column}`");
    ErrorReply::new(StatusCode::CONFLICT, "run_running", message, "download it again")
}

fn no_page() -> ErrorReply {
    ErrorReply::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "there is no page of results", "")
}

/// A file whose parts are made as they are sent. An error ends it early, which browsers show as a download that failed.
fn streamed<S, F>(
    content_type: &'static str,
    name: &str,
    begin: Bytes,
    state: S,
    mut next: impl FnMut(S) -> F + Send + 'static,
) -> Response<Body>
where
    S: Send + 'static,
    F: Future<Output = Part<S>> + Send + 'static,
{
    let first = iter([Ok(Frame::data(begin))]);
    let rest = try_unfold(state, move |state| {
        let part = next(state);
        async move {
            let part = part.await.map_err(|error| io::Error::other(error.message().to_owned()))?;
            Ok(part.map(|(bytes, state)| (Frame::data(bytes), state)))
        }
    });
    let mut response = typed(content_type, Bytes::new());
    *response.body_mut() = StreamBody::new(first.chain(rest)).boxed_unsync();
    name_file(&mut response, name);
    response
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
