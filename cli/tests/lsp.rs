//! The language server, driven as editors drive it: the real process, real messages over its standard streams.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

const POLICY: &str = r#"POLICY data_residency_eu {
  DESCRIPTION: "EU data stays there"
  SCOPE: customer_data WHERE customer.region == "EU"
  CONSTRAINT: storage.location IN ["eu-west-1", "eu-central-1"]
  ENFORCEMENT: BLOCKING
}
"#;

const TESTS: &str = r#"TEST "EU data stored in the US is denied" {
  GIVEN: { resource.type: "customer_data", customer.region: "EU", storage.location: "us-east-1" }
  EXPECT: DENY BY data_residency_eu
}
"#;

const SCHEMA: &str = "SCHEMA {\n  customer.region: ENUM(\"EU\", \"US\")\n  resource.type: STRING\n  storage.location: \
                      STRING\n}\n";

/// An editor with a folder open.
struct Editor {
    server: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What the server said that was not waited for yet.
    heard: VecDeque<Value>,
    /// The diagnostics of each file, as an editor shows them.
    shown: BTreeMap<String, Vec<Value>>,
    next: i32,
    folder: TempDir,
}

impl Editor {
    fn start(files: &[(&str, &str)]) -> Self {
        Self::start_with(files, &json!({}))
    }

    fn start_with(files: &[(&str, &str)], capabilities: &Value) -> Self {
        let mut editor = Self::launch(files);
        let uri = format!("file://{}", editor.folder.path().display());
        let params = json!({"processId": null, "rootUri": uri, "capabilities": capabilities,
            "workspaceFolders": [{"uri": uri, "name": "w"}]});
        let answer = editor.ask("initialize", params);
        assert_eq!(answer["result"]["capabilities"]["hoverProvider"], true);
        editor.tell("initialized", json!({}));
        editor
    }

