//! [`AuditEntry`]: a change and who made it; and the lists of them. Pure.

use bue_model::audit::AuditView;
use bue_model::text::truncate_bytes;
use bue_model::{RunId, Timestamp};
use serde_json::{Value, json};

use crate::jobs::views::position::Position;
use crate::jobs::views::row_query::{RowQuery, SqlParams};

/// Bytes of the name of what was changed: a schedule's or pipeline's name is shorter, the path of a script is seldom longer.
const MAX_TARGET: usize = 1_024;
/// Bytes of the detail as JSON.
const MAX_DETAIL: usize = 4_096;
/// Entries that are looked at for one page if not every one of the index fits.
const MAX_ROWS: usize = 1_000;

/// A change that a request made, to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The name of the token of the request, or what stands for it.
    pub actor: String,
    /// The token's role.
    pub role: Option<String>,
    /// What was done.
    pub action: String,
    /// What it was done to. Cut after a kilobyte.
    pub target: String,
    /// The run that was changed or created.
    pub run: Option<RunId>,
    /// More about the change, at most four kilobytes as JSON.
    pub detail: Value,
}

/// Which entries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only entries about this run.
    pub run: Option<RunId>,
    /// Only entries of this actor.
    pub actor: Option<String>,
    /// Only entries with this action.
    pub action: Option<String>,
    /// Only entries of this time or later.
    pub since: Option<Timestamp>,
    /// Only earlier entries.
    pub until: Option<Timestamp>,
    /// Only entries behind this position.
    pub after: Option<Position>,
    /// The largest number of entries.
    pub limit: u32,
}

/// A page of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditList {
    /// The entries, newest first.
    pub entries: Vec<AuditView>,
    /// [`AuditQuery::after`] of the next page. `None` on the last page.
    pub next: Option<Position>,
}

/// The columns of an entry in a list.
#[derive(Clone, Debug)]
pub(crate) struct AuditRow {
    pub(crate) position: Position,
    /// Whether it fits what the index does not contain.
    pub(crate) is_match: bool,
    pub(crate) actor: String,
    pub(crate) role: Option<String>,
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) run: Option<RunId>,
    pub(crate) detail: String,
}

impl AuditEntry {
    /// Returns the target as it is stored. PostgreSQL stores no text with a NUL.
    pub(crate) fn stored_target(&self) -> String {
        let mut target = self.target.replace('\0', "\u{fffd}");
        truncate_bytes(&mut target, MAX_TARGET);
        target
    }

    /// Returns the detail as it is stored: JSON, in which a NUL is escaped.
    pub(crate) fn stored_detail(&self) -> String {
        let detail = self.detail.to_string();
        if detail.len() <= MAX_DETAIL {
            return detail;
        }
        // as a text it may take six times as many bytes
        let mut beginning = detail;
        truncate_bytes(&mut beginning, MAX_DETAIL / 8);
        json!({ "beginning": beginning }).to_string()
    }
}

impl AuditQuery {
    /// Returns the query for the columns of [`AuditRow`]. Each combination of conditions reads an index in its order.
    pub(crate) fn rows(&self, mark: char) -> RowQuery {
        let mut sql = SqlParams::new(mark);
        let actor = self.actor.as_ref().map(|actor| format!("actor = {}", sql.text(actor)));
        let action = self.action.as_ref().map(|action| format!("action = {}", sql.text(action)));
        let given: Vec<String> = [actor, action].into_iter().flatten().collect();
        let (indexed, checked) = match self.run {
            Some(run) => (vec![format!("run_id = {}", sql.run(run))], given),
            None => (given, Vec::new()),
        };
        let limit = if checked.is_empty() { self.page_size() + 1 } else { MAX_ROWS };
        let is_match = if checked.is_empty() { "TRUE".to_owned() } else { checked.join(" AND ") };
        let indexed: String = indexed.iter().map(|condition| format!("{condition} AND ")).collect();
        let Position { at, key } = Position::upper_bound(self.after, self.until.map(|until| until.0));
        let (at, key) = (sql.int(at), sql.int(key));
        let since = sql.int(self.since.map_or(i64::MIN, |since| since.0));
        let max = sql.int(i64::try_from(limit).unwrap_or(i64::MAX));
        let text = format!(
            "SELECT at, id, {is_match}, actor, role, action, target, run_id, detail FROM audit \
             WHERE {indexed}(at, id) < ({at}, {key}) AND at >= {since} ORDER BY at DESC, id DESC LIMIT {max}"
        );
        sql.query(text, limit)
    }

