//! [`BackgroundRuntime`]: a thread with a runtime of its own, for what must go on, or may stand still, apart from everything else.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread that drives the tasks spawned on its handle. Dropping it ends the thread and drops the tasks.
#[derive(Debug)]
pub struct BackgroundRuntime {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl BackgroundRuntime {
    /// Starts a thread of this name.
    ///
    /// # Errors
    /// The system has no thread or no descriptors left.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            // an error, since nothing is ever sent
            let _ = runtime.block_on(stopped);
            // do not wait for threads that block
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { handle, _stop: stop })
    }

    /// Returns the handle to spawn tasks on.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_go_on_while_another_runtime_is_busy_and_end_with_the_thread() {
        let background = BackgroundRuntime::start("test").expect("a thread");
        let (send, receive) = std::sync::mpsc::channel();
        background.handle().spawn(async move {
            tokio::task::yield_now().await;
            send.send(()).expect("the receiver");
            core::future::pending::<()>().await;
        });
        // this blocks the thread of the test
        receive.recv_timeout(std::time::Duration::from_secs(30)).expect("the task goes on");
        let task = background.handle().spawn(core::future::pending::<()>());
        drop(background);
        assert!(task.await.expect_err("it was dropped").is_cancelled());
    }
}
