//! What a client asks about a place, and the answers.

use std::{collections::BTreeMap, sync::Arc};

use aecp_compiler::{
    editor::{self, Occurrence, Snapshot},
    findings::Finding,
    language::format::format,
};
use lsp_types::{
    CodeActionParams, CompletionParams, DocumentFormattingParams, GotoDefinitionParams, HoverParams,
    ReferenceParams, RenameParams, TextDocumentPositionParams, TextEdit, Uri,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Server, convert,
    position::Lines,
    transport::{Failure, code},
    workspace::Set,
};

type Answer = Result<Value, Failure>;

/// A place in a set.
struct Place<'s> {
    set: &'s Set,
    folder: &'s std::path::Path,
    file: u32,
    byte: u32,
}

impl Place<'_> {
    fn snapshot(&self) -> &Arc<Snapshot> {
        &self.set.snapshot
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, Failure> {
    serde_json::from_value(params).map_err(|error| Failure::new(code::INVALID_PARAMS, error))
}

fn written(answer: impl Serialize) -> Answer {
    serde_json::to_value(answer).map_err(|error| Failure::new(code::FAILED, error))
}

impl Server {
    /// Answers a request.
    pub(super) fn request(&self, method: &str, params: Value) -> Answer {
        match method {
            "textDocument/hover" => self.hover(&read(params)?),
            "textDocument/completion" => self.completion(&read(params)?),
            "textDocument/definition" => self.definition(&read(params)?),
            "textDocument/references" => self.references(&read(params)?),
            "textDocument/prepareRename" => self.prepare_rename(&read(params)?),
            "textDocument/rename" => self.rename(&read(params)?),
            "textDocument/formatting" => self.formatting(&read(params)?),
            "textDocument/codeAction" => code_actions(read(params)?),
            _ => {
                Err(Failure::new(code::METHOD_NOT_FOUND, format_args!("`{method:.80}` is not offered")))
            }
        }
    }

    fn place(&self, at: &TextDocumentPositionParams) -> Result<Place<'_>, Failure> {
        let uri = at.text_document.uri.as_str();
        let found = self.workspace.documents.get(uri).and_then(|document| {
            let (folder, set) = self.workspace.sets.get_key_value(&document.set)?;
            let file = set.snapshot.file(&document.path)?;
            let byte = Lines::new(&document.text, self.encoding).byte(at.position) as u32;
            Some(Place { set, folder, file, byte })
        });
        found.ok_or_else(|| not_open(uri))
    }

    fn lines<'s>(&self, snapshot: &'s Snapshot, file: u32) -> Lines<'s> {
        let text = snapshot.sources().files().get(file as usize).map_or("", |file| file.text.as_str());
        Lines::new(text, self.encoding)
    }

    fn hover(&self, params: &HoverParams) -> Answer {
        let at = self.place(&params.text_document_position_params)?;
        let Some(hover) = editor::hover(at.snapshot(), at.file, at.byte) else { return Ok(Value::Null) };
        let range = self.lines(at.snapshot(), at.file).range(hover.span);
        Ok(json!({"contents": {"kind": "markdown", "value": hover.markdown}, "range": range}))
    }

    fn completion(&self, params: &CompletionParams) -> Answer {
        let at = self.place(&params.text_document_position)?;
        let Some(found) = editor::completions(at.snapshot(), at.file, at.byte) else {
            return Ok(Value::Null);
        };
        let range = self.lines(at.snapshot(), at.file).range(found.replace);
        let items = found.items.into_iter().enumerate();
        let items: Vec<_> = items.map(|(index, item)| convert::completion(index, item, range)).collect();
        Ok(json!({"isIncomplete": found.incomplete, "items": items}))
    }

    fn definition(&self, params: &GotoDefinitionParams) -> Answer {
        let at = self.place(&params.text_document_position_params)?;
        let Some(symbol) = editor::symbol_at(at.snapshot(), at.file, at.byte) else {
            return Ok(Value::Null);
        };
        self.locations(&at, &editor::definitions(at.snapshot(), &symbol))
    }

    fn references(&self, params: &ReferenceParams) -> Answer {
        let at = self.place(&params.text_document_position)?;
        let Some(symbol) = editor::symbol_at(at.snapshot(), at.file, at.byte) else {
            return Ok(Value::Null);
        };
        let mut found = editor::references(at.snapshot(), &symbol);
        found.retain(|one| params.context.include_declaration || !one.declares);
        self.locations(&at, &found)
    }

    fn locations(&self, at: &Place<'_>, found: &[Occurrence]) -> Answer {
        let edits = self.by_file(at, found, "");
        let locations = edits.iter().flat_map(|(uri, edits)| {
            edits.iter().map(move |edit| json!({"uri": uri, "range": edit.range}))
        });
        Ok(locations.collect())
    }

    fn prepare_rename(&self, params: &TextDocumentPositionParams) -> Answer {
        let at = self.place(params)?;
        let symbol = editor::renameable(at.snapshot(), at.file, at.byte)
            .map_err(|error| Failure::new(code::FAILED, error))?;
        written(self.lines(at.snapshot(), at.file).range(symbol.span))
    }

    fn rename(&self, params: &RenameParams) -> Answer {
        let at = self.place(&params.text_document_position)?;
        if at.set.problem.is_some() {
            let message = "the set cannot be read whole: see its diagnostics";
            return Err(Failure::new(code::FAILED, message));
        }
        let found = editor::rename(at.snapshot(), at.file, at.byte, &params.new_name)
            .map_err(|error| Failure::new(code::FAILED, error))?;
        Ok(json!({"changes": self.by_file(&at, &found, &params.new_name)}))
    }

    /// The places by the URI of their file, each as an edit that writes `new` there.
    fn by_file(
        &self,
        at: &Place<'_>,
        found: &[Occurrence],
        new: &str,
    ) -> BTreeMap<String, Vec<TextEdit>> {
        let mut lines: BTreeMap<u32, (Option<String>, Lines<'_>)> = BTreeMap::new();
        let mut by_file: BTreeMap<String, Vec<TextEdit>> = BTreeMap::new();
        for one in found {
            let file = one.span.file;
            let (uri, lines) = lines.entry(file).or_insert_with(|| {
                let source = at.snapshot().sources().files().get(file as usize);
                let uri = source.and_then(|source| self.workspace.uri(at.folder, &source.path));
                (uri, self.lines(at.snapshot(), file))
            });
            if let Some(uri) = uri {
                let edit = TextEdit { range: lines.range(one.span), new_text: new.to_owned() };
                by_file.entry(uri.clone()).or_default().push(edit);
            }
        }
        by_file
    }

    fn formatting(&self, params: &DocumentFormattingParams) -> Answer {
        let uri = params.text_document.uri.as_str();
        let document = self.workspace.documents.get(uri).ok_or_else(|| not_open(uri))?;
        let text = &document.text;
        let formatted = format(text).map_err(|errors| self.not_formatted(text, &errors))?;
        written(Vec::from_iter(convert::difference(text, &formatted, self.encoding)))
    }

    fn not_formatted(&self, text: &str, errors: &[Finding]) -> Failure {
        let first = errors.first();
        let why = first.map_or_else(String::new, |error| error.message.clone());
        let place =
            first.and_then(|error| error.labels.first()).map(|label| label.span).unwrap_or_default();
        let line = Lines::new(text, self.encoding).position(place.start).line + 1;
        Failure::new(code::FAILED, format_args!("not formatted, because of line {line}: {why}"))
    }
}

fn not_open(uri: &str) -> Failure {
    Failure::new(code::INVALID_PARAMS, format_args!("`{uri:.200}` is not open, or too large"))
}

/// One fix for each diagnostic that knows what was meant.
fn code_actions(params: CodeActionParams) -> Answer {
    let uri: Uri = params.text_document.uri;
    let fixes = params.context.diagnostics.into_iter().filter_map(|diagnostic| {
        let meant = diagnostic.data.as_ref()?.get("replace")?.as_str()?.to_owned();
        let edit = TextEdit { range: diagnostic.range, new_text: meant.clone() };
        Some(json!({
            "title": format!("write `{meant}`"),
            "kind": "quickfix",
            "isPreferred": true,
            "diagnostics": [diagnostic],
            "edit": {"changes": {uri.as_str(): [edit]}},
        }))
    });
    Ok(fixes.collect())
}
