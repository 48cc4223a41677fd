//! Sandbox host processes: started, given tasks, watched and restarted.
//!
//! ```text
//! Hosts -- HostPool -- slot -- supervisor -- child process     each host has a few slots, whose children take turns
//!                       |      reads frames, delivers events to the tasks' Running
//!                       +-- HostConnection: the child that is alive now, its tasks, the bundles it holds
//! ```
//! `load.rs` estimates how many steps the cores have room for, `setup.rs` and `request.rs` make the frames that set up a child
//! and start a task, `supervisor.rs` restarts and renews children, `watchdog.rs` notices those that do not answer, `bundle_cache.rs` knows which code a child holds. Depends on [`child`](crate::parent::child),
//! [`egress`](crate::parent::egress) and [`step_compiler`](crate::parent::step_compiler).

pub(crate) mod bundle_cache;
pub(crate) mod config;
pub(crate) mod host_connection;
pub(crate) mod host_task;
pub(crate) mod load;
pub(crate) mod memory;
pub(crate) mod packages;
pub(crate) mod pool;
pub(crate) mod request;
pub(crate) mod setup;
pub(crate) mod supervisor;
pub(crate) mod watchdog;

use core::sync::atomic::{AtomicU64, Ordering};
use std::any::Any;
use std::sync::Arc;

use bue_model::{BlobHash, Bundle, Failure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::futures::Notified;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::config::HostsConfig;
use self::host_task::HostTask;
use self::memory::{own_private_bytes, private_bytes};
use self::packages::HostPackages;
use self::pool::HostPool;
use self::request::Request;
use self::setup::setup;
use self::supervisor::supervise;
use crate::error::RuntimeError;
use crate::parent::bucket::Bucket;
use crate::parent::child::Child;
use crate::parent::running::Running;
use crate::parent::step_compiler::StepCompiler;
use crate::step::compiled_step::CompiledStep;
use crate::step::task::Task;
use crate::wall::parent::protect;
use crate::wall::report::Wall;
use crate::wall::spec::WallMode;

/// Running sandbox hosts. Dropping it kills them.
#[derive(Debug)]
pub struct Hosts {
    pool: Arc<HostPool>,
    compiler: StepCompiler,
    next_id: AtomicU64,
    supervisors: JoinSet<()>,
    close: watch::Sender<bool>,
    wall: Wall,
    packages: HostPackages,
    own_bytes_at_start: u64,
}

impl Hosts {
    /// Starts the hosts and waits until all of them are ready.
    ///
    /// # Errors
    /// A host that cannot be started or refuses to serve.
    pub async fn start(config: HostsConfig) -> Result<Self, RuntimeError> {
        raise_file_limit();
        if config.wall != WallMode::Off {
            protect();
        }
        let (close, closed) = watch::channel(false);
        let pool = Arc::new(HostPool::new(config.hosts.max(1), closed, config.egress.clone()));
        let compiler = StepCompiler::open(&config.prepared, config.command.clone(), config.wall)?;
        let folder = config.packages.clone();
        let (supervisors, wall) = start_children(&pool, Arc::new(config)).await?;
        log_wall(&wall);
        let packages = HostPackages::new(folder, &wall);
        let (next_id, own_bytes_at_start) = (AtomicU64::new(1), own_private_bytes());
        Ok(Self { pool, compiler, next_id, supervisors, close, wall, packages, own_bytes_at_start })
    }

    /// Returns the wall around the hosts: that of one of them, which differs from the others by its user id only.
    #[must_use]
    pub const fn wall(&self) -> &Wall {
        &self.wall
    }

    /// Starts a task that has no bucket: if its code requests it, that is refused. See [`Self::run_with`].
    ///
    /// # Errors
    /// The hosts were shut down.
    pub async fn run(&self, task: Task) -> Result<Running, RuntimeError> {
        self.start_task((task, 0), None, None).await
    }

    /// Starts a task in the host that has the least to do, with this bucket. Waits while every host
    /// is being restarted or full. `held` is dropped when the host has the inputs, and not before. `job` names the task in
    /// [`SimulatedTime`](crate::SimulatedTime).
    ///
    /// # Errors
    /// The hosts were shut down.
    pub async fn run_with(
        &self,
        (task, job): (Task, u64),
        bucket: Arc<dyn Bucket>,
        held: impl Any + Send + Sync,
    ) -> Result<Running, RuntimeError> {
        self.start_task((task, job), Some(bucket), Some(Arc::new(held))).await
    }

    async fn start_task(
        &self,
        task: (Task, u64),
        bucket: Option<Arc<dyn Bucket>>,
        held: Option<Arc<dyn Any + Send + Sync>>,
    ) -> Result<Running, RuntimeError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut request = match Request::new(id, task, bucket, &self.packages, self.pool.simulated_time()) {
            Ok(request) => request,
            Err(answer) => return Ok(Running::finished(answer)),
        };
        request.frame.held = held;
        loop {
            // created before the attempt, so that a host which becomes ready or a task which ends in between is noticed
            let (host_ready, capacity_changed) = (self.pool.host_ready(), self.pool.capacity_changed());
            if self.pool.is_closed() {
                return Err(RuntimeError::Closed);
            }
            request = match self.pool.start(request) {
                Ok(started) => {
                    let task =
                        HostTask { pool: Arc::clone(&self.pool), slot: started.slot, id, was_alone: started.was_alone };
                    return Ok(Running::hosted(started.events, task));
                }
                Err(request) => request,
            };
            tokio::select! {
                () = host_ready => {}
                () = capacity_changed => {}
            }
        }
    }

    /// Returns the code of a compiled step for this machine, from the cache or compiled in a separate process. The module
    /// is the bundle's entry.
    ///
    /// # Errors
    /// A failure of the step: its module is not a step, or is too large to compile.
    pub async fn compile(&self, bundle: &Bundle, key: BlobHash) -> Result<CompiledStep, Failure> {
        self.compiler.compile(bundle, key).await
    }

    /// Returns the compiler of steps.
    #[must_use]
    pub const fn compiler(&self) -> &StepCompiler {
        &self.compiler
    }

    /// Returns how many more steps the cores have room for now. If it is 0, a running step has to end or wait first.
    ///
    /// Waiting steps do not count: they cost memory, see [`Self::memory_bytes`]. Running steps are limited to about a
    /// quarter of a second of work per core, so that a worker does not hold what another could begin.
    #[must_use]
    pub fn free_capacity(&self) -> usize {
        self.pool.free_capacity()
    }

    /// Returns the number of steps in the hosts, running or waiting.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.pool.tasks()
    }

    /// Returns the bytes of memory that the hosts do not share, which is what their steps wrote and the images of their modules, and
    /// those that this process needs beyond what it needed when the hosts started: inputs on their way, and responses and rows that steps have not read. `None` if
    /// the system does not report it.
    pub async fn memory_bytes(&self) -> Option<u64> {
        let hosts = private_bytes(self.pool.processes()).await?;
        let own = tokio::task::spawn_blocking(own_private_bytes).await.ok()?;
        let hosts = hosts.saturating_add(self.pool.image_bytes());
        Some(hosts.saturating_add(own.saturating_sub(self.own_bytes_at_start)))
    }

    /// Returns when a step ended or began to wait after this call.
    pub fn capacity_changed(&self) -> Notified<'_> {
        self.pool.capacity_changed()
    }

    /// Ends the hosts. Tasks that still run end with [`HostLost`](crate::error::HostLost).
    pub async fn shutdown(mut self) {
        // without a receiver every supervisor has ended already
        let _ = self.close.send(true);
        self.pool.close();
        while self.supervisors.join_next().await.is_some() {}
    }
}

