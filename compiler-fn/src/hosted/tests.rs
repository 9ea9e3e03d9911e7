//! Uploads to a store that is a folder: events late, twice, reordered and at once.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
};

use aecp_contract::{
    layout::Name,
    legislation::Submission,
    manifest::{AuditLevel, ComponentPolicy, Enforcement},
    report::Severity,
    trust::{Role, RootPayload, TrustRoot},
};
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use super::*;
use crate::source::{Source, Sources};

/// Every look at this clock is a second later than the one before, so that nothing depends on the machine's.
fn clock() -> Timestamp {
    static NOW: AtomicI64 = AtomicI64::new(4_000_000_000);
    Timestamp { seconds: NOW.fetch_add(1, Ordering::SeqCst), nanoseconds: 0 }
}

struct Place {
    folder: TempDir,
    hosted: Hosted,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// A store whose trust root names no authors, or also the author 2.
fn place(authors: bool) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("file://{}", folder.path().display())).unwrap();
    let mut root = RootPayload::first(&key(1).verifying_key(), &[Role::Root, Role::Judicial]);
    if authors {
        root.add(Role::Author, &key(2).verifying_key());
    }
    let day = 24 * 3600 * 1000;
    let hosted = Hosted {
        store,
        replicas: Vec::new(),
        keys: vec![key(1)],
        root: root.sign(&[&key(1)]).to_json(),
        expires: Duration(90 * day),
        stale_after: Duration(30 * day),
        clock,
    };
    Place { folder, hosted }
}

fn request(why: &str) -> String {
    format!(r#"{{"channel":"prod","author":"Jane Doe","justification":"{why}"}}"#)
}

/// A set of one policy that asks for this value.
fn policy(value: &str) -> String {
    format!(
        "POLICY region {{\n  SCOPE: requests\n  CONSTRAINT: region == \"{value}\"\n  ENFORCEMENT: BLOCKING\n}}\n\
         TEST \"there\" {{\n  GIVEN: {{ region: \"{value}\" }}\n  EXPECT: ALLOW\n}}\n"
    )
}

fn packed(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

impl Place {
    fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.folder.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(bytes).unwrap();
    }

    /// When the store got an object, in seconds since this morning.
    fn uploaded_at(&self, key: &str, seconds: u64) {
        let file = fs::File::options().write(true).open(self.folder.path().join(key)).unwrap();
        let morning = std::time::UNIX_EPOCH + Pause::from_secs(1_790_000_000);
        file.set_modified(morning + Pause::from_secs(seconds)).unwrap();
    }

    fn put_set(&self, name: &str, value: &str, seconds: u64) -> String {
        let key = format!("inbox/eu/{name}.tar.gz");
        self.put(&key, &packed(&[("set/aecp.json", &request("CR-1")), ("set/a.aecp", &policy(value))]));
        self.uploaded_at(&key, seconds);
        key
    }

    async fn event(&self, key: &str) -> Answered {
        match self.hosted.on_upload(key).await.unwrap() {
            Answer::Reported(answered) => *answered,
            Answer::Ignored(why) => panic!("ignored: {why}"),
        }
    }

    /// All files but those of uploads and reports, with their contents.
    fn released(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        walk(self.folder.path(), self.folder.path(), &mut files);
        files.retain(|path, _| {
            !path.starts_with("inbox/") && !path.starts_with("reports/") && path != ".publish.lock"
        });
        files
    }

    fn reports(&self) -> Vec<String> {
        let mut files = BTreeMap::new();
        walk(self.folder.path(), self.folder.path(), &mut files);
        files.into_keys().filter(|path| path.starts_with("reports/")).collect()
    }
}

fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, files);
        } else {
            let relative = path.strip_prefix(root).unwrap().display().to_string();
            files.insert(relative, fs::read(&path).unwrap());
        }
    }
}

fn channel() -> Name {
    "prod".parse().unwrap()
}

#[tokio::test]
async fn an_upload_becomes_a_release_with_a_history_and_a_report_in_three_forms() {
    let place = place(false);
    let key = place.put_set("march", "eu", 0);
    let answered = place.event(&key).await;
    let Outcome::Accepted { serial: 1, .. } = answered.report.outcome else {
        panic!("{:?}", answered.report)
    };
    assert!(!answered.again);
    let roots = place.hosted.store.roots(&place.hosted.root).await.unwrap();
    let base = place.hosted.store.base(&channel(), &roots).await.unwrap();
    assert_eq!((base.serial, base.submitted), (1, Some(answered.report.upload.uploaded)));
    let history = place.hosted.store.history(&channel(), &roots).await.unwrap();
    assert_eq!(history[0].entry.author.as_deref(), Some("Jane Doe"));
    assert_eq!(history[0].entry.upload.as_ref(), Some(&answered.report.upload));
    // The report is signed, and the pages beside it say the same.
    let read =
        |ending: &str| fs::read(place.folder.path().join(format!("{}.{ending}", answered.key))).unwrap();
    let root = TrustRoot::pinned(&place.hosted.root).unwrap();
    let report = Report::verify(&read("json"), &root).unwrap();
    assert_eq!(report.outcome, answered.report.outcome);
    assert_eq!(report.tests.unwrap().passed, 1);
    assert!(report.phases.iter().any(|phase| phase.phase == "native"), "{:?}", report.phases);
    let page = String::from_utf8(read("html")).unwrap();
    assert!(page.contains("it is release 1 of channel prod") && page.contains("Jane Doe"), "{page}");
    let sarif: serde_json::Value = serde_json::from_slice(&read("sarif")).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
}

