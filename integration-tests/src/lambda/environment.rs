//! The life of an environment: Init, Invoke, Shutdown.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use nix::sys::signal::Signal;
use tokio::{sync::watch, time::timeout};

use super::{
    Config, Exits, Failure, INIT, Invocation, MAX_PAYLOAD,
    api::Api,
    processes::Processes,
    state::{Extension, Phase, State},
};

const RUNTIME: &str = "runtime";

/// A function with at most one execution environment.
pub struct Emulator {
    config: Arc<Config>,
    state: Arc<watch::Sender<State>>,
    address: String,
    processes: Processes,
    invocations: u64,
}

impl Emulator {
    /// A function that has no environment yet.
    ///
    /// # Errors
    /// If there is no port for the APIs.
    pub async fn new(config: Config) -> io::Result<Self> {
        let (config, state) = (Arc::new(config), Arc::new(watch::Sender::new(State::default())));
        let api = Api { config: Arc::clone(&config), state: Arc::clone(&state) };
        let address = api.serve().await?;
        Ok(Self { config, state, address, processes: Processes::default(), invocations: 0 })
    }

    /// `AWS_LAMBDA_RUNTIME_API` of the processes.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How long each extension took from its start until it first asked for an event.
    #[must_use]
    pub fn extensions_ready(&self) -> BTreeMap<String, Duration> {
        let state = self.state.borrow();
        let ready = |e: &Extension| Some((e.name.clone(), e.ready?));
        state.extensions.iter().filter_map(ready).collect()
    }

    /// The process of an extension, or of the `runtime`, if it was started.
    #[must_use]
    pub fn process(&self, name: &str) -> Option<u32> {
        self.processes.id(name)
    }

    /// Starts an environment, if there is none; how long that took.
    ///
    /// # Errors
    /// Why it did not start. The extensions had SHUTDOWN then, and there is no environment.
    pub async fn init(&mut self) -> Result<Duration, Failure> {
        let started = Instant::now();
        if self.state.borrow().phase == Phase::Ready {
            return Ok(started.elapsed());
        }
        self.state.send_modify(State::begin);
        let failure = match timeout(INIT, self.started()).await {
            Ok(Ok(())) => {
                self.state.send_modify(|state| state.phase = Phase::Ready);
                let took = started.elapsed();
                self.rest().await;
                return Ok(took);
            }
            Ok(Err(failure)) => failure,
            Err(_) => Failure::new("Sandbox.Timedout", "Init took more than 10 s"),
        };
        self.end(&failure).await;
        Err(failure)
    }

    async fn started(&mut self) -> Result<(), Failure> {
        let config = Arc::clone(&self.config);
        let names = || config.extensions.iter().filter_map(|path| path.file_name()?.to_str());
        for path in &config.extensions {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            self.start(name, path.as_os_str(), &[])
                .map_err(|error| Failure::new("Extension.LaunchError", error.to_string()))?;
        }
        self.when(|state| state.are_registered(names())).await?;
        let (program, arguments) = config
            .command
            .split_first()
            .ok_or_else(|| Failure::new("Runtime.InvalidEntrypoint", "there is no command"))?;
        self.start(RUNTIME, program, arguments)
            .map_err(|error| Failure::new("Runtime.InvalidEntrypoint", error.to_string()))?;
        self.when(State::is_idle).await
    }

    /// Waits until the state is as wanted.
    ///
    /// # Errors
    /// If a process says that it failed, or ends.
    async fn when(&self, is_wanted: impl Fn(&State) -> bool) -> Result<(), Failure> {
        let mut seen = self.state.subscribe();
        let there = seen.wait_for(|state| state.failed().is_some() || is_wanted(state)).await;
        // The sender lives as long as this does.
        there.map_or(Ok(()), |state| state.failed().map_or(Ok(()), Err))
    }

