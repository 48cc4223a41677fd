//! The slots of sandbox hosts' processes, shared by everything that starts, feeds, watches and cancels.

use core::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc, watch};

use super::host_connection::HostConnection;
use super::load::LoadEstimate;
use super::request::Request;
use crate::error::RuntimeError;
use crate::parent::egress::Egress;
use crate::parent::simulated_time::SimulatedTime;
use crate::protocol::{self, ToHost};
use crate::step::net_port::NetRequest;
use crate::step::task::Event;

/// Slots of a host: one for the child that gets new steps, the others for children before it that still have some. If all are
/// taken, for example by steps that sleep for a day, the host is not renewed until one is free.
const SLOTS_PER_HOST: usize = 4;

/// Mappings of a step: two parts of its image and what lies around them, what it has grown by, the rest of its addresses, its stack
/// and the page below.
const MAPPINGS_PER_TASK: usize = 9;
/// Mappings of a host beside its steps: its code, the images and their free slots.
const OTHER_MAPPINGS: usize = 6_000;
/// `vm.max_map_count` where it cannot be read: the kernel's default.
const DEFAULT_MAX_MAPPINGS: usize = 65_530;

/// Returns how many tasks a host can have before it runs out of mappings.
fn max_tasks() -> usize {
    let setting = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    let mappings = setting.and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_MAX_MAPPINGS);
    (mappings.saturating_sub(OTHER_MAPPINGS) / MAPPINGS_PER_TASK).max(1)
}

/// A task that a host has accepted.
pub(crate) struct StartedTask {
    pub(crate) slot: usize,
    pub(crate) events: mpsc::Receiver<Event>,
    /// See [`HostTask::was_alone`](super::host_task::HostTask::was_alone).
    pub(crate) was_alone: Arc<AtomicBool>,
}

/// A few slots per host, and what is known of all of them.
#[derive(Debug)]
pub(crate) struct HostPool {
    hosts: usize,
    slots: Vec<Slot>,
    /// A child became ready, or the pool was closed.
    host_ready: Notify,
    /// A step ended or began to wait: there may be room for another.
    capacity_changed: Notify,
    load: LoadEstimate,
    /// Tasks that the memory mappings of a host have room for.
    max_tasks: usize,
    closed: watch::Receiver<bool>,
    egress: Egress,
}