#[tokio::test]
async fn a_rejection_says_everything_and_changes_nothing_else() {
    let place = place(false);
    place.event(&place.put_set("good", "eu", 0)).await;
    let before = place.released();
    let wrong = "POLICY p {\n  SCOPE: requests\n  CONSTRAINT: a == 1 AND a == \"x\"\n  ENFORCEMENT: BLOCKNG\n}\n";
    let failing = format!(
        "{}TEST \"<b>no\" {{\n  GIVEN: {{ region: \"us\" }}\n  EXPECT: ALLOW\n}}\n",
        policy("de")
    );
    for (name, text, codes) in
        [("wrong", wrong, &["E020", "E015"][..]), ("failing", failing.as_str(), &["E030"])]
    {
        let key = format!("inbox/eu/{name}.tgz");
        place.put(&key, &packed(&[("aecp.json", &request("CR-2")), ("a b.aecp", text)]));
        let answered = place.event(&key).await;
        assert_eq!(answered.report.outcome, Outcome::Rejected);
        let errors = answered.report.findings.iter().filter(|one| one.severity == Severity::Error);
        let found: Vec<_> =
            errors.map(|one| (one.code.as_str(), one.file.as_deref(), one.line > 0)).collect();
        for code in codes {
            assert!(found.contains(&(*code, Some("a b.aecp"), true)), "{found:?}");
        }
        let page =
            fs::read_to_string(place.folder.path().join(format!("{}.html", answered.key))).unwrap();
        assert!(page.contains("Nothing was changed") && !page.contains("<b>"), "{page}");
        let sarif = fs::read(place.folder.path().join(format!("{}.sarif", answered.key))).unwrap();
        let sarif: serde_json::Value = serde_json::from_slice(&sarif).unwrap();
        let place_of = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place_of["artifactLocation"]["uri"], "a%20b.aecp");
    }
    // What is no upload at all.
    place.put("inbox/eu/x.zip", b"no archive");
    let refused = place.event("inbox/eu/x.zip").await.report;
    assert_eq!(refused.findings[0].code, "upload_not_an_archive");
    assert_eq!((refused.outcome, refused.channel), (Outcome::Rejected, None));
    assert_eq!(place.released(), before);
}

#[tokio::test]
async fn the_same_event_again_and_the_same_set_again_make_no_other_release() {
    let place = place(false);
    let key = place.put_set("one", "eu", 0);
    let first = place.event(&key).await;
    let (before, reports) = (place.released(), place.reports());
    let again = place.event(&key).await;
    assert!(again.again && again.key == first.key);
    assert_eq!(again.report.outcome, first.report.outcome);
    assert_eq!((place.released(), place.reports()), (before.clone(), reports));
    let same = place.event(&place.put_set("same", "eu", 5)).await;
    assert_eq!(same.report.outcome, Outcome::Unchanged { serial: 1 });
    assert_eq!(place.released(), before);
    // Its function died before it wrote the report.
    for report in place.reports() {
        fs::remove_file(place.folder.path().join(report)).unwrap();
    }
    assert_eq!(place.event(&key).await.report.outcome, first.report.outcome);
    assert_eq!(place.released(), before);
    // The same, and another set has come into force since.
    place.event(&place.put_set("next", "de", 9)).await;
    let before = place.released();
    for report in place.reports() {
        fs::remove_file(place.folder.path().join(report)).unwrap();
    }
    assert_eq!(place.event(&key).await.report.outcome, first.report.outcome);
    assert_eq!(place.released(), before);
}

