//! [`ResultPages`]: all results of a run, one page in memory at a time.

use bue_model::RunId;

use crate::api::hub::Hub;
use crate::api::job_reads::{ResultsJson, results_as_json};
use crate::http::reply::ErrorReply;

/// The pages of the results of a run that have not been read yet.
pub(crate) struct ResultPages {
    hub: Hub,
    run: RunId,
    /// The query of the next page; `None` after the last one.
    query: Option<String>,
}

impl ResultPages {
    /// Begins with the page that a query of `/v1/runs/{id}/results` names.
    pub(crate) fn new(hub: &Hub, query: Option<&str>, run: RunId) -> Self {
        Self { hub: hub.clone(), run, query: Some(query.unwrap_or_default().to_owned()) }
    }

    /// Reads the next page. `None` if there is none.
    ///
    /// # Errors
    /// The query is wrong, there is no such run, or the store fails.
    pub(crate) async fn next(&mut self) -> Result<Option<ResultsJson>, ErrorReply> {
        let Some(query) = self.query.take() else { return Ok(None) };
        let page = results_as_json(&self.hub, Some(&query), self.run).await?;
        self.query = page.next.as_ref().map(|next| format!("after={next}"));
        Ok(Some(page))
    }
}
