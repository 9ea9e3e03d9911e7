//! Checking beside the client's typing: one thread, which takes the newest state of each set and drops what a newer one
//! has overtaken. Findings of names, types and syntax come at once; conflicts, which take longer, when the typing rests.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aecp_compiler::{editor::Snapshot, findings::has_errors};

use super::{convert, position::Encoding, transport::Outbox};

/// How long the typing has to rest before conflicts are looked for.
const REST: Duration = Duration::from_millis(200);

/// A set to check; `None` for one that is no longer open.
pub(super) type Job = Option<State>;

/// A set as the client has it.
pub(super) struct State {
    pub(super) snapshot: Arc<Snapshot>,
    /// What keeps the set from being read, told in every open document.
    pub(super) problem: Option<String>,
    /// The URI of each file, by its number, and the version that the client has open.
    pub(super) files: Vec<(String, Option<i32>)>,
    /// The documents that are open but not in the snapshot.
    pub(super) left_out: Vec<(String, Option<i32>)>,
}

/// The newest job of each set.
#[derive(Default)]
pub(super) struct Mailbox {
    jobs: Mutex<BTreeMap<PathBuf, Job>>,
    arrived: Condvar,
}

impl Mailbox {
    pub(super) fn put(&self, set: PathBuf, job: Job) {
        self.jobs().insert(set, job);
        self.arrived.notify_one();
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> (PathBuf, Job) {
        let mut jobs = self.jobs();
        loop {
            if let Some(first) = jobs.pop_first() {
                return first;
            }
            jobs = self.arrived.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn overtaken(&self, set: &Path) -> bool {
        self.jobs().contains_key(set)
    }

    /// Whether a newer job for the set comes within a time.
    fn overtaken_within(&self, set: &Path, time: Duration) -> bool {
        let waited = self.arrived.wait_timeout_while(self.jobs(), time, |jobs| !jobs.contains_key(set));
        let (jobs, _) = waited.unwrap_or_else(PoisonError::into_inner);
        jobs.contains_key(set)
    }
}

/// What the client was told of a set.
#[derive(Default)]
struct Told {
    /// The files with findings.
    files: BTreeSet<String>,
    /// Whether there was no error.
    sound: bool,
}

/// Checks what comes into the mailbox for as long as the process lives.
pub(super) fn run(mailbox: &Mailbox, outbox: &Outbox, encoding: Encoding) {
    let mut told: BTreeMap<PathBuf, Told> = BTreeMap::new();
    loop {
        let (set, job) = mailbox.take();
        let Some(state) = job else {
            for uri in told.remove(&set).unwrap_or_default().files {
                outbox.notify(PUBLISH, convert::published(&uri, None, Vec::new()));
            }
            continue;
        };
        let told = told.entry(set.clone()).or_default();
        let findings = &state.snapshot.checked().findings;
        if mailbox.overtaken(&set) {
            continue;
        }
        let sound = !has_errors(findings);
        // What was told of conflicts stays until they have been looked for anew.
        if !sound || !told.sound {
            publish(&state, findings, told, outbox, encoding);
        }
        told.sound = sound;
        if sound && !mailbox.overtaken_within(&set, REST) {
            let findings = state.snapshot.findings();
            if !mailbox.overtaken(&set) {
                publish(&state, &findings, told, outbox, encoding);
            }
        }
    }
}

const PUBLISH: &str = "textDocument/publishDiagnostics";

/// Tells the findings of every file that has some, and that there are none where there were.
fn publish(
    state: &State,
    findings: &[aecp_compiler::findings::Finding],
    told: &mut Told,
    outbox: &Outbox,
    encoding: Encoding,
) {
    let mut by_file = convert::diagnostics(&state.snapshot, findings, &state.files, encoding);
    if let Some(problem) = &state.problem {
        for (uri, version) in state.files.iter().chain(&state.left_out) {
            if version.is_some() {
                by_file.entry(uri.clone()).or_default().insert(0, convert::problem(problem));
            }
        }
    }
    let versions: BTreeMap<_, _> = state.files.iter().chain(&state.left_out).cloned().collect();
    let now: BTreeSet<_> = by_file.keys().cloned().collect();
    for uri in told.files.union(&now) {
        let version = versions.get(uri).copied().flatten();
        let diagnostics = by_file.remove(uri).unwrap_or_default();
        outbox.notify(PUBLISH, convert::published(uri, version, diagnostics));
    }
    // An open document without findings is told, too: its client may wait for that.
    for (uri, version) in &state.files {
        if version.is_some() && !now.contains(uri) && !told.files.contains(uri) {
            outbox.notify(PUBLISH, convert::published(uri, *version, Vec::new()));
        }
    }
    told.files = now;
}