/// Where a child lives; the next child takes the same slot.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<HostConnection>>);

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<HostConnection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostPool {
    /// A pool of empty slots for some hosts.
    pub(crate) fn new(hosts: usize, closed: watch::Receiver<bool>, egress: Egress) -> Self {
        Self {
            hosts,
            slots: (0..hosts.saturating_mul(SLOTS_PER_HOST)).map(|_| Slot::default()).collect(),
            host_ready: Notify::new(),
            capacity_changed: Notify::new(),
            load: LoadEstimate::default(),
            max_tasks: max_tasks(),
            closed,
            egress,
        }
    }

    pub(crate) fn hosts(&self) -> usize {
        self.hosts
    }

    /// Returns the clock of the steps, if it is simulated.
    pub(crate) fn simulated_time(&self) -> Option<&SimulatedTime> {
        self.egress.simulated_time()
    }

    /// Returns the slots of a host. The first one has the host's number.
    pub(crate) fn slots_of(&self, host: usize) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let hosts = self.hosts;
        (0..SLOTS_PER_HOST).map(move |turn| host + turn * hosts)
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Returns the switch that closes the pool.
    pub(crate) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.clone()
    }

    /// Returns when a child became ready or the pool was closed after this call.
    pub(crate) fn host_ready(&self) -> Notified<'_> {
        self.host_ready.notified()
    }

    /// Returns when a step ended or began to wait after this call.
    pub(crate) fn capacity_changed(&self) -> Notified<'_> {
        self.capacity_changed.notified()
    }

    /// Runs something with the child of a slot. `None` if none is alive there.
    fn with_connection<T>(&self, slot: usize, with: impl FnOnce(&mut HostConnection) -> T) -> Option<T> {
        self.slots.get(slot)?.lock().as_mut().map(with)
    }

    fn sum(&self, count: impl Fn(&HostConnection) -> usize) -> usize {
        self.slots.iter().map(|slot| slot.lock().as_ref().map_or(0, &count)).sum()
    }

    /// Returns the number of steps in all hosts.
    pub(crate) fn tasks(&self) -> usize {
        self.sum(HostConnection::tasks)
    }

    /// Returns how many more steps may run now.
    pub(crate) fn free_capacity(&self) -> usize {
        let runnable = self.load.max_running(self.hosts).saturating_sub(self.sum(HostConnection::running));
        let mappable = self.max_tasks.saturating_mul(self.hosts).saturating_sub(self.tasks());
        runnable.min(mappable)
    }

    /// Returns the bytes of memory that the images of all children hold.
    pub(crate) fn image_bytes(&self) -> u64 {
        let bytes = |slot: &Slot| slot.lock().as_ref().map_or(0, |connection| connection.image_bytes);
        self.slots.iter().map(bytes).fold(0, u64::saturating_add)
    }

    /// Returns the process ids of the children that are alive.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.slots.iter().filter_map(|slot| slot.lock().as_ref().map(|connection| connection.process)).collect()
    }

    /// Sends a task to the child with the least to do. Gives the request back if no child is alive and has room.
    pub(crate) fn start(&self, request: Box<Request>) -> Result<StartedTask, Box<Request>> {
        let Some(slot) = self.least_loaded() else { return Err(request) };
        let Some(place) = self.slots.get(slot) else { return Err(request) };
        match place.lock().as_mut() {
            Some(connection) => {
                let started = connection.start(request, &self.egress);
                started.map(|(events, was_alone)| StartedTask { slot, events, was_alone })
            }
            None => Err(request),
        }
    }

    /// Returns the slot of the child with the fewest running tasks, and of those with the fewest tasks. Children that are drained
    /// or have as many tasks as they can map memory for get none.
    fn least_loaded(&self) -> Option<usize> {
        let load = |slot: &Slot| {
            let slot = slot.lock();
            let connection = slot.as_ref().filter(|connection| !connection.is_draining())?;
            (connection.tasks() < self.max_tasks).then(|| (connection.running(), connection.tasks()))
        };
        let alive = self.slots.iter().enumerate().filter_map(|(index, slot)| Some((load(slot)?, index)));
        alive.min().map(|(_, index)| index)
    }

    /// Sends a message about a task to its child. A child that is gone does not need it.
    pub(crate) fn send(&self, slot: usize, message: &ToHost) {
        let frames = self.with_connection(slot, |connection| connection.frames.clone());
        if let (Some(frames), Ok(frame)) = (frames, protocol::frame(message)) {
            let _ = frames.send(frame);
        }
    }

    /// Removes a task that is not awaited any more, and stops it.
    pub(crate) fn cancel(&self, slot: usize, id: u64) {
        self.with_connection(slot, |connection| connection.remove(id));
        self.send(slot, &ToHost::Cancel { id });
    }

    /// Executes a task's request to the network or the bucket.
    pub(crate) fn handle_request(&self, slot: usize, id: u64, request: NetRequest) {
        self.with_connection(slot, |connection| connection.handle_request(id, request));
    }

    /// Delivers an event to its task. Events of a task that was dropped are ignored.
    ///
    /// # Errors
    /// The child sent elements before those sent earlier were taken.
    pub(crate) fn deliver(&self, slot: usize, id: u64, event: Event) -> Result<(), RuntimeError> {
        let Some(receiver) = self.with_connection(slot, |connection| connection.receiver(id, &event)).flatten() else {
            return Ok(());
        };
        if let Event::Finished(finished) = &event {
            self.load.record(finished);
            self.capacity_changed.notify_waiters();
        }
        match receiver.try_send(event) {
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(RuntimeError::Refused("it sent elements that were not requested".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// A child reported how many of its steps wait, and the memory of its images.
    pub(crate) fn set_load(&self, slot: usize, waiting: u32, image_bytes: u64) {
        self.with_connection(slot, |connection| {
            // more than all of them would make a host look idle
            connection.waiting = (waiting as usize).min(connection.tasks());
            connection.image_bytes = image_bytes;
        });
        self.capacity_changed.notify_waiters();
    }

    /// Puts a child that is ready into its slot, and wakes those who wait for one. A closed pool takes none.
    pub(crate) fn attach(&self, slot: usize, connection: HostConnection) {
        if let Some(place) = self.slots.get(slot) {
            *place.lock() = Some(connection);
        }
        // checked after the child is in its slot: `close` empties the slots after it closes the pool
        if self.is_closed() {
            self.detach(slot);
        }
        self.host_ready.notify_waiters();
    }

    /// Gives a child no more tasks. It ends when it has none left.
    pub(crate) fn drain(&self, slot: usize) {
        self.with_connection(slot, HostConnection::drain);
    }

    /// Removes a child from its slot. Its tasks end with [`HostLost`](crate::error::HostLost).
    pub(crate) fn detach(&self, slot: usize) {
        if let Some(place) = self.slots.get(slot) {
            let connection = place.lock().take();
            if let Some(connection) = connection {
                connection.mark_lost();
            }
        }
    }

    /// Empties all slots and wakes those who wait for a child. Call it after the switch is set.
    pub(crate) fn close(&self) {
        self.host_ready.notify_waiters();
        for slot in 0..self.slots.len() {
            self.detach(slot);
        }
    }
}
