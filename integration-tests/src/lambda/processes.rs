//! The processes of an environment, each the head of a process group, so that what it starts is stopped and killed with it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{process::Command, sync::watch};

use super::{Config, state::State};

/// How often is looked whether a process is stopped.
const LOOK: Duration = Duration::from_micros(200);

/// The running processes, by the names of [`super::Exits`]. What is left of them is killed when this is dropped.
#[derive(Default)]
pub(super) struct Processes {
    groups: BTreeMap<String, Pid>,
}

impl Processes {
    /// Starts a process; that it ended is put into the state.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn start<'a>(
        &mut self,
        name: &str,
        program: &OsStr,
        arguments: impl IntoIterator<Item = &'a OsStr>,
        env: impl IntoIterator<Item = (String, impl AsRef<OsStr>)>,
        config: &Config,
        state: &Arc<watch::Sender<State>>,
    ) -> io::Result<()> {
        let (out, err) = match &config.log {
            Some(path) => {
                let file = File::options().create(true).append(true).open(path)?;
                (Stdio::from(file.try_clone()?), Stdio::from(file))
            }
            None => (Stdio::from(io::stderr()), Stdio::inherit()),
        };
        let mut child = Command::new(program)
            .args(arguments)
            .envs(env)
            .current_dir(&config.task_root)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        self.groups.insert(name.to_owned(), Pid::from_raw(id));
        let (name, state) = (name.to_owned(), Arc::clone(state));
        let environment = state.borrow().environment;
        tokio::spawn(async move {
            let status = match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            state.send_if_modified(|state| {
                let is_mine = state.environment == environment;
                if is_mine {
                    state.exits.insert(name, status);
                }
                is_mine
            });
        });
        Ok(())
    }

    /// The processes that were started, whether they still run or not.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.groups.keys()
    }

    /// The number of a process that was started.
    pub(super) fn id(&self, name: &str) -> Option<u32> {
        u32::try_from(self.groups.get(name)?.as_raw()).ok()
    }

    /// Sends a signal to all processes of one name.
    pub(super) fn signal(&self, name: &str, signal: Signal) {
        if let Some(group) = self.groups.get(name) {
            // There may be none left.
            let _ = killpg(*group, signal);
        }
    }

    /// Sends a signal to all processes.
    pub(super) fn signal_all(&self, signal: Signal) {
        self.groups.keys().for_each(|name| self.signal(name, signal));
    }

    /// Stops all processes, and waits until they are.
    pub(super) async fn freeze(&self) {
        self.signal_all(Signal::SIGSTOP);
        for group in self.groups.values() {
            while is_running(*group) {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Lets them go on.
    pub(super) fn thaw(&self) {
        self.signal_all(Signal::SIGCONT);
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.signal_all(Signal::SIGKILL);
    }
}

/// Whether a process is there and neither stopped nor ended: the third field of its `stat`, behind its name.
fn is_running(process: Pid) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    !matches!(state, Some('T' | 't' | 'Z' | 'X'))
}
