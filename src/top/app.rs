//! The loop of `bue top` on a terminal: keys, answers of the hub and lines of a step change the state, which is drawn again.

use std::io::stdin;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bue_client::ClientError;
use bue_model::RunId;
use ratatui::termion::event::Key;
use ratatui::termion::input::TermRead;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use crate::flags::client::Clients;
use crate::process::clock::now;
use crate::process::command_error::CommandError;
use crate::top::details::send_lines;
use crate::top::screen::Screen;
use crate::top::snapshot::{Selection, Snapshot, read_snapshot};
use crate::top::state::{Action, TopState, Topic};

/// Messages that wait to be handled. Each sender waits for room.
const MAX_MESSAGES: usize = 64;

/// What changes the state.
enum Message {
    Key(Key),
    /// The keyboard has gone away.
    NoKeys,
    /// The size of the terminal has changed.
    Resized,
    Answer(Result<Snapshot, ClientError>),
    /// Lines for the view with this number.
    Lines(u64, Vec<String>),
}

/// Shows the selected runs until the user quits.
///
/// # Errors
/// The hub does not answer the first request, the run is deleted, or the terminal fails. While the hub is away later, the last
/// figures stay.
pub(crate) async fn show(clients: Clients, selection: Selection, every: Duration) -> Result<(), CommandError> {
    let first = read_snapshot(&clients.hub, selection).await.context("failed to read the steps")?;
    let (sender, messages) = channel(MAX_MESSAGES);
    let mut app = App {
        state: TopState::new(selection, first, now()),
        screen: Screen::enter().map_err(CommandError::from_stdout)?,
        clients: Arc::new(clients),
        tasks: JoinSet::new(),
        lines: None,
        sender,
    };
    app.start(selection, every)?;
    app.run(messages).await
}

struct App {
    state: TopState,
    screen: Screen,
    clients: Arc<Clients>,
    tasks: JoinSet<()>,
    /// The task that fetches the lines of the open view.
    lines: Option<AbortHandle>,
    sender: Sender<Message>,
}

impl App {
    fn start(&mut self, selection: Selection, every: Duration) -> Result<(), CommandError> {
        let mut resizes =
            signal(SignalKind::window_change()).context("failed to listen for changes of the terminal")?;
        let (keys, sizes, answers) = (self.sender.clone(), self.sender.clone(), self.sender.clone());
        self.tasks.spawn_blocking(move || read_keys(&keys));
        self.tasks.spawn(async move {
            while resizes.recv().await.is_some() && sizes.send(Message::Resized).await.is_ok() {}
        });
        let clients = Arc::clone(&self.clients);
        self.tasks.spawn(async move { poll(&clients, selection, every, &answers).await });
        Ok(())
    }

    async fn run(&mut self, mut messages: Receiver<Message>) -> Result<(), CommandError> {
        loop {
            self.screen.draw(&self.state, now())?;
            tokio::select! {
                Some(message) = messages.recv() => match self.handle(message)? {
                    Action::Quit => return Ok(()),
                    Action::Interrupt => return Err(CommandError::Interrupted),
                    action => self.act(action),
                },
                Some(ended) = self.tasks.join_next() => expect_no_panic(ended),
            }
        }
    }

    fn handle(&mut self, message: Message) -> Result<Action, CommandError> {
        match message {
            Message::Key(key) => return Ok(self.state.press(key)),
            Message::NoKeys => return Err(anyhow!("the terminal has been closed").into()),
            Message::Resized => {}
            Message::Answer(Err(error)) if !error.is_transient() => {
                return Err(anyhow::Error::new(error).context("failed to read the steps").into());
            }
            Message::Answer(answer) => self.state.set_answer(answer, now()),
            Message::Lines(id, lines) => self.state.add_lines(id, lines),
        }
        Ok(Action::Nothing)
    }

    fn act(&mut self, action: Action) {
        let (id, topic, run, step) = match action {
            Action::Open { id, topic, run, step } => (id, topic, run, step),
            Action::Close => return self.lines.take().into_iter().for_each(|task| task.abort()),
            Action::Nothing | Action::Quit | Action::Interrupt => return,
        };
        let (clients, sender) = (Arc::clone(&self.clients), self.sender.clone());
        self.lines = Some(self.tasks.spawn(async move { open(&clients, id, topic, (run, &step), &sender).await }));
    }
}

/// Sends what the hub answers, at these intervals. Each request that fails has tried for two seconds.
async fn poll(clients: &Clients, selection: Selection, every: Duration, sender: &Sender<Message>) {
    loop {
        tokio::time::sleep(every).await;
        let answer = read_snapshot(&clients.hub, selection).await;
        if sender.send(Message::Answer(answer)).await.is_err() {
            return;
        }
    }
}

/// Sends the lines of a view, in the order in which they come.
async fn open(clients: &Clients, id: u64, topic: Topic, step: (RunId, &str), sender: &Sender<Message>) {
    let (lines, mut received) = channel(1);
    let forward = async {
        while let Some(lines) = received.recv().await {
            let _ = sender.send(Message::Lines(id, lines)).await;
        }
    };
    let fetch = async move { send_lines((&clients.hub, &clients.bucket), topic, step, &lines).await };
    tokio::join!(fetch, forward);
}

/// Sends keys until the terminal is closed, on a thread of its own: a terminal cannot be polled everywhere.
fn read_keys(sender: &Sender<Message>) {
    for key in stdin().keys() {
        let Ok(key) = key else { break };
        if sender.blocking_send(Message::Key(key)).is_err() {
            return;
        }
    }
    let _ = sender.blocking_send(Message::NoKeys);
}

/// A task panics because of a bug. Its message has been printed, and the screen left.
fn expect_no_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        resume_unwind(panic);
    }
}