    fn page_size(&self) -> usize {
        self.limit.max(1) as usize
    }

    /// Returns the page of these rows, in the order of the query, of which there are at most `limit`.
    pub(crate) fn page(&self, rows: Vec<AuditRow>, limit: usize) -> AuditList {
        let (count, mut page) = (rows.len(), AuditList::default());
        for (number, row) in (1..).zip(rows) {
            let position = row.position;
            if row.is_match {
                page.entries.push(row.into());
            }
            let (is_full, has_more) = (page.entries.len() == self.page_size(), number < count || count == limit);
            if has_more && (is_full || number == count) {
                page.next = Some(position);
                break;
            }
        }
        page
    }
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        let AuditRow { position, is_match: _, actor, role, action, target, run, detail } = row;
        // the hub wrote it as JSON; whatever else is there is shown as it is
        let detail = serde_json::from_str(&detail).unwrap_or(Value::String(detail));
        Self { at: Timestamp(position.at), actor, role, action, target, run, detail }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn entry(target: &str, detail: Value) -> AuditEntry {
        let (actor, action) = ("a".to_owned(), "x".to_owned());
        AuditEntry { actor, role: None, action, target: target.to_owned(), run: None, detail }
    }

    #[test]
    fn what_is_stored_is_bounded_and_has_no_nul() {
        let hostile = entry(&"\0é".repeat(10_000), json!({ "filter": "\0\"\\".repeat(100_000) }));
        let (target, detail) = (hostile.stored_target(), hostile.stored_detail());
        assert!(target.len() <= MAX_TARGET && !target.contains('\0'), "{}", target.len());
        assert!(detail.len() <= MAX_DETAIL && !detail.contains('\0'), "{}", detail.len());
        let read: Value = serde_json::from_str(&detail).expect("JSON");
        assert!(read["beginning"].as_str().is_some_and(|text| text.starts_with("{\"filter\":")), "{read}");
        let small = entry("etl", json!({ "jobs": 1 }));
        assert_eq!((small.stored_target(), small.stored_detail()), ("etl".into(), r#"{"jobs":1}"#.into()));
    }

    fn row(at: i64, is_match: bool) -> AuditRow {
        AuditRow {
            position: Position { at, key: at },
            is_match,
            actor: "a".into(),
            role: None,
            action: "x".into(),
            target: String::new(),
            run: None,
            detail: "{}".into(),
        }
    }

    #[test]
    fn a_page_ends_when_it_is_full_or_nothing_more_was_read() {
        let query = AuditQuery { limit: 2, ..AuditQuery::default() };
        let page = |rows: &[(i64, bool)], limit| {
            let page = query.page(rows.iter().map(|(at, is_match)| row(*at, *is_match)).collect(), limit);
            let times: Vec<i64> = page.entries.iter().map(|entry| entry.at.0).collect();
            (times, page.next.map(|next| next.at))
        };
        assert_eq!(page(&[], 3), (vec![], None));
        assert_eq!(page(&[(9, true), (8, true)], 3), (vec![9, 8], None));
        assert_eq!(page(&[(9, true), (8, true), (7, true)], 3), (vec![9, 8], Some(8)));
        assert_eq!(page(&[(9, false), (8, true), (7, false)], 3), (vec![8], Some(7)));
        assert_eq!(page(&[(9, false), (8, true), (7, false)], 4), (vec![8], None));
    }

    #[test]
    fn conditions_are_read_from_an_index() {
        let all = AuditQuery { actor: Some("a".into()), action: Some("x".into()), limit: 7, ..AuditQuery::default() };
        let rows = all.rows('?');
        assert!(rows.sql.contains("WHERE actor = ?1 AND action = ?2 AND (at, id) < (?3, ?4)"), "{}", rows.sql);
        assert_eq!(rows.limit, 8);
        let of_run = AuditQuery { run: Some(RunId(Uuid::nil())), ..all }.rows('$');
        assert!(of_run.sql.contains("actor = $1 AND action = $2, actor,"), "{}", of_run.sql);
        assert!(of_run.sql.contains("WHERE run_id = $3 AND (at, id) <"), "{}", of_run.sql);
        assert_eq!(of_run.limit, MAX_ROWS);
    }
}