#[tokio::test]
async fn late_events_do_not_bring_old_sets_back() {
    let place = place(false);
    let old = place.put_set("old", "eu", 0);
    let new = place.put_set("new", "de", 10);
    assert!(matches!(place.event(&new).await.report.outcome, Outcome::Accepted { serial: 1, .. }));
    let before = place.released();
    assert_eq!(place.event(&old).await.report.outcome, Outcome::Superseded { serial: 1 });
    assert_eq!(place.released(), before);
    // Another object under the same key is another upload.
    let back = place.put_set("old", "fr", 20);
    assert!(matches!(place.event(&back).await.report.outcome, Outcome::Accepted { serial: 2, .. }));
    // An upload that is gone again, and what is none.
    fs::remove_file(place.folder.path().join(&back)).unwrap();
    for nothing in [back.as_str(), "releases/prod/1.json", "inbox/eu/readme.txt"] {
        let answer = place.hosted.on_upload(nothing).await.unwrap();
        assert!(matches!(answer, Answer::Ignored(_)), "{nothing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_at_once_get_serials_without_holes_and_the_last_one_holds() {
    let place = place(false);
    let keys = [place.put_set("a", "eu", 1), place.put_set("b", "de", 2), place.put_set("c", "fr", 3)];
    // Each event twice.
    let tasks: Vec<_> = keys
        .iter()
        .chain(&keys)
        .map(|key| {
            let (hosted, key) = (place.hosted.clone(), key.clone());
            tokio::spawn(async move { hosted.on_upload(&key).await })
        })
        .collect();
    let mut serials = std::collections::BTreeSet::new();
    for task in tasks {
        let Answer::Reported(answered) = task.await.unwrap().unwrap() else { panic!("ignored") };
        match answered.report.outcome {
            Outcome::Accepted { serial, .. } | Outcome::Unchanged { serial } => {
                serials.insert(serial);
            }
            Outcome::Superseded { .. } => {}
            Outcome::Rejected => panic!("{:?}", answered.report),
        }
    }
    let roots = place.hosted.store.roots(&place.hosted.root).await.unwrap();
    let base = place.hosted.store.base(&channel(), &roots).await.unwrap();
    assert_eq!(serials.iter().copied().collect::<Vec<_>>(), (1..=base.serial).collect::<Vec<_>>());
    assert!(base.sources.unwrap().files()[0].text.contains("\"fr\""), "the newest upload is in force");
    place.hosted.store.history(&channel(), &roots).await.unwrap();
}

#[tokio::test]
async fn an_upload_ends_no_policy_that_is_a_component() {
    let place = place(false);
    let store = &place.hosted.store;
    let roots = store.roots(&place.hosted.root).await.unwrap();
    let sources = Sources::new(vec![Source { path: "a.aecp".into(), text: policy("eu") }]);
    let none = Base::default();
    let examined = examine(&sources, &none, &BTreeMap::new(), &mut |_| ()).unwrap();
    let mut accepted = examined.accepted.unwrap();
    let declared = ComponentPolicy {
        name: "iban".to_owned(),
        enforcement: Enforcement::Blocking,
        audit: AuditLevel::None,
        description: None,
        attributes: Vec::new(),
    };
    accepted.add_components(&none, vec![(declared, b"a component".to_vec())]);
    let (issued, expires, stale) = (clock(), clock(), clock());
    let publication = Publication { channel: channel(), issued, expires, stale };
    let reason = crate::publish::Reason::default();
    store.publish(&accepted, &publication, &reason, &[&key(1)], &roots).await.unwrap();
    let before = place.released();
    let report = place.event(&place.put_set("later", "fr", 3_000_000_000)).await.report;
    assert_eq!(report.outcome, Outcome::Rejected);
    let says =
        |one: &aecp_contract::report::Reported| one.message.contains("has policy `iban`, a component");
    assert!(report.findings.iter().any(says), "{:?}", report.findings);
    assert_eq!(place.released(), before);
}

#[tokio::test]
async fn where_authors_sign_nothing_else_is_accepted() {
    let place = place(true);
    let unsigned = place.event(&place.put_set("unsigned", "eu", 0)).await.report;
    assert_eq!(unsigned.outcome, Outcome::Rejected);
    assert!(unsigned.findings.iter().any(|one| one.message.contains("the trust root names authors")));
    assert!(!place.released().keys().any(|path| path.starts_with("releases/")));
    let text = policy("eu");
    let sources = Sources::new(vec![Source { path: "a.aecp".into(), text: text.clone() }]);
    let submission = |seed: u8| {
        let submission = Submission {
            channel: channel(),
            source: sources.digest(),
            author: "Zoë".into(),
            justification: "Art. 44".into(),
            issued: clock(),
            states: BTreeMap::new(),
        };
        String::from_utf8(submission.sign(&[&key(seed)]).to_json()).unwrap()
    };
    // A folder counts once its request is there; a stranger's signature does not.
    place.put("inbox/eu/stranger/a.aecp", text.as_bytes());
    place.put("inbox/eu/stranger/submission.json", submission(3).as_bytes());
    let stranger = place.event("inbox/eu/stranger/submission.json").await.report;
    assert_eq!(stranger.outcome, Outcome::Rejected, "{stranger:?}");
    place.put("inbox/eu/signed/a.aecp", text.as_bytes());
    let early = place.hosted.on_upload("inbox/eu/signed/a.aecp").await.unwrap();
    assert!(matches!(early, Answer::Ignored(_)));
    place.put("inbox/eu/signed/submission.json", submission(2).as_bytes());
    let signed = place.event("inbox/eu/signed/submission.json").await.report;
    assert!(matches!(signed.outcome, Outcome::Accepted { serial: 1, .. }), "{signed:?}");
    assert_eq!(signed.author.as_deref(), Some("Zoë"));
}
