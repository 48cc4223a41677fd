//! [`scrape`]: the hub's own metrics, as any reader of `/metrics` gets them.

use super::samples::{MetricFamily, read_metrics};
use crate::api::hub::Hub;

/// Returns the metrics. `None` if the store cannot count the jobs now, which the log says.
pub(crate) async fn scrape(hub: &Hub) -> Option<Vec<MetricFamily>> {
    let text = match hub.metrics_text().await {
        Ok(text) => text,
        Err(error) => {
            tracing::warn!(%error, "failed to read the metrics to export");
            return None;
        }
    };
    let families = read_metrics(&text);
    if families.is_none() {
        tracing::error!("the metrics are in a form that cannot be exported");
    }
    families
}
