//! A witness of logs: it cosigns the checkpoints of the logs that it knows, each only if it continues the last one.
//!
//! Source: <https://c2sp.org/tlog-witness>.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aecp_contract::{
    digest::Digest,
    tlog::{
        checkpoint::Checkpoint,
        note::{KeyKind, Note, NoteKey},
        policy::LogPolicy,
        witness::{ADD_CHECKPOINT, AddCheckpoint, MAX_REQUEST_BYTES, NotCosigned, SIZE_TYPE},
    },
};
use aecp_enforcer::{record::open_key, state::write_whole};
use anyhow::{Context as _, bail};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequest as _, Path as UrlPath, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;

use crate::terminal::{BAD, GOOD, PLAIN};

/// How long the body of a request may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A witness, its folder locked for this process.
pub(crate) struct Witness {
    logs: LogPolicy,
    key: NoteKey,
    folder: PathBuf,
    /// One for each origin: comparing with the last checkpoint and keeping the next is one step.
    locks: BTreeMap<String, Mutex<()>>,
    /// Released by the operating system when the process ends, however it ends.
    _lock: File,
}

/// Why there is no cosignature.
enum Failure {
    /// The request is not to be cosigned.
    Refused(NotCosigned),
    /// The disk or the clock failed; nothing was cosigned.
    Own(anyhow::Error),
}

impl Witness {
    /// Opens the folder of a witness, in which its key is made the first time.
    pub(crate) fn open(folder: &Path, name: &str, logs: LogPolicy) -> anyhow::Result<Self> {
        let shown = folder.display();
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{shown}`"))?;
        let lock = File::create(folder.join("lock")).with_context(|| format!("cannot use `{shown}`"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("`{shown}` is in use by another witness; give each its own")
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock `{shown}`"));
            }
        }
        let key = open_key(&folder.join("witness.pem"))?;
        let key = NoteKey::new(name, KeyKind::Cosigner, key)
            .with_context(|| format!("`{name}` cannot name a witness: it has spaces or a plus sign"))?;
        let origins = logs.logs().iter().map(|log| log.name().to_owned());
        let locks: BTreeMap<_, _> = origins.map(|origin| (origin, Mutex::new(()))).collect();
        let witness = Self { logs, key, folder: folder.to_owned(), locks, _lock: lock };
        for origin in witness.locks.keys() {
            witness.last(origin)?;
        }
        Ok(witness)
    }

    /// The public key, as logs and auditors are given it.
    pub(crate) fn vkey(&self) -> String {
        self.key.verifier().to_string()
    }

    /// The file with the last checkpoint of a log that was cosigned.
    fn file(&self, origin: &str) -> PathBuf {
        self.folder.join("logs").join(Digest::of(origin.as_bytes()).to_string())
    }

    /// Size and root of the last checkpoint that was cosigned. One that is there and cannot be believed is an error: to
    /// begin anew would let the log show another history.
    fn last(&self, origin: &str) -> anyhow::Result<Option<(u64, Digest)>> {
        let path = self.file(origin);
        let wrong = || {
            let path = path.display();
            format!("`{path}` is not the checkpoint that this witness cosigned; restore it from a copy")
        };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
            }
        };
        let note = Note::read(&bytes).with_context(wrong)?;
        let head = Checkpoint::from_text(note.text()).with_context(wrong)?;
        if head.origin != origin || note.verify([&self.key.verifier()]).with_context(wrong)?.is_empty() {
            bail!(wrong());
        }
        Ok(Some((head.size, head.root)))
    }

    /// The cosignature line, given away only after the checkpoint is durable here.
    fn add(&self, body: &[u8]) -> Result<(Checkpoint, String), Failure> {
        let bad = |why: String| Failure::Refused(NotCosigned::BadRequest(why));
        let text = std::str::from_utf8(body).map_err(|_| bad("the request is not UTF-8".to_owned()))?;
        let request = AddCheckpoint::from_text(text).map_err(|error| bad(error.to_string()))?;
        let origin = request.origin().map_err(Failure::Refused)?;
        let lock = self.locks.get(&origin).ok_or(Failure::Refused(NotCosigned::UnknownLog))?;
        // What a thread that panicked may have left is a whole file, the old or the new one.
        let _locked = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last(&origin).map_err(Failure::Own)?;
        let now = crate::commands::now().map_err(Failure::Own)?;
        let now = u64::try_from(now.seconds).map_err(|error| Failure::Own(error.into()))?;
        let (head, line) = request.cosign(&self.logs, last, &self.key, now).map_err(Failure::Refused)?;
        let note = self.kept(&request.checkpoint, &line);
        Note::read(note.as_bytes()).map_err(|error| bad(error.to_string()))?;
        write_whole(&self.file(&origin), note.as_bytes()).map_err(|error| {
            Failure::Own(anyhow::Error::new(error).context("the checkpoint cannot be kept"))
        })?;
        Ok((head, line))
    }

    /// The checkpoint with the signatures that were verified, and no others.
    fn kept(&self, checkpoint: &str, line: &str) -> String {
        let (text, lines) = checkpoint.rsplit_once("\n\n").unwrap_or((checkpoint, ""));
        let mut note = format!("{text}\n\n");
        for signature in lines.split_inclusive('\n') {
            let alone = format!("{text}\n\n{signature}");
            let signed = Note::read(alone.as_bytes()).and_then(|note| note.verify(self.logs.logs()));
            if signed.is_ok_and(|signed| !signed.is_empty()) {
                note.push_str(signature);
            }
        }
        note + line
    }
}

/// The HTTP interface: `add-checkpoint`, and the last checkpoint of each log for monitors.
pub(crate) fn router(witness: Arc<Witness>) -> Router {
    Router::new()
        .route(&format!("/{ADD_CHECKPOINT}"), post(add_checkpoint))
        .route("/{hash}/checkpoint", get(checkpoint))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(witness)
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, request: Request) -> Response {
    let body = match tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return rejection.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    // The disk is waited for, so not on a thread that serves others.
    let added = tokio::task::spawn_blocking(move || witness.add(&body)).await;
    match added.unwrap_or_else(|error| Err(Failure::Own(error.into()))) {
        Ok((head, line)) => {
            anstream::println!("{GOOD}cosigned{PLAIN} {} at {} entries", head.origin, head.size);
            line.into_response()
        }
        Err(Failure::Refused(refusal)) => refused(&refusal),
        Err(Failure::Own(error)) => {
            crate::terminal::error(&error);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn refused(refusal: &NotCosigned) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let NotCosigned::Conflict(size) = refusal {
        return (status, [(CONTENT_TYPE, SIZE_TYPE)], format!("{size}\n")).into_response();
    }
    if matches!(refusal, NotCosigned::Inconsistent) {
        anstream::eprintln!("{BAD}not cosigned{PLAIN}: {refusal}");
    }
    (status, format!("{refusal}\n")).into_response()
}

async fn checkpoint(State(witness): State<Arc<Witness>>, UrlPath(hash): UrlPath<String>) -> Response {
    let mut origins = witness.locks.keys();
    let Some(origin) = origins.find(|origin| Digest::of(origin.as_bytes()).to_string() == hash) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match tokio::fs::read(witness.file(origin)).await {
        Ok(note) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
