//! Draws a [`TopState`]. Text that came from others is printable before it gets here, see [`Column::cell`] and `details`.

use bue_model::Timestamp;
use bue_model::text::{printable, shortened};
use bue_model::wire::RunView;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};

use crate::process::output::counted;
use crate::runs::progress::remaining_text;
use crate::runs::times::duration_text;
use crate::runs::unserved::unserved_text;
use crate::top::columns::{Column, GAP, fitting, short_id};
use crate::top::rows::StepRow;
use crate::top::snapshot::Selection;
use crate::top::state::{Order, StepLines, TopState, Topic};

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &TopState, now: Timestamp) {
    let rows = [Constraint::Length(1), Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)];
    let [title, notice, body, keys] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(Line::styled(title_text(state), Modifier::BOLD), title);
    frame.render_widget(notice_line(state, now), notice);
    match &state.view {
        Some(view) => draw_lines(frame, view, body),
        None => draw_table(frame, state, body),
    }
    frame.render_widget(keys_line(state), keys);
}

/// `run 0190a1b2 (x.bue) running, 12/30 done, about 3 m left`, or `3 open runs`
fn title_text(state: &TopState) -> String {
    match (state.selection, state.snapshot.runs.as_slice()) {
        (Selection::Run(_), [run, ..]) => run_title(run),
        (_, []) => "no open runs".to_owned(),
        (_, runs) => {
            let text = counted(runs.len(), "open run");
            if state.snapshot.has_more { format!("the latest {text}") } else { text }
        }
    }
}

fn run_title(run: &RunView) -> String {
    let id = short_id(run.id);
    let (done, jobs) = (run.counts.finished(), run.counts.finished() + run.counts.open());
    let remaining = remaining_text(run).map_or_else(String::new, |text| format!(", {text}"));
    let more = run.step_count.saturating_sub(run.steps.len() as u64);
    let more = if more > 0 { format!(", {more} more steps are not shown") } else { String::new() };
    format!("run {id} {}: {done}/{jobs} done{remaining}{more}  {}", run.state.name(), printable(&run.name))
}

/// What the reader must know about the figures: that they are old, or that jobs wait for a worker.
fn notice_line(state: &TopState, now: Timestamp) -> Line<'static> {
    if let Some(problem) = &state.problem {
        let age = duration_text(now.since_ms(state.answered_at));
        let text = format!("figures are {age} old, trying again: {}", printable(problem));
        return Line::styled(text, Style::new().fg(Color::Black).bg(Color::Yellow));
    }
    let unserved = state.snapshot.runs.iter().flat_map(|run| &run.unserved).next();
    let text = unserved.map_or_else(String::new, |scope| printable(&unserved_text(scope)));
    Line::styled(text, Color::Yellow)
}

fn draw_table(frame: &mut Frame<'_>, state: &TopState, area: Rect) {
    let rows = state.visible_rows();
    if rows.is_empty() {
        frame.render_widget(Paragraph::new(empty_text(state)), area);
        return;
    }
    let columns = fitting(state.columns(), &rows, usize::from(area.width));
    let header = columns.iter().map(|(column, width)| aligned(*column, &header_text(*column, state.order), *width));
    let widths = columns.iter().map(|(_, width)| Constraint::Length(u16::try_from(*width).unwrap_or(u16::MAX)));
    let table = Table::new(rows.iter().map(|row| table_row(row, &columns)), widths)
        .header(Row::new(header).style(Modifier::UNDERLINED))
        .column_spacing(u16::try_from(GAP).unwrap_or(1))
        .row_highlight_style(Modifier::REVERSED)
        .style(if state.problem.is_some() { Modifier::DIM } else { Modifier::empty() });
    let mut position = TableState::new().with_selected(state.position(&rows));
    frame.render_stateful_widget(table, area, &mut position);
}

fn empty_text(state: &TopState) -> String {
    match (state.filter.as_str(), state.selection) {
        ("", Selection::Open) => "`bue upload -f FILE` starts a run".to_owned(),
        ("", Selection::Run(_)) => "the run has no steps".to_owned(),
        (filter, _) => format!("no step has `{}`; Esc shows all", printable(filter)),
    }
}

fn table_row(row: &StepRow, columns: &[(Column, usize)]) -> Row<'static> {
    let style = match (row.step.failed, row.step.open(), row.done) {
        (1.., _, _) => Style::new().fg(Color::Red),
        (0, 0, 1..) => Style::new().fg(Color::Green),
        (0, _, _) => Style::new(),
    };
    Row::new(columns.iter().map(|(column, width)| aligned(*column, &column.cell(row), *width))).style(style)
}

fn header_text(column: Column, order: Option<Order>) -> String {
    match order.filter(|order| order.column == column) {
        Some(Order { is_descending: true, .. }) => format!("{}▼", column.name()),
        Some(Order { is_descending: false, .. }) => format!("{}▲", column.name()),
        None => column.name().to_owned(),
    }
}

fn aligned(column: Column, text: &str, width: usize) -> Cell<'static> {
    let line = Line::raw(shortened(text, width));
    Cell::new(if column.is_number() { line.right_aligned() } else { line })
}

