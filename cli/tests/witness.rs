//! Witnesses as processes of their own, asked by a real enforcer and by people who would have them cosign anything.

#![allow(clippy::unwrap_used, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use aecp_contract::{
    digest::Digest,
    tlog::{
        checkpoint::Checkpoint,
        note::{self, KeyKind, NoteKey},
        witness::{AddCheckpoint, MAX_REQUEST_BYTES},
    },
    trust::TrustRoot,
};
use aecp_enforcer::{
    AuditConfig, Sidecar, SidecarConfig,
    record::{LogIdentity, Recording, Shipping, open_key},
    server::Limits,
};
use helpers::{aecp, err, out};
use tempfile::TempDir;

/// A witness that is killed as a power cut would, without a chance to tidy up.
struct Running {
    child: Child,
    address: String,
    /// Its line for log policies.
    line: String,
}

impl Running {
    fn start(folder: &Path, name: &str, listen: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_aecp"))
            .current_dir(folder)
            .args(["witness", "--name", name, "--log-policy", "logs.txt", "--state", name])
            .args(["--listen", listen])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line =
            lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("witness w")).unwrap();
        // What it says later must find a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let address = line.rsplit_once("http://").unwrap().1.to_owned();
        Self { child, address, line }
    }

    fn post(&self, body: String) -> (u16, String) {
        let client = reqwest::blocking::Client::new();
        let url = format!("http://{}/add-checkpoint", self.address);
        let answer = client.post(url).body(body).send().unwrap();
        let status = answer.status().as_u16();
        if status == 409 {
            assert_eq!(answer.headers()["content-type"], "text/x.tlog.size");
        }
        (status, answer.text().unwrap())
    }

    /// Asks with a checkpoint of this size and root, signed by a log.
    fn add(&self, log: &NoteKey, old: u64, size: u64, root: u8, proof: Vec<Digest>) -> (u16, String) {
        self.post(AddCheckpoint { old, proof, checkpoint: signed(log, size, root) }.to_text())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn signed(log: &NoteKey, size: u64, root: u8) -> String {
    let origin = log.verifier().name().to_owned();
    let text = Checkpoint { origin, size, root: Digest::of(&[root]) }.to_text();
    note::write(&text, &[log.sign(&text, 0)])
}

/// Waits for what another thread or process does.
fn wait(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder with a key, a log's identity, and the policies that name the log.
struct Place {
    folder: TempDir,
    log: NoteKey,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert!(aecp(at, &["keygen", "--out", "keys"]).status.success());
        fs::create_dir_all(at.join("state")).unwrap();
        let identity = LogIdentity::open(
            &at.join("state"),
            &"prod".parse().unwrap(),
            Some("web-1".parse().unwrap()),
        );
        let vkey = identity.unwrap().verifier();
        fs::write(at.join("logs.txt"), format!("log {vkey}\nquorum none\n")).unwrap();
        let key = open_key(&at.join("state/audit.pem")).unwrap();
        let log = NoteKey::new(vkey.name(), KeyKind::Signer, key).unwrap();
        Self { folder, log }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn witness(&self, name: &str, listen: &str) -> Running {
        Running::start(self.folder.path(), name, listen)
    }

    /// Runs an enforcer with the witnesses of `policy.txt`, whose log goes to a store, until `done`.
    fn enforce(&self, state: &str, store: &str, done: impl FnOnce()) {
        let url = |path: &str| format!("file://{}", self.at(path).display());
        let policy = fs::read_to_string(self.at("policy.txt")).unwrap();
        let config = SidecarConfig {
            stores: vec![url("releases")],
            channel: "prod".parse().unwrap(),
            root: TrustRoot::pinned(&fs::read(self.at("keys/root.json")).unwrap()).unwrap(),
            state: self.at(state),
            listen: "127.0.0.1:0".parse().unwrap(),
            poll: Duration::from_secs(60),
            point: None,
            limits: Limits::default(),
            explain: false,
            audit: AuditConfig {
                store: Some(url(store)),
                openings: None,
                instance: Some("web-1".parse().unwrap()),
                witnesses: Some(policy.parse().unwrap()),
                shipping: Shipping { every: Duration::from_millis(50), spool_bytes: 1 << 20 },
                recording: Recording::default(),
            },
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let sidecar = runtime.block_on(Sidecar::start(config)).unwrap();
        done();
        runtime.block_on(sidecar.stop()).unwrap();
    }

    fn verify(&self) -> String {
        let store = format!("file://{}", self.at("store").display());
        let verify = ["audit", "verify", "--store", &store, "--log-policy", "policy.txt"];
        let output = aecp(self.folder.path(), &verify);
        assert!(output.status.success(), "{output:?}");
        out(&output)
    }
}

#[test]
fn a_checkpoint_waits_for_its_witnesses_and_none_of_them_forgets() {
    let place = Place::new();
    let w1 = place.witness("w1", "127.0.0.1:0");
    let w2 = place.witness("w2", "127.0.0.1:0");
    let (first, second) = (w1.address.clone(), w2.address.clone());
    let logs = fs::read_to_string(place.at("logs.txt")).unwrap();
    let policy = format!(
        "{}{}\n{}\ngroup both all w1 w2\nquorum both\n",
        logs.replace("quorum none\n", ""),
        w1.line,
        w2.line
    );
    fs::write(place.at("policy.txt"), policy).unwrap();
    let checkpoint = place.at("store/audit/web-1/checkpoint");

    // Without the quorum the entries are carried, and no checkpoint over them is published.
    drop(w2);
    let cosigned = || fs::read_dir(place.at("w1/logs")).is_ok_and(|mut logs| logs.next().is_some());
    let mut late = None;
    place.enforce("state", "store", || {
        wait("the cosignature of w1", cosigned);
        assert!(place.at("store/audit/web-1/tile/entries/000.p/1").exists() && !checkpoint.exists());
        late = Some(place.witness("w2", &second));
        wait("the checkpoint", || checkpoint.exists());
    });
    let report = place.verify();
    assert!(report.contains("witnessed by w1") && report.contains("witnessed by w2"), "{report}");

    // Both are killed and come back with what they knew, and cosign what continues it.
    drop((w1, late));
    let (w1, _w2) = (place.witness("w1", &first), place.witness("w2", &second));
    let before = fs::read(&checkpoint).unwrap();
    let grown = || wait("another checkpoint", || fs::read(&checkpoint).unwrap() != before);
    place.enforce("state", "store", grown);
    let size = |report: &str| -> u64 {
        report.split("entries").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
    };
    let last = size(&place.verify());
    assert!(last > size(&report));

    // A monitor is shown the same by the witness.
    let hash = Digest::of(place.log.verifier().name().as_bytes());
    let shown = reqwest::blocking::get(format!("http://{first}/{hash}/checkpoint")).unwrap();
    assert!(shown.text().unwrap().starts_with(&format!("aecp/prod/web-1\n{last}\n")));

    // The log's own key cannot take back what they saw, nor show another history.
    assert_eq!(w1.add(&place.log, 0, 1, 9, vec![]), (409, format!("{last}\n")));
    let forked = w1.add(&place.log, last, last + 1, 9, vec![Digest::of(b"x")]);
    assert_eq!(forked.0, 422, "{forked:?}");
    assert_eq!(w1.add(&place.log, last, last, 9, vec![]).0, 422, "the same size");
    fs::create_dir(place.at("back")).unwrap();
    fs::copy(place.at("state/audit.pem"), place.at("back/audit.pem")).unwrap();
    place.enforce("back", "elsewhere", || {
        wait("entries", || place.at("elsewhere/audit/web-1/tile/entries/000.p/1").exists());
    });
    assert!(!place.at("elsewhere/audit/web-1/checkpoint").exists());
}

#[test]
fn a_witness_answers_with_the_statuses_of_the_specification() {
    let place = Place::new();
    let witness = place.witness("w1", "127.0.0.1:0");
    let stranger = |name: &str, file: &str| {
        NoteKey::new(name, KeyKind::Signer, open_key(&place.at(file)).unwrap()).unwrap()
    };
    let name = place.log.verifier().name().to_owned();
    assert_eq!(witness.post("old 0\n".to_owned()).0, 400);
    assert_eq!(witness.add(&place.log, 2, 1, 1, vec![]).0, 400);
    assert_eq!(witness.add(&stranger("other", "a.pem"), 0, 1, 1, vec![]).0, 404);
    assert_eq!(witness.add(&stranger(&name, "b.pem"), 0, 1, 1, vec![]).0, 403);
    assert_eq!(witness.add(&place.log, 1, 1, 1, vec![]), (409, "0\n".to_owned()));
    assert_eq!(witness.add(&place.log, 0, 1, 1, vec![Digest::of(b"x")]).0, 422);
    assert_eq!(witness.add(&place.log, 0, 0, 1, vec![]).0, 422, "not the root of no entries");
    assert_eq!(witness.post("x".repeat(MAX_REQUEST_BYTES + 1)).0, 413);
    assert_eq!(fs::read_dir(place.at("w1/logs")).map_or(0, Iterator::count), 0, "nothing was kept");

    // Of many that ask at once from the same state, one is cosigned, and the others are told its size.
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = |size| {
            scope.spawn({
                let (witness, log) = (&witness, &place.log);
                move || (size, witness.add(log, 0, size, 1, vec![]))
            })
        };
        let asked: Vec<_> = (1..=8).map(ask).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let cosigned: Vec<_> = answers.iter().filter(|(_, (status, _))| *status == 200).collect();
    let [(size, (_, line))] = cosigned[..] else { panic!("{answers:?}") };
    assert!(line.starts_with("\u{2014} w1 ") && line.ends_with('\n'), "{line}");
    let told = (409, format!("{size}\n"));
    assert_eq!(answers.iter().filter(|(_, answer)| *answer == told).count(), 7, "{answers:?}");

    // One folder, one witness; and a memory that was changed is not taken for an empty one.
    let again = ["witness", "--name", "w1", "--log-policy", "logs.txt", "--state", "w1"];
    let second = aecp(place.folder.path(), &[&again[..], &["--listen", "127.0.0.1:0"]].concat());
    assert!(second.status.code() == Some(2) && err(&second).contains("in use"), "{second:?}");
    drop(witness);
    let kept = fs::read_dir(place.at("w1/logs")).unwrap().next().unwrap().unwrap().path();
    fs::write(&kept, signed(&place.log, 1, 1)).unwrap();
    let changed = aecp(place.folder.path(), &again);
    assert!(changed.status.code() == Some(2) && err(&changed).contains("restore it"), "{changed:?}");
}