    fn launch(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut server = Command::new(env!("CARGO_BIN_EXE_aecp"))
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: server.stdin.take(),
            output: BufReader::new(server.stdout.take().unwrap()),
            server,
            heard: VecDeque::new(),
            shown: BTreeMap::new(),
            next: 0,
            folder,
        }
    }

    fn uri(&self, path: &str) -> String {
        format!("file://{}/{path}", self.folder.path().display())
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(Path::new(path))
    }

    fn send(&mut self, body: &str) {
        let message = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.send_raw(message.as_bytes());
    }

    fn send_raw(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).and_then(|()| input.flush()).unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
    }

    /// Sends a request and gives its number.
    fn request(&mut self, method: &str, params: Value) -> i32 {
        self.next += 1;
        let id = self.next;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        id
    }

    /// Sends a request and waits for its answer.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.answer_to(&json!(id))
    }

    fn answer_to(&mut self, id: &Value) -> Value {
        self.wait(|message| message.get("method").is_none() && message["id"] == *id)
    }

    /// The next message that fits; others are kept.
    fn wait(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.heard.iter().position(&fits) {
            return self.heard.remove(at).unwrap();
        }
        loop {
            let message = self.hear();
            if fits(&message) {
                return message;
            }
            self.heard.push_back(message);
        }
    }

    fn hear(&mut self) -> Value {
        let mut size = 0;
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the server has ended");
            match line.trim().strip_prefix("Content-Length: ") {
                Some(told) => size = told.parse().unwrap(),
                None => break,
            }
        }
        let mut body = vec![0; size];
        self.output.read_exact(&mut body).unwrap();
        let message: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(message["jsonrpc"], "2.0");
        message
    }

    /// Waits until the server says of a file what is expected, whatever it said before.
    fn diagnostics(&mut self, path: &str, expected: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let uri = self.uri(path);
        loop {
            let message = self.wait(|message| message["method"] == "textDocument/publishDiagnostics");
            let told = message["params"]["uri"].as_str().unwrap().to_owned();
            let diagnostics = message["params"]["diagnostics"].as_array().unwrap().clone();
            let fits = told == uri && expected(&diagnostics);
            self.shown.insert(told, diagnostics.clone());
            if fits {
                return diagnostics;
            }
        }
    }

    fn open(&mut self, path: &str, text: &str) {
        let document = json!({"uri": self.uri(path), "languageId": "aecp", "version": 1, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": document}));
    }

    /// Replaces what stands between two places of a document.
    fn change(&mut self, path: &str, version: i32, start: (u32, u32), end: (u32, u32), text: &str) {
        let document = json!({"uri": self.uri(path), "version": version});
        let range = json!({"start": position(start), "end": position(end)});
        let changes = json!([{"range": range, "text": text}]);
        self.tell(
            "textDocument/didChange",
            json!({"textDocument": document, "contentChanges": changes}),
        );
    }

    fn ask_at(&mut self, method: &str, path: &str, at: (u32, u32)) -> Value {
        let mut place = json!({"textDocument": {"uri": self.uri(path)}, "position": position(at)});
        if method.ends_with("references") {
            place["context"] = json!({"includeDeclaration": true});
        }
        let mut answer = self.ask(method, place);
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].take()
    }

    fn labels_at(&mut self, path: &str, at: (u32, u32)) -> Vec<String> {
        let found = self.ask_at("textDocument/completion", path, at);
        let items = found["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect()
    }

    /// Says farewell and gives the exit code.
    fn end(mut self) -> Option<i32> {
        assert_eq!(self.ask("shutdown", Value::Null)["result"], Value::Null);
        self.tell("exit", Value::Null);
        self.server.wait().unwrap().code()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // Of a test that failed; the server of the others has ended.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn position((line, character): (u32, u32)) -> Value {
    json!({"line": line, "character": character})
}

fn range(line: u32, start: u32, end: u32) -> Value {
    json!({"start": position((line, start)), "end": position((line, end))})
}

fn none(diagnostics: &[Value]) -> bool {
    diagnostics.is_empty()
}

#[test]
fn errors_are_told_while_typing_with_their_fix_and_go_when_they_are_corrected() {
    let wrong = POLICY.replace("BLOCKING", "BLOKING");
    let mut editor = Editor::start(&[("set/a.aecp", POLICY), ("set/t.aecp", TESTS)]);
    // What the editor has counts, not what is on the disk.
    editor.open("set/a.aecp", &wrong);
    let told = editor.diagnostics("set/a.aecp", |all| !all.is_empty());
    assert_eq!(told[0]["code"], "E015");
    assert_eq!(told[0]["severity"], 1);
    assert_eq!(told[0]["range"], range(4, 15, 22));
    assert_eq!(told[0]["message"], "unknown enforcement `BLOKING`\nhelp: did you mean `BLOCKING`?");
    assert!(told[0]["codeDescription"]["href"].as_str().unwrap().contains("docs/language.md"));
    let params = json!({"textDocument": {"uri": editor.uri("set/a.aecp")}, "range": told[0]["range"],
        "context": {"diagnostics": [told[0]]}});
    let fixes = editor.ask("textDocument/codeAction", params);
    let edit = &fixes["result"][0]["edit"]["changes"][editor.uri("set/a.aecp")][0];
    assert_eq!((&edit["range"], &edit["newText"]), (&range(4, 15, 22), &json!("BLOCKING")));

    editor.change("set/a.aecp", 2, (4, 15), (4, 22), "BLOCKING");
    editor.diagnostics("set/a.aecp", none);
    // Renaming the policy by hand breaks the test that names it, in a file that is not open.
    editor.change("set/a.aecp", 3, (0, 7), (0, 24), "residency");
    let told = editor.diagnostics("set/t.aecp", |all| !all.is_empty());
    assert_eq!(told[0]["code"], "E013");
    // Closed without saving: the disk counts again, and nothing is open any more.
    let document = json!({"textDocument": {"uri": editor.uri("set/a.aecp")}});
    editor.tell("textDocument/didClose", document);
    editor.diagnostics("set/t.aecp", none);
    assert_eq!(editor.end(), Some(0));
}

#[test]
fn conflicts_are_told_with_their_places_and_the_request_that_shows_them() {
    let other = "POLICY only_us {\n  SCOPE: customer_data\n  CONSTRAINT: storage.location == \"us-east-1\"\n  \
                 ENFORCEMENT: BLOCKING\n}\n";
    let mut editor = Editor::start(&[("b.aecp", other)]);
    editor.open("a.aecp", POLICY);
    let uri = editor.uri("a.aecp");
    let all = editor.diagnostics("b.aecp", |all| !all.is_empty());
    assert_eq!(all[0]["code"], "E040");
    let message = all[0]["message"].as_str().unwrap();
    assert!(
        message.contains("this request shows it: {") && message.contains("\"customer.region\": \"EU\""),
        "{message}"
    );
    let related = all[0]["relatedInformation"].as_array().unwrap();
    assert!(related.iter().any(|place| place["location"]["uri"] == *uri), "{related:?}");
    assert_eq!(editor.end(), Some(0));
}

#[test]
fn names_are_explained_found_and_renamed_across_files() {
    let files = [("set/a.aecp", POLICY), ("set/t.aecp", TESTS), ("set/z.aecp", SCHEMA)];
    let mut editor = Editor::start(&files);
    editor.open("set/t.aecp", TESTS);
    let hover = editor.ask_at("textDocument/hover", "set/t.aecp", (2, 20));
    assert_eq!(hover["range"], range(2, 18, 35));
    assert!(hover["contents"]["value"].as_str().unwrap().contains("EU data stays there"), "{hover}");
    let hover = editor.ask_at("textDocument/hover", "set/t.aecp", (1, 47));
    assert!(hover["contents"]["value"].as_str().unwrap().contains("declared in `z.aecp:2`"), "{hover}");

    let defined = editor.ask_at("textDocument/definition", "set/t.aecp", (2, 20));
    assert_eq!(defined, json!([{"uri": editor.uri("set/a.aecp"), "range": range(0, 7, 24)}]));
    let found = editor.ask_at("textDocument/references", "set/t.aecp", (1, 47));
    assert_eq!(found.as_array().unwrap().len(), 3, "{found}");

    let may = editor.ask_at("textDocument/prepareRename", "set/t.aecp", (2, 20));
    assert_eq!(may, range(2, 18, 35));
    let rename = |editor: &mut Editor, at, name: &str| {
        let params = json!({"textDocument": {"uri": editor.uri("set/t.aecp")}, "position": position(at),
            "newName": name});
        editor.ask("textDocument/rename", params)
    };
    let edits = rename(&mut editor, (2, 20), "eu_only");
    let changes = edits["result"]["changes"].as_object().unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(
        changes[&editor.uri("set/a.aecp")],
        json!([{"range": range(0, 7, 24), "newText": "eu_only"}])
    );
    assert_eq!(
        changes[&editor.uri("set/t.aecp")],
        json!([{"range": range(2, 18, 35), "newText": "eu_only"}])
    );
    let refused = rename(&mut editor, (1, 47), "storage.location");
    assert_eq!(refused["error"]["code"], -32803);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("there is an attribute with the name `storage.location` already"),
        "{message}"
    );
    assert_eq!(editor.end(), Some(0));
}

#[test]
fn completion_follows_the_typing_in_a_statement_that_is_not_finished() {
    let mut editor = Editor::start(&[("z.aecp", SCHEMA)]);
    editor.open("a.aecp", "POLICY p {\n  SCOPE: requests\n  \n}\n");
    assert!(editor.labels_at("a.aecp", (2, 2)).contains(&"CONSTRAINT".to_owned()));
    editor.change("a.aecp", 2, (2, 2), (2, 2), "CONSTRAINT: cust");
    let found = editor.ask_at("textDocument/completion", "a.aecp", (2, 18));
    let first = &found["items"][0];
    assert_eq!(
        (&first["label"], &first["detail"]),
        (&json!("customer.region"), &json!("ENUM(\"EU\", \"US\")"))
    );
    assert_eq!(first["textEdit"], json!({"range": range(2, 14, 18), "newText": "customer.region"}));
    editor.change("a.aecp", 3, (2, 14), (2, 18), "customer.region == ");
    assert_eq!(editor.labels_at("a.aecp", (2, 33)), ["\"EU\"", "\"US\""]);
    // Everything undone in one message, the last change first to be seen by nobody.
    let document = json!({"uri": editor.uri("a.aecp"), "version": 4});
    let changes = json!([{"text": "nonsense"}, {"text": "POLICY p {\n  ENFORCEMENT: "}]);
    editor.tell("textDocument/didChange", json!({"textDocument": document, "contentChanges": changes}));
    assert_eq!(editor.labels_at("a.aecp", (1, 15)), ["BLOCKING", "ADVISORY", "AUDIT_ONLY"]);
    assert_eq!(editor.end(), Some(0));
}

#[test]
fn columns_count_what_client_and_server_agreed_on() {
    let text = "TEST \"😀😀\" { GIVEN: { a.b: 1 } EXPECT: DENY BY gone }\n";
    // Each emoji is two units of UTF-16 and four bytes.
    let at = text.find("gone").unwrap() as u32;
    for (capabilities, agreed, start) in [
        (json!({}), "utf-16", at - 4),
        (json!({"general": {"positionEncodings": ["utf-32", "utf-16"]}}), "utf-16", at - 4),
        (json!({"general": {"positionEncodings": ["utf-16", "utf-8"]}}), "utf-8", at),
    ] {
        let mut editor = Editor::launch(&[]);
        let answer = editor.ask("initialize", json!({"capabilities": capabilities}));
        assert_eq!(answer["result"]["capabilities"]["positionEncoding"], agreed);
        editor.open("a.aecp", text);
        let told = editor.diagnostics("a.aecp", |all| all.iter().any(|one| one["code"] == "E013"));
        let told = told.iter().find(|one| one["code"] == "E013").unwrap();
        assert_eq!(told["range"], range(0, start, start + 4), "{agreed}");
        // And back: the change lands where it was meant.
        editor.change("a.aecp", 2, (0, start), (0, start + 4), "other");
        let told = editor.diagnostics("a.aecp", |all| all.iter().any(|one| one["code"] == "E013"));
        assert!(told.iter().any(|one| one["message"].as_str().unwrap().contains("`other`")), "{told:?}");
        assert_eq!(editor.end(), Some(0));
    }
}

#[test]
fn formatting_gives_the_standard_layout_and_refuses_what_it_cannot_read() {
    let mut editor = Editor::start(&[]);
    editor.open("a.aecp", &POLICY.replace("  ENFORCEMENT", "ENFORCEMENT"));
    let options = json!({"tabSize": 4, "insertSpaces": true});
    let params = json!({"textDocument": {"uri": editor.uri("a.aecp")}, "options": options});
    let edits = editor.ask("textDocument/formatting", params.clone());
    let expected = json!([{"range": {"start": position((4, 0)), "end": position((5, 0))},
        "newText": "  ENFORCEMENT: BLOCKING\n"}]);
    assert_eq!(edits["result"], expected);
    editor.change("a.aecp", 2, (4, 0), (5, 0), "  ENFORCEMENT: BLOCKING\n");
    assert_eq!(editor.ask("textDocument/formatting", params.clone())["result"], json!([]));
    editor.change("a.aecp", 3, (5, 0), (5, 1), "");
    let refused = editor.ask("textDocument/formatting", params);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("not formatted, because of line 5: expected `}`"), "{message}");
    assert_eq!(editor.end(), Some(0));
}

