//! [`TopState`]: what the screen shows, and how keys and answers of the hub change it.

use bue_client::ClientError;
use bue_model::{RunId, Timestamp};
use ratatui::termion::event::Key;

use crate::top::columns::Column;
use crate::top::rows::{StepRow, contains, step_rows};
use crate::top::snapshot::{Selection, Snapshot};

/// The longest filter; longer ones cannot be seen.
const MAX_FILTER: usize = 100;

/// Lines that a view of a step keeps. A log may be endless: the first lines go.
pub(crate) const MAX_LINES: usize = 5_000;

/// The rows or lines that PageUp and PageDown move by.
const PAGE: usize = 10;

/// What the screen shows.
#[derive(Debug)]
pub(crate) struct TopState {
    /// Which runs.
    pub(crate) selection: Selection,
    /// The last answer of the hub.
    pub(crate) snapshot: Snapshot,
    /// When it came, by this machine's clock.
    pub(crate) answered_at: Timestamp,
    /// Why there is no newer one.
    pub(crate) problem: Option<String>,
    /// The order of the rows. `None` for that of the scripts.
    pub(crate) order: Option<Order>,
    /// The text that rows must have.
    pub(crate) filter: String,
    /// Keys are added to the filter.
    pub(crate) is_typing: bool,
    /// The errors or the log of a step, in place of the table.
    pub(crate) view: Option<StepLines>,
    rows: Vec<StepRow>,
    /// The selected step. It stays selected when the order changes.
    selected: Option<(RunId, String)>,
    opened: u64,
}

/// The order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// By this column.
    pub(crate) column: Column,
    /// The largest first.
    pub(crate) is_descending: bool,
}

/// What is shown of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The failures of its jobs.
    Errors,
    /// What it prints.
    Log,
}

/// Lines about a step, which arrive one after the other.
#[derive(Debug)]
pub(crate) struct StepLines {
    /// Its number, so that late lines for another view are recognized.
    pub(crate) id: u64,
    pub(crate) topic: Topic,
    pub(crate) step: String,
    pub(crate) lines: Vec<String>,
    /// The lines above the first visible one.
    pub(crate) offset: usize,
}

/// What a key asks for that the state cannot do itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Nothing,
    /// Fetch lines for the view with this number.
    Open {
        id: u64,
        topic: Topic,
        run: RunId,
        step: String,
    },
    /// Stop fetching lines.
    Close,
    Quit,
    /// Ctrl-C, which is a key like others in raw mode.
    Interrupt,
}

impl TopState {
    pub(crate) fn new(selection: Selection, snapshot: Snapshot, now: Timestamp) -> Self {
        let rows = step_rows(&snapshot, None);
        Self {
            selection,
            snapshot,
            answered_at: now,
            problem: None,
            order: None,
            filter: String::new(),
            is_typing: false,
            view: None,
            rows,
            selected: None,
            opened: 0,
        }
    }

    /// Shows a new answer of the hub, or that there is none.
    pub(crate) fn set_answer(&mut self, answer: Result<Snapshot, ClientError>, now: Timestamp) {
        match answer {
            Ok(snapshot) => {
                self.rows = step_rows(&snapshot, Some(&self.snapshot));
                (self.snapshot, self.answered_at, self.problem) = (snapshot, now, None);
            }
            Err(error) => self.problem = Some(error.to_string()),
        }
    }

    /// Adds lines to the view that they were fetched for, if it is still open.
    pub(crate) fn add_lines(&mut self, id: u64, lines: Vec<String>) {
        let Some(view) = self.view.as_mut().filter(|view| view.id == id) else { return };
        view.lines.extend(lines);
        let excess = view.lines.len().saturating_sub(MAX_LINES);
        view.lines.drain(..excess);
        view.offset = view.offset.saturating_sub(excess);
    }

    /// Returns the rows that the filter leaves, in order.
    pub(crate) fn visible_rows(&self) -> Vec<&StepRow> {
        let mut rows: Vec<&StepRow> = self.rows.iter().filter(|row| contains(row, &self.filter)).collect();
        if let Some(Order { column, is_descending }) = self.order {
            // a stable sort: equal rows keep the order of the script
            rows.sort_by(|left, right| match is_descending {
                true => column.compare(right, left),
                false => column.compare(left, right),
            });
        }
        rows
    }

    /// Returns the position of the selected row among these: the first one, if the selected one is not there.
    pub(crate) fn position(&self, rows: &[&StepRow]) -> usize {
        let is_selected = |row: &&StepRow| {
            self.selected.as_ref().is_some_and(|(run, step)| row.run == *run && row.step.name == *step)
        };
        rows.iter().position(is_selected).unwrap_or(0)
    }

