//! A running step, as its caller sees it.

use bue_model::Answer;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::HostLost;
use crate::parent::hosts::host_task::HostTask;
use crate::step::task::{Event, Finished, Usage};

/// A running task. Dropping it stops the step.
#[derive(Debug)]
pub struct Running {
    /// `None` when it has ended.
    events: Option<mpsc::Receiver<Event>>,
    /// The end of a task that did not start.
    last: Option<Finished>,
    /// The task in its sandbox host; `None` if it runs in this process.
    host: Option<HostTask>,
}

impl Running {
    /// A task that ended before it started.
    pub(crate) fn finished(answer: Answer) -> Self {
        let finished = Finished { answer, log: Bytes::new(), usage: Usage::default() };
        Self { events: None, last: Some(finished), host: None }
    }

    /// A task in a sandbox host.
    pub(crate) const fn hosted(events: mpsc::Receiver<Event>, host: HostTask) -> Self {
        Self { events: Some(events), last: None, host: Some(host) }
    }

    /// A task in this process, which stops when its events are dropped.
    pub(crate) const fn local(events: mpsc::Receiver<Event>) -> Self {
        Self { events: Some(events), last: None, host: None }
    }

    /// Returns the next event. After [`Event::Finished`] it returns [`HostLost`].
    ///
    /// Elements are acknowledged when they are returned here, and only then does the host send more. Cancel safe: an event is
    /// either returned or still to come.
    ///
    /// # Errors
    /// The host died. What the step did is unknown; it may be run again.
    pub async fn next(&mut self) -> Result<Event, HostLost> {
        let event = self.next_unacknowledged().await?;
        if matches!(event, Event::Items { .. }) {
            self.acknowledge_items();
        }
        Ok(event)
    }

    /// The same, but the caller acknowledges elements. Cancel safe.
    ///
    /// # Errors
    /// The host died. What the step did is unknown; it may be run again.
    pub async fn next_unacknowledged(&mut self) -> Result<Event, HostLost> {
        if let Some(finished) = self.last.take() {
            return Ok(Event::Finished(finished));
        }
        let event = self.events.as_mut().ok_or(HostLost { alone: false })?.recv().await;
        if matches!(event, Some(Event::Finished(_)) | None) {
            self.events = None;
        }
        event.ok_or_else(|| HostLost { alone: self.host.as_ref().is_some_and(HostTask::was_alone) })
    }

    /// Lets the host send the elements after those that were returned last. A step that has more of them is suspended meanwhile. A task in
    /// this process ignores it.
    pub fn acknowledge_items(&self) {
        if let (Some(_), Some(host)) = (&self.events, &self.host) {
            host.acknowledge_items();
        }
    }

    /// Requests the lines that the step prints, from a position on: 0, or the `next` of the last [`Event::Lines`]. One such event
    /// follows each request; it is empty if another request comes before there are lines. At most two may be open. A task in this
    /// process ignores it.
    pub fn request_lines(&self, position: u64) {
        if let (Some(_), Some(host)) = (&self.events, &self.host) {
            host.request_lines(position);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.events.is_some()
            && let Some(host) = &self.host
        {
            host.cancel();
        }
    }
}
