//! The language server: what editors ask and are told, over standard input and output. It knows the protocol and the
//! disk; what stands in a policy file and what is wrong with it, the compiler says.
//!
//! One thread reads messages, one checks sets ([`checker`]), and this one does the rest, so that nobody waits for a
//! check. Everything that has arrived is taken up before anything is checked.

mod checker;
mod convert;
mod position;
mod requests;
mod transport;
mod workspace;

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

use anyhow::Context as _;
use lsp_types::{DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use self::{
    checker::{Mailbox, State},
    position::Encoding,
    transport::{Failure, Message, Outbox, code},
    workspace::Workspace,
};
use crate::Outcome;

/// Messages that are read ahead.
const QUEUE: usize = 256;

/// The stack of the thread that checks: that of a main thread.
const STACK: usize = 8 << 20;

/// What a client has asked for last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing yet.
    New,
    /// `initialize`.
    Running,
    /// `shutdown`.
    Down,
}

struct Server {
    phase: Phase,
    encoding: Encoding,
    /// Whether the client can watch files for us.
    watches: bool,
    workspace: Workspace,
    outbox: Outbox,
    mailbox: Arc<Mailbox>,
}

/// What one message leads to.
enum Next {
    Go,
    /// `exit`.
    End,
}

/// Serves the client at standard input and output until it says `exit` or closes its end.
///
/// # Errors
/// When a thread cannot be started.
pub(crate) fn run() -> anyhow::Result<Outcome> {
    let (arrived, inbox) = mpsc::sync_channel(QUEUE);
    let reader = thread::Builder::new().name("reader".to_owned());
    reader
        .spawn(move || {
            let mut input = io::stdin().lock();
            while let Ok(Some(message)) = transport::read(&mut input) {
                if arrived.send(message).is_err() {
                    break;
                }
            }
        })
        .context("cannot start a thread")?;
    let mut server = Server {
        phase: Phase::New,
        encoding: Encoding::default(),
        watches: false,
        workspace: Workspace::default(),
        outbox: Outbox::new(io::stdout()),
        mailbox: Arc::default(),
    };
    while let Ok(first) = inbox.recv() {
        let mut waiting: VecDeque<_> = [first].into_iter().chain(inbox.try_iter().take(QUEUE)).collect();
        while let Some(message) = waiting.pop_front() {
            let next = match message {
                Ok(message) if is_cancelled(&message, &waiting) => {
                    server.refuse(&message, Failure::new(code::CANCELLED, "cancelled"));
                    Next::Go
                }
                Ok(message) => server.handle(message)?,
                Err(failure) => {
                    server.outbox.answer(&Value::Null, Err(failure));
                    Next::Go
                }
            };
            if let Next::End = next {
                return Ok(if server.phase == Phase::Down { Outcome::Good } else { Outcome::Bad });
            }
        }
        server.update();
    }
    Ok(Outcome::Bad)
}

/// Whether a message that has arrived already takes this request back.
fn is_cancelled(message: &Message, waiting: &VecDeque<Result<Message, Failure>>) -> bool {
    message.id.as_ref().is_some_and(|id| {
        waiting.iter().flatten().any(|later| {
            later.method.as_deref() == Some("$/cancelRequest") && later.params.get("id") == Some(id)
        })
    })
}

impl Server {
    fn handle(&mut self, message: Message) -> anyhow::Result<Next> {
        // A response to what the server asked for; nothing depends on it.
        let Some(method) = &message.method else { return Ok(Next::Go) };
        match (self.phase, method.as_str(), &message.id) {
            (_, "exit", _) => return Ok(Next::End),
            (Phase::New, "initialize", Some(id)) => {
                let answer = self.initialize(&message.params)?;
                self.outbox.answer(id, Ok(answer));
                self.phase = Phase::Running;
            }
            (Phase::New, _, _) => {
                self.refuse(&message, Failure::new(code::NOT_INITIALIZED, "`initialize` comes first"));
            }
            (Phase::Running, "shutdown", Some(id)) => {
                self.outbox.answer(id, Ok(Value::Null));
                self.phase = Phase::Down;
            }
            (Phase::Down, _, _) | (_, "initialize", _) => {
                let failure =
                    Failure::new(code::INVALID_REQUEST, "not after `shutdown`, and `initialize` once");
                self.refuse(&message, failure);
            }
            (Phase::Running, method, Some(id)) => {
                self.update();
                self.outbox.answer(id, self.request(method, message.params));
            }
            (Phase::Running, method, None) => self.notification(method, message.params),
        }
        Ok(Next::Go)
    }

    /// Answers a request with an error; notifications get no answer.
    fn refuse(&self, message: &Message, failure: Failure) {
        if let Some(id) = &message.id {
            self.outbox.answer(id, Err(failure));
        }
    }