#[test]
fn nothing_that_a_client_sends_ends_the_server_but_exit() {
    let mut editor = Editor::launch(&[]);
    let early = editor.ask("textDocument/hover", json!({}));
    assert_eq!(early["error"]["code"], -32002);
    editor.ask("initialize", json!({"capabilities": [], "workspaceFolders": 3, "rootUri": "::"}));
    let codes = [
        ("{", -32700),
        ("[1, 2]", -32600),
        ("{\"id\": {}, \"method\": \"x\"}", -32600),
        ("\u{0}", -32700),
    ];
    for (body, code) in codes {
        editor.send(body);
        let answer = editor.answer_to(&Value::Null);
        assert_eq!(answer["error"]["code"], code, "{body}");
    }
    editor.send_raw(b"Content-Length: 99999999999999999999\r\n\r\nrubbish\r\n\r\n");
    assert_eq!(editor.answer_to(&Value::Null)["error"]["code"], -32700);
    assert_eq!(editor.ask("textDocument/unheardOf", json!({}))["error"]["code"], -32601);
    assert_eq!(editor.ask("textDocument/hover", json!({"position": "there"}))["error"]["code"], -32602);
    assert_eq!(editor.ask("initialize", json!({}))["error"]["code"], -32600);
    editor.tell("textDocument/didOpen", json!({"textDocument": 1}));
    let logged = editor.wait(|message| message["method"] == "window/logMessage");
    assert!(logged["params"]["message"].as_str().unwrap().contains("`textDocument/didOpen`"));
    editor.tell("textDocument/didClose", json!({"textDocument": {"uri": "file:///never/opened.aecp"}}));
    editor.tell("$/unheardOf", json!({}));
    editor.send("{\"id\": 7, \"result\": null}");
    let nowhere =
        json!({"textDocument": {"uri": "file:///never/opened.aecp"}, "position": position((0, 0))});
    assert_eq!(editor.ask("textDocument/hover", nowhere)["error"]["code"], -32602);
    // Places beyond the text, backwards ranges, a document that is nowhere on the disk.
    let untitled =
        json!({"uri": "untitled:Untitled-1", "languageId": "aecp", "version": 1, "text": "POLICY p {"});
    editor.tell("textDocument/didOpen", json!({"textDocument": untitled}));
    let far = json!({"textDocument": {"uri": "untitled:Untitled-1"}, "position": position((u32::MAX, u32::MAX))});
    assert_eq!(editor.ask("textDocument/hover", far)["result"], Value::Null);
    let back = json!([{"range": {"start": position((9, 9)), "end": position((0, 1))}, "text": "}"}]);
    let document = json!({"uri": "untitled:Untitled-1", "version": 2});
    editor.tell("textDocument/didChange", json!({"textDocument": document, "contentChanges": back}));
    let told = editor.wait(|message| {
        message["params"]["uri"] == "untitled:Untitled-1" && message["params"]["version"] == 2
    });
    assert_eq!(told["params"]["diagnostics"][0]["code"], "E010");
    // A cancelled request has an answer, too: that it was cancelled, or what it asked for.
    let id = editor.request("textDocument/hover", json!({}));
    editor.tell("$/cancelRequest", json!({"id": id}));
    let answer = editor.answer_to(&json!(id));
    assert!([json!(-32800), json!(-32602)].contains(&answer["error"]["code"]), "{answer}");
    assert_eq!(editor.end(), Some(0));
}

