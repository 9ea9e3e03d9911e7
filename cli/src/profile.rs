//! What a compilation costs, phase by phase, and which phase a person waits for.

use std::{
    fs,
    time::{Duration, Instant},
};

use aecp_compiler::compile::Phase;
use serde::Serialize;

use crate::terminal::progress;

/// After this time a person wants to know what is going on.
const LONG: Duration = Duration::from_millis(500);

/// Takes the time of phases as they begin and end.
pub(crate) struct Profile {
    start: Instant,
    /// The phase that runs and since when.
    running: Option<(&'static str, Instant)>,
    done: Vec<Cost>,
}

/// What one phase cost.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    /// Its name.
    pub(crate) phase: &'static str,
    /// Milliseconds.
    pub(crate) ms: f64,
    /// The most memory that the process had resident meanwhile, in kB; `None` where the system does not tell.
    pub(crate) peak_kb: Option<u64>,
}

impl Profile {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), running: None, done: Vec::new() }
    }

    /// Ends the phase that ran and begins this one of the compiler.
    pub(crate) fn phase(&mut self, phase: Phase) {
        self.begin(phase.as_str());
    }

    /// The same for a phase that is not the compiler's.
    pub(crate) fn begin(&mut self, phase: &'static str) {
        self.end();
        if self.start.elapsed() > LONG {
            progress(format_args!("{} …", phase.replace('_', " ")));
        }
        forget_peak();
        self.running = Some((phase, Instant::now()));
    }

    /// Ends the phase that ran.
    pub(crate) fn end(&mut self) {
        if let Some((phase, since)) = self.running.take() {
            let ms = since.elapsed().as_secs_f64() * 1000.0;
            self.done.push(Cost { phase, ms, peak_kb: peak_kb() });
        }
    }

    /// What each phase cost, in order.
    pub(crate) fn costs(&self) -> &[Cost] {
        &self.done
    }

    /// Milliseconds of all phases.
    pub(crate) fn total_ms(&self) -> f64 {
        self.done.iter().map(|cost| cost.ms).sum()
    }

    /// The most memory of all phases, in kB.
    pub(crate) fn peak_kb(&self) -> Option<u64> {
        self.done.iter().filter_map(|cost| cost.peak_kb).max()
    }
}

/// The most memory that this process had resident since the peak was last forgotten, from the kernel.
pub(crate) fn peak_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Makes the kernel count the peak anew (`man 5 proc_pid_clear_refs`); where it cannot, the peak is that of the
/// whole process so far.
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}