    fn start(&mut self, name: &str, program: &OsStr, arguments: &[OsString]) -> io::Result<()> {
        let config = &self.config;
        let memory = "128".to_owned();
        let mut set = vec![
            ("AWS_LAMBDA_RUNTIME_API".to_owned(), self.address.clone()),
            ("AWS_LAMBDA_FUNCTION_NAME".to_owned(), config.name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION".to_owned(), "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".to_owned(), memory),
            ("AWS_LAMBDA_INITIALIZATION_TYPE".to_owned(), "on-demand".to_owned()),
            ("AWS_REGION".to_owned(), "eu-west-1".to_owned()),
            ("AWS_DEFAULT_REGION".to_owned(), "eu-west-1".to_owned()),
            ("LAMBDA_TASK_ROOT".to_owned(), config.task_root.display().to_string()),
            ("TZ".to_owned(), ":UTC".to_owned()),
        ];
        if name == RUNTIME {
            set.push(("_HANDLER".to_owned(), config.handler.clone()));
            set.push(("AWS_LAMBDA_LOG_GROUP_NAME".to_owned(), format!("/aws/lambda/{}", config.name)));
            set.push(("AWS_LAMBDA_LOG_STREAM_NAME".to_owned(), "emulated".to_owned()));
        }
        let own = config.env.iter().map(|(name, value)| (name.clone(), value.clone()));
        let env = set.into_iter().map(|(name, value)| (name, value.into())).chain(own);
        let arguments = arguments.iter().map(OsString::as_os_str);
        self.processes.start(name, program, arguments, env, config, &self.state)
    }

    /// Gives an event to the function, in a new environment if there is none, and waits until nothing is left to do.
    pub async fn invoke(&mut self, payload: impl Into<Bytes>) -> Invocation {
        self.invocations += 1;
        let request_id = format!("{:08x}-aaaa-4bbb-8ccc-0123456789ab", self.invocations);
        let (payload, none) = (payload.into(), Duration::ZERO);
        let failed = |failure| Invocation {
            request_id: request_id.clone(),
            answer: None,
            failure: Some(failure),
            duration: none,
            until_idle: none,
        };
        if payload.len() > MAX_PAYLOAD {
            let message = format!("the event has more than {MAX_PAYLOAD} bytes");
            return failed(Failure::new("RequestTooLargeException", message));
        }
        if let Err(failure) = self.init().await {
            return failed(failure);
        }
        self.processes.thaw();
        let began = Instant::now();
        self.state.send_modify(|state| state.invoke(&request_id, &self.config, payload));
        let failure = match timeout(self.config.timeout, self.when(State::is_idle)).await {
            Ok(result) => result.err(),
            Err(_) => {
                let seconds = self.config.timeout.as_secs_f64();
                let message = format!("Task timed out after {seconds:.2} seconds");
                Some(Failure::new("Sandbox.Timedout", message))
            }
        };
        let until_idle = began.elapsed();
        let mut answer = None;
        self.state.send_modify(|state| answer = state.event.take().and_then(|event| event.answer));
        match &failure {
            Some(failure) => drop(self.end(failure).await),
            None => self.rest().await,
        }
        let duration = answer.as_ref().map_or(until_idle, |answer| answer.at.duration_since(began));
        Invocation { request_id, answer, failure, duration, until_idle }
    }

    async fn rest(&self) {
        if self.config.freeze {
            self.processes.freeze().await;
        }
    }

    /// Ends a failed environment.
    async fn end(&mut self, failure: &Failure) -> Exits {
        let is_late = failure.error_type == "Sandbox.Timedout";
        self.processes.signal(RUNTIME, Signal::SIGKILL);
        self.shut_down(if is_late { "timeout" } else { "failure" }).await
    }

    /// Ends the environment, as Lambda does when there was no event for a while; how its processes ended.
    pub async fn shutdown(&mut self) -> Exits {
        self.shut_down("spindown").await
    }

    async fn shut_down(&mut self, reason: &str) -> Exits {
        let began = Instant::now();
        let whole = self.config.shutdown;
        let left = || whole.saturating_sub(began.elapsed());
        self.state.send_modify(|state| state.phase = Phase::Shutdown);
        self.processes.thaw();
        let names: Vec<String> = self.processes.names().cloned().collect();
        self.processes.signal(RUNTIME, Signal::SIGTERM);
        let runtime: Vec<String> = names.iter().filter(|name| *name == RUNTIME).cloned().collect();
        let _ = timeout(whole.mul_f64(0.3), self.ended(&runtime)).await;
        self.processes.signal(RUNTIME, Signal::SIGKILL);
        self.state.send_modify(|state| state.shut_down(reason, left()));
        for name in names.iter().filter(|name| !self.state.borrow().wants_shutdown(name)) {
            self.processes.signal(name, Signal::SIGKILL);
        }
        let _ = timeout(left(), self.ended(&names)).await;
        self.processes.signal_all(Signal::SIGKILL);
        self.ended(&names).await;
        self.processes = Processes::default();
        let mut exits = Exits::new();
        self.state.send_modify(|state| {
            state.phase = Phase::None;
            exits = std::mem::take(&mut state.exits);
        });
        exits
    }

    async fn ended(&self, names: &[String]) {
        let ended = |state: &State| names.iter().all(|name| state.exits.contains_key(name));
        // The sender lives as long as this does.
        let _ = self.state.subscribe().wait_for(|state| ended(state)).await;
    }
}
