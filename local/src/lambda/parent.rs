//! Ties the functions' processes to the lifetime of `local`: none of them may outlive it, even if it is killed.

use std::io;
use std::path::Path;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Makes the kernel kill this process when its parent ends, for whatever reason (prctl(2), PR_SET_PDEATHSIG). A function's
/// process calls this first, and then ends with `local` even while it is frozen.
///
/// On a system without this signal, the process only notices that its Runtime API is closed.
pub(crate) fn die_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

/// Replaces this process by a function's `bootstrap`, which inherits the setting of [`die_with_parent`]. Returns only if
/// that fails.
pub(crate) fn exec_bootstrap(path: &Path) -> io::Error {
    use std::os::unix::process::CommandExt as _;
    std::process::Command::new(path).exec()
}

/// Starts processes from one thread that lives as long as the host. To the kernel, the parent of a process is the thread
/// that started it, and threads of the async runtime can end before the host does.
#[derive(Clone, Debug)]
pub(super) struct ProcessSpawner {
    jobs: mpsc::Sender<SpawnJob>,
}

type SpawnJob = (Command, oneshot::Sender<io::Result<Child>>);

impl ProcessSpawner {
    /// A spawner for the current async runtime.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<SpawnJob>();
        let runtime = Handle::current();
        std::thread::Builder::new().name("functions".to_owned()).spawn(move || {
            let _context = runtime.enter();
            for (mut command, reply) in queue {
                // If nobody waits for the child any more, dropping it kills it.
                let _ = reply.send(command.spawn());
            }
        })?;
        Ok(Self { jobs })
    }

    /// Starts a process.
    ///
    /// # Errors
    /// The operating system cannot start the process, or the thread has ended.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, child) = oneshot::channel();
        let ended = || io::Error::other("the thread that starts processes has ended");
        self.jobs.send((command, reply)).map_err(|_| ended())?;
        child.await.map_err(|_| ended())?
    }
}