#[test]
fn a_client_that_is_gone_or_leaves_without_farewell_ends_the_server() {
    let mut editor = Editor::start(&[]);
    editor.input = None;
    assert_eq!(editor.server.wait().unwrap().code(), Some(1));
    let mut editor = Editor::start(&[]);
    editor.tell("exit", Value::Null);
    assert_eq!(editor.server.wait().unwrap().code(), Some(1));
}

#[test]
fn what_cannot_be_read_is_told_and_what_is_open_is_served_all_the_same() {
    let mut editor = Editor::start(&[("a.aecp", POLICY)]);
    fs::write(editor.path("b.aecp"), b"POLICY \xff").unwrap();
    editor.open("a.aecp", POLICY);
    let told = editor.diagnostics("a.aecp", |all| !all.is_empty());
    let message = told[0]["message"].as_str().unwrap();
    assert!(message.contains("b.aecp` is not UTF-8: byte 7"), "{message}");
    assert_ne!(editor.ask_at("textDocument/hover", "a.aecp", (0, 9)), Value::Null);
    fs::remove_file(editor.path("b.aecp")).unwrap();
    editor.tell("workspace/didChangeWatchedFiles", json!({"changes": []}));
    editor.diagnostics("a.aecp", none);
    // Beyond the limit of a file, and back.
    let document = |version| json!({"uri": editor.uri("a.aecp"), "version": version});
    let huge =
        json!({"textDocument": document(2), "contentChanges": [{"text": "#".repeat((16 << 20) + 1)}]});
    let small = json!({"textDocument": document(3), "contentChanges": [{"text": POLICY}]});
    editor.tell("textDocument/didChange", huge);
    let told = editor.diagnostics("a.aecp", |all| !all.is_empty());
    assert!(told[0]["message"].as_str().unwrap().contains("is larger than 16777216 bytes"), "{told:?}");
    editor.tell("textDocument/didChange", small);
    editor.diagnostics("a.aecp", none);
    assert_eq!(editor.end(), Some(0));
}

