//! What ties the functions' processes to the life of `local`: nothing of them may outlive it, even if it is killed.

use std::io;
use std::path::Path;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Has the kernel kill this process when its parent ends, however that happens (prctl(2), PR_SET_PDEATHSIG). A function's
/// process calls it first thing, frozen or not it then ends with `local`.
///
/// Where the system has no such signal, the closed Runtime API is left to tell the process.
pub(crate) fn die_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

/// Turns this process into a function's `bootstrap`, which inherits what [`die_with_parent`] set up. Returns only if it cannot.
pub(crate) fn become_bootstrap(path: &Path) -> io::Error {
    use std::os::unix::process::CommandExt as _;
    std::process::Command::new(path).exec()
}

/// Starts processes from one thread that lives as long as the host: the "parent" whose end the kernel reports is the thread that
/// started the process, and threads of the async runtime come and go.
#[derive(Clone, Debug)]
pub(super) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

type Job = (Command, oneshot::Sender<io::Result<Child>>);

impl Spawner {
    /// A spawner for the current async runtime.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let runtime = Handle::current();
        std::thread::Builder::new().name("functions".to_owned()).spawn(move || {
            let _context = runtime.enter();
            for (mut command, reply) in queue {
                // A child nobody waits for any more is killed when it is dropped.
                let _ = reply.send(command.spawn());
            }
        })?;
        Ok(Self { jobs })
    }

    /// Starts a process.
    ///
    /// # Errors
    /// As the operating system has it.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, child) = oneshot::channel();
        let ended = || io::Error::other("the thread that starts processes has ended");
        self.jobs.send((command, reply)).map_err(|_| ended())?;
        child.await.map_err(|_| ended())?
    }
}