    /// Read leniently: what a client says of itself beyond this does not matter.
    fn initialize(&mut self, params: &Value) -> anyhow::Result<Value> {
        let encodings = params.pointer("/capabilities/general/positionEncodings");
        let encodings = encodings.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if encodings.iter().any(|encoding| encoding == Encoding::Utf8.as_str()) {
            self.encoding = Encoding::Utf8;
        }
        let watches = "/capabilities/workspace/didChangeWatchedFiles/dynamicRegistration";
        self.watches = params.pointer(watches).and_then(Value::as_bool).unwrap_or_default();
        let folders = params.get("workspaceFolders").and_then(Value::as_array);
        self.workspace.folders = match folders {
            Some(folders) => folders.iter().filter_map(|folder| folder_at(folder.get("uri")?)).collect(),
            None => params.get("rootUri").and_then(folder_at).into_iter().collect(),
        };
        let (mailbox, outbox, encoding) =
            (Arc::clone(&self.mailbox), self.outbox.clone(), self.encoding);
        let checker = thread::Builder::new().name("checker".to_owned()).stack_size(STACK);
        checker
            .spawn(move || checker::run(&mailbox, &outbox, encoding))
            .context("cannot start a thread")?;
        Ok(json!({
            "serverInfo": {"name": "aecp", "version": env!("CARGO_PKG_VERSION")},
            "capabilities": {
                "positionEncoding": self.encoding.as_str(),
                "textDocumentSync": {"openClose": true, "change": 2, "save": true},
                "hoverProvider": true,
                "completionProvider": {"triggerCharacters": [".", ":", "\""]},
                "definitionProvider": true,
                "referencesProvider": true,
                "renameProvider": {"prepareProvider": true},
                "documentFormattingProvider": true,
                "codeActionProvider": {"codeActionKinds": ["quickfix"]},
                "workspace": {"workspaceFolders": {"supported": true, "changeNotifications": true}},
            },
        }))
    }

    fn notification(&mut self, method: &str, params: Value) {
        match method {
            "initialized" if self.watches => {
                let options = json!({"watchers": [{"globPattern": "**/*.aecp"}]});
                let watched = json!({"id": "sources", "method": "workspace/didChangeWatchedFiles",
                    "registerOptions": options});
                let registrations = json!({"registrations": [watched]});
                self.outbox.request("watch", "client/registerCapability", registrations);
            }
            "textDocument/didOpen" => {
                if let Some(params) = self.read::<DidOpenTextDocumentParams>(method, params) {
                    let document = params.text_document;
                    let uri = document.uri.as_str().to_owned();
                    self.workspace.open(uri, document.text, document.version);
                    self.reread();
                }
            }
            "textDocument/didChange" => {
                if let Some(params) = self.read::<DidChangeTextDocumentParams>(method, params) {
                    self.change(params);
                }
            }
            "textDocument/didClose" => {
                if let Some(params) = self.read::<DidCloseTextDocumentParams>(method, params) {
                    self.workspace.documents.remove(params.text_document.uri.as_str());
                    self.reread();
                }
            }
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" => self.reread(),
            "workspace/didChangeWorkspaceFolders" => {
                let uris = |what| {
                    let folders = params.pointer(what).and_then(Value::as_array);
                    folders.into_iter().flatten().filter_map(|folder| folder_at(folder.get("uri")?))
                };
                let removed: Vec<_> = uris("/event/removed").collect();
                let added: Vec<_> = uris("/event/added").collect();
                self.workspace.folders.retain(|folder| !removed.contains(folder));
                self.workspace.folders.extend(added);
                self.reread();
            }
            // Whatever else there may be needs no answer.
            _ => {}
        }
    }

    fn change(&mut self, params: DidChangeTextDocumentParams) {
        let uri = params.text_document.uri.as_str();
        let Some(document) = self.workspace.documents.get_mut(uri) else { return };
        for change in params.content_changes {
            position::apply(&mut document.text, change, self.encoding);
        }
        document.version = params.text_document.version;
        self.workspace.changed(uri);
    }

    /// The parameters of a notification; the client is told in its log if they are none.
    fn read<T: DeserializeOwned>(&self, method: &str, params: Value) -> Option<T> {
        serde_json::from_value(params)
            .inspect_err(|error| {
                let message = format!("the parameters of `{method}` cannot be read: {error}");
                self.outbox.notify("window/logMessage", json!({"type": 1, "message": message}));
            })
            .ok()
    }

    fn reread(&mut self) {
        let changed = self.workspace.read();
        self.check(changed);
    }

    fn update(&mut self) {
        let changed = self.workspace.update();
        self.check(changed);
    }

    /// Has sets checked.
    fn check(&self, sets: Vec<PathBuf>) {
        for folder in sets {
            let job = self.workspace.sets.get(&folder).map(|set| {
                let documents = &self.workspace.documents;
                let sources = set.snapshot.sources().files().iter();
                let files: Vec<_> = sources
                    .map(|file| {
                        let uri = self.workspace.uri(&folder, &file.path).unwrap_or_default();
                        let version = documents.get(&uri).map(|document| document.version);
                        (uri, version)
                    })
                    .collect();
                let in_set = documents.iter().filter(|(_, document)| document.set == folder);
                let left_out =
                    in_set.filter(|(_, document)| set.snapshot.file(&document.path).is_none());
                State {
                    snapshot: Arc::clone(&set.snapshot),
                    problem: set.problem.clone(),
                    left_out: left_out.map(|(uri, one)| (uri.clone(), Some(one.version))).collect(),
                    files,
                }
            });
            self.mailbox.put(folder, job);
        }
    }
}

fn folder_at(uri: &Value) -> Option<PathBuf> {
    Url::parse(uri.as_str()?).ok()?.to_file_path().ok()
}