#[test]
fn typing_into_a_thousand_policies_is_answered_by_what_was_typed_last() {
    let mut text = String::new();
    for n in 0..1000 {
        let _ = write!(
            text,
            "POLICY p{n} {{\n  SCOPE: kind_{n} WHERE a.region == \"EU\"\n  CONSTRAINT: b.size < {n}\n  ENFORCEMENT: \
             BLOCKING\n}}\n"
        );
    }
    let line = text.lines().count() as u32;
    let mut editor = Editor::start(&[("other.aecp", TESTS)]);
    editor.open("a.aecp", &text);
    // Letter by letter, without waiting for anything.
    let typed = "POLICY last { SCOPE: kind_1 CONSTRAINT: a.region == ";
    let mut asked = Vec::new();
    for (at, letter) in (0..).zip(typed.chars()) {
        editor.change("a.aecp", at + 2, (line, at as u32), (line, at as u32), &letter.to_string());
        if letter == ' ' {
            let place = json!({"textDocument": {"uri": editor.uri("a.aecp")},
                "position": position((line, at as u32 + 1))});
            asked.push(editor.request("textDocument/completion", place));
        }
    }
    for id in asked {
        assert!(editor.answer_to(&json!(id)).get("result").is_some());
    }
    let last = typed.len() as u32;
    assert!(editor.labels_at("a.aecp", (line, last - 12)).contains(&"b.size".to_owned()));
    editor.change("a.aecp", 1000, (line, last), (line, last), "\"US\" ENFORCEMENT: BLOCKING }");
    // What is told in the end is of the last version, however few of those before it were checked.
    let uri = editor.uri("a.aecp");
    let told =
        editor.wait(|message| message["params"]["uri"] == uri && message["params"]["version"] == 1000);
    let all = told["params"]["diagnostics"].as_array().unwrap();
    assert!(all.iter().all(|one| one["code"] != "E001"), "{all:?}");
    let earlier = editor.heard.iter().filter(|message| message["params"]["version"].is_i64()).count();
    assert!(earlier < typed.len(), "every letter was checked: {earlier}");
    assert_eq!(editor.end(), Some(0));
}