    /// Returns the columns of the table; all rows of one run need no run.
    pub(crate) fn columns(&self) -> &'static [Column] {
        match (self.selection, &Column::ALL) {
            (Selection::Run(_), [_, of_steps @ ..]) => of_steps,
            (_, all) => all,
        }
    }

    /// Does what a key means.
    pub(crate) fn press(&mut self, key: Key) -> Action {
        match key {
            Key::Ctrl('c') => Action::Interrupt,
            key if self.is_typing => self.edit_filter(key),
            key if self.view.is_some() => self.scroll(key),
            key => self.choose(key),
        }
    }

    fn edit_filter(&mut self, key: Key) -> Action {
        match key {
            Key::Char('\n') => self.is_typing = false,
            Key::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            Key::Backspace => drop(self.filter.pop()),
            Key::Char(char) if !char.is_control() && self.filter.chars().count() < MAX_FILTER => self.filter.push(char),
            _ => {}
        }
        Action::Nothing
    }

    fn scroll(&mut self, key: Key) -> Action {
        if matches!(key, Key::Esc | Key::Char('q' | '\n')) {
            self.view = None;
            return Action::Close;
        }
        if let Some(view) = &mut self.view {
            view.offset = moved(view.offset, view.lines.len(), key).unwrap_or(view.offset);
        }
        Action::Nothing
    }

    fn choose(&mut self, key: Key) -> Action {
        match key {
            Key::Char('q') => return Action::Quit,
            Key::Char('\n') => return self.open(Topic::Errors),
            Key::Char('l') => return self.open(Topic::Log),
            Key::Char('/') => self.is_typing = true,
            Key::Esc => self.filter.clear(),
            Key::Char('s' | '>') | Key::Right => self.order = self.neighbour(1),
            Key::Char('S' | '<') | Key::Left => self.order = self.neighbour(-1),
            Key::Char('r') => {
                self.order = self.order.map(|order| Order { is_descending: !order.is_descending, ..order });
            }
            key => self.select(key),
        }
        Action::Nothing
    }

    fn select(&mut self, key: Key) {
        let rows = self.visible_rows();
        let position = moved(self.position(&rows), rows.len(), key);
        let row = position.and_then(|position| rows.get(position));
        if let Some(selected) = row.map(|row| (row.run, row.step.name.clone())) {
            self.selected = Some(selected);
        }
    }

    /// Returns the order by the next column, or by the one before. After the last one comes the order of the scripts.
    fn neighbour(&self, distance: isize) -> Option<Order> {
        let columns = self.columns();
        let places = columns.len() + 1;
        let place = self.order.and_then(|order| columns.iter().position(|column| *column == order.column));
        let place = place.map_or(0, |position| position + 1);
        let next = if distance > 0 { place + 1 } else { place + places - 1 } % places;
        let column = *columns.get(next.checked_sub(1)?)?;
        Some(Order { column, is_descending: column.is_number() })
    }

    fn open(&mut self, topic: Topic) -> Action {
        let rows = self.visible_rows();
        let Some(row) = rows.get(self.position(&rows)) else { return Action::Nothing };
        let (run, step) = (row.run, row.step.name.clone());
        self.selected = Some((run, step.clone()));
        self.opened += 1;
        let id = self.opened;
        self.view = Some(StepLines { id, topic, step: step.clone(), lines: Vec::new(), offset: 0 });
        Action::Open { id, topic, run, step }
    }
}