/// Starts all children at once, and a supervisor for each.
async fn start_children(pool: &Arc<HostPool>, config: Arc<HostsConfig>) -> Result<(JoinSet<()>, Wall), RuntimeError> {
    let mut starting = JoinSet::new();
    for host in 0..pool.hosts() {
        let config = Arc::clone(&config);
        // the first slot of a host has its number
        starting.spawn(async move { (host, Child::start(&config.command, setup(&config, host)).await) });
    }
    let (mut supervisors, mut wall) = (JoinSet::new(), Wall::default());
    while let Some(started) = starting.join_next().await {
        let (host, child) = started.map_err(|error| RuntimeError::Refused(error.to_string()))?;
        let (child, raised) = child?;
        wall = raised;
        supervisors.spawn(supervise(Arc::clone(pool), host, Arc::clone(&config), child));
    }
    Ok((supervisors, wall))
}

/// Logs which parts of the wall are up, as the operator must know.
fn log_wall(wall: &Wall) {
    match wall.missing.is_empty() {
        true => tracing::info!(%wall, "the wall around sandboxes is up"),
        false => tracing::warn!(%wall, missing = wall.missing_text(), "the wall around sandboxes is incomplete"),
    }
}

/// Thousands of steps wait on as many connections, while systems start a process with room for about a thousand. If the
/// limit cannot be raised, later connections are refused with an error that the steps see.
fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