fn draw_lines(frame: &mut Frame<'_>, view: &StepLines, area: Rect) {
    let what = match view.topic {
        Topic::Errors => "errors",
        Topic::Log => "log",
    };
    let head = Line::styled(format!("{what} of {}", printable(&view.step)), Modifier::UNDERLINED);
    let lines = view.lines.iter().skip(view.offset).take(usize::from(area.height));
    let lines = std::iter::once(head).chain(lines.map(|line| Line::raw(line.as_str())));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

/// The keys, or what is being typed.
fn keys_line(state: &TopState) -> Line<'static> {
    if state.is_typing || !state.filter.is_empty() && state.view.is_none() {
        let cursor = if state.is_typing { "_" } else { "  (Esc: all)" };
        return Line::raw(format!("/{}{cursor}", printable(&state.filter)));
    }
    let text = match state.view {
        Some(_) => "esc back  ↑↓ scroll",
        None => "q quit  enter errors  l log  / filter  s sort  r reverse",
    };
    Line::styled(text, Modifier::DIM)
}

#[cfg(test)]
mod tests {
    use bue_client::ClientError;
    use bue_model::wire::StepView;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Cell as BufferCell;
    use ratatui::termion::event::Key;

    use super::*;
    use crate::top::rows::tests::step;
    use crate::top::state::tests::state;

    fn drawn(state: &TopState, (width, height): (u16, u16)) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| draw(frame, state, Timestamp(17_000))).expect("drawn");
        terminal.backend().clone()
    }

    fn lines(backend: &TestBackend) -> Vec<String> {
        let buffer = backend.buffer();
        let width = usize::from(buffer.area.width);
        let text = |cells: &[BufferCell]| cells.iter().map(BufferCell::symbol).collect::<String>();
        buffer.content().chunks(width).map(|cells| text(cells).trim_end().to_owned()).collect()
    }

    fn two_steps() -> TopState {
        let mut failing = step("read|parse|chunk64", 12);
        failing.failed = 3;
        let ended = StepView { available: 0, ..step("x\u{1b}[2J\u{202e}y", 2) };
        state(vec![failing, ended])
    }

    #[test]
    fn a_step_is_a_row_and_the_selected_one_is_reversed() {
        let backend = drawn(&two_steps(), (100, 8));
        let shown = lines(&backend);
        assert!(shown[0].starts_with("run 00000001 running: ") && shown[0].ends_with("script1.bue"), "{shown:#?}");
        assert!(shown[2].starts_with("step") && shown[2].ends_with("failed"), "{shown:#?}");
        let cells: Vec<&str> = shown[3].split_whitespace().collect();
        assert_eq!(cells[..3], ["read|parse|chunk64", "15/27", "-"]);
        assert!(shown[4].starts_with("x[2Jy "), "{shown:#?}");
        assert!(shown[7].starts_with("q quit"), "{shown:#?}");
        let style = |row| backend.buffer().cell((0, row)).expect("a cell").style();
        assert!(style(3).add_modifier.contains(Modifier::REVERSED) && style(3).fg == Some(Color::Red));
        assert!(!style(4).add_modifier.contains(Modifier::REVERSED) && style(4).fg == Some(Color::Green));
    }

    #[test]
    fn old_figures_are_dim_below_a_banner() {
        let mut state = two_steps();
        let error = ClientError::Unreachable { server: "hub", addresses: "a:1".into(), reason: "refused".into() };
        state.set_answer(Err(error), Timestamp(16_000));
        let backend = drawn(&state, (100, 8));
        assert!(lines(&backend)[1].starts_with("figures are 12 s old, trying again: hub unreachable at a:1"));
        let is_dim = |row| backend.buffer().cell((0, row)).expect("a cell").modifier.contains(Modifier::DIM);
        assert!(is_dim(3) && is_dim(4));
        let before = drawn(&two_steps(), (100, 8));
        assert!(!before.buffer().cell((0, 4)).expect("a cell").modifier.contains(Modifier::DIM));
    }

    #[test]
    fn every_size_can_be_drawn_and_narrow_ones_keep_the_failures() {
        for width in 0..120 {
            for height in 0..8 {
                drawn(&two_steps(), (width, height));
            }
        }
        let shown = lines(&drawn(&two_steps(), (50, 8)));
        let header: Vec<&str> = shown[2].split_whitespace().collect();
        assert_eq!((header[0], header[1], *header.last().expect("a column")), ("step", "done", "failed"));
        assert!(header.len() < 8, "{header:?}");
        assert!(shown[3].starts_with("read|parse|chunk64") && shown[3].ends_with('3'), "{shown:#?}");
    }

    #[test]
    fn the_order_the_filter_and_the_lines_of_a_step_are_shown() {
        let mut state = two_steps();
        "ss/parse".chars().for_each(|key| drop(state.press(Key::Char(key))));
        let shown = lines(&drawn(&state, (100, 8)));
        assert!(shown[2].contains("done▼") && shown[7] == "/parse_", "{shown:#?}");
        assert_eq!(shown[4], "", "the other step is filtered");
        state.press(Key::Char('\n'));
        state.press(Key::Char('\n'));
        state.add_lines(1, (1..=9).map(|line| format!("line {line}")).collect());
        state.press(Key::Down);
        let shown = lines(&drawn(&state, (100, 8)));
        assert_eq!(shown[2..6], ["errors of read|parse|chunk64", "line 2", "line 3", "line 4"]);
    }

    #[test]
    fn a_long_table_shows_the_selected_row() {
        let mut state = state((0..50).map(|number| step(&format!("step{number}"), 1)).collect());
        state.press(Key::End);
        let shown = lines(&drawn(&state, (80, 10)));
        assert!(shown[8].starts_with("step49"), "{shown:#?}");
    }
}