/// Returns where a key moves to from a position among so many. `None` if it does not move, or there are none.
fn moved(position: usize, count: usize, key: Key) -> Option<usize> {
    let last = count.checked_sub(1)?;
    let position = match key {
        Key::Up | Key::Char('k') => position.saturating_sub(1),
        Key::Down | Key::Char('j') => position + 1,
        Key::PageUp => position.saturating_sub(PAGE),
        Key::PageDown | Key::Char(' ') => position + PAGE,
        Key::Home | Key::Char('g') => 0,
        Key::End | Key::Char('G') => last,
        _ => return None,
    };
    Some(position.min(last))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::top::rows::tests::{run, snapshot, step};

    /// The steps of a run, as they are shown at first.
    pub(crate) fn state(steps: Vec<bue_model::wire::StepView>) -> TopState {
        let run = run(1, 1_000, steps);
        TopState::new(Selection::Run(run.id), snapshot(vec![run]), Timestamp(5_000))
    }

    fn three() -> TopState {
        state(vec![step("read", 5), step("parse", 9), step("load", 1)])
    }

    fn press(state: &mut TopState, keys: &str) -> Action {
        keys.chars().map(|key| state.press(Key::Char(key))).last().expect("a key")
    }

    fn names(state: &TopState) -> Vec<&str> {
        state.visible_rows().iter().map(|row| row.step.name.as_str()).collect()
    }

    fn selected(state: &TopState) -> &str {
        let rows = state.visible_rows();
        &rows[state.position(&rows)].step.name
    }

    #[test]
    fn keys_choose_the_column_of_the_order_and_its_direction() {
        let mut state = three();
        assert_eq!(names(&state), ["read", "parse", "load"], "the order of the script");
        press(&mut state, "s");
        assert_eq!(names(&state), ["load", "parse", "read"], "by name");
        press(&mut state, "s");
        assert_eq!(names(&state), ["parse", "read", "load"], "by done, the largest first");
        press(&mut state, "r");
        assert_eq!(names(&state), ["load", "read", "parse"]);
        press(&mut state, "SS");
        assert_eq!(state.order, None);
        press(&mut state, "<");
        assert_eq!(state.order, Some(Order { column: Column::Failed, is_descending: true }));
        press(&mut state, ">");
        assert_eq!(state.order, None, "the columns are a ring");
    }

    #[test]
    fn a_step_stays_selected_when_the_order_changes() {
        let mut state = three();
        assert_eq!(selected(&state), "read");
        press(&mut state, "j");
        assert_eq!(selected(&state), "parse");
        press(&mut state, "ssr");
        assert_eq!((selected(&state), names(&state)[2]), ("parse", "parse"));
        state.press(Key::Down);
        assert_eq!(selected(&state), "parse", "the last row");
        state.press(Key::Home);
        assert_eq!(selected(&state), "load");
    }

    #[test]
    fn a_filter_is_typed_and_left() {
        let mut state = three();
        press(&mut state, "/aq");
        assert_eq!((names(&state).len(), state.is_typing), (0, true), "q is a letter here");
        state.press(Key::Backspace);
        assert_eq!(names(&state), ["read", "parse", "load"]);
        press(&mut state, "d\n");
        assert_eq!((names(&state), state.is_typing), (vec!["read", "load"], false));
        state.press(Key::Esc);
        assert_eq!(names(&state).len(), 3);
    }

    #[test]
    fn errors_and_logs_are_opened_for_the_selected_step() {
        let mut state = three();
        press(&mut state, "j");
        let run = state.snapshot.runs[0].id;
        let opened = press(&mut state, "\n");
        assert_eq!(opened, Action::Open { id: 1, topic: Topic::Errors, run, step: "parse".to_owned() });
        state.add_lines(7, vec!["of another view".to_owned()]);
        state.add_lines(1, (0..MAX_LINES + 3).map(|line| line.to_string()).collect());
        let view = state.view.as_ref().expect("a view");
        assert_eq!((view.lines.len(), view.lines[0].as_str()), (MAX_LINES, "3"));
        press(&mut state, "jj");
        assert_eq!(state.view.as_ref().map(|view| view.offset), Some(2));
        assert_eq!(press(&mut state, "q"), Action::Close);
        let opened = press(&mut state, "l");
        assert!(matches!(opened, Action::Open { id: 2, topic: Topic::Log, .. }), "{opened:?}");
    }

    #[test]
    fn q_quits_and_ctrl_c_interrupts_everywhere() {
        let mut state = three();
        assert_eq!(press(&mut state, "q"), Action::Quit);
        assert_eq!(state.press(Key::Ctrl('c')), Action::Interrupt);
        press(&mut state, "/");
        assert_eq!(state.press(Key::Ctrl('c')), Action::Interrupt);
        let mut empty = state_without_steps();
        assert_eq!(press(&mut empty, "\n"), Action::Nothing);
        press(&mut empty, "jG");
    }

    fn state_without_steps() -> TopState {
        TopState::new(Selection::Open, Snapshot::default(), Timestamp(0))
    }

    #[test]
    fn what_was_known_stays_while_the_hub_is_away() {
        let mut state = three();
        let error = ClientError::Unreachable { server: "hub", addresses: "a:1".into(), reason: "refused".into() };
        state.set_answer(Err(error), Timestamp(9_000));
        assert_eq!((names(&state).len(), state.answered_at), (3, Timestamp(5_000)));
        assert!(state.problem.as_ref().is_some_and(|problem| problem.contains("hub unreachable at a:1")));
        state.set_answer(Ok(snapshot(vec![run(1, 3_000, vec![step("read", 7)])])), Timestamp(9_500));
        assert_eq!((state.problem.as_ref(), state.visible_rows()[0].rate), (None, Some(1.0)));
    }
}
