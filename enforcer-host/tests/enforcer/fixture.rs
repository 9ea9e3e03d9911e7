//! A publisher with its keys and its store, and policy modules written by hand.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aecp_contract::{
    ABI_VERSION,
    cost::Cost,
    digest::Digest,
    layout::{self, Name},
    manifest::{
        AttributeDeclaration, AuditLevel, Enforcement, Manifest, ModuleInfo, PolicyInfo,
        SelfCheckSummary, TestSummary,
    },
    native::this_machine,
    release::{Artifact, CORE_MODULE, ChannelPointer, MANIFEST, Release, Statement},
    trust::{Role, RootPayload, TrustRoot},
    value::{Timestamp, Type},
};
use aecp_enforcer::{
    Enforcer, Engine, ReleaseSource, Sidecar, SidecarConfig, Store, VerifiedRelease, metrics::Metrics,
    refresh::Refresher, server::Limits, state::StateFolder,
};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

pub(crate) const CHANNEL: &str = "prod";

pub(crate) fn channel() -> Name {
    CHANNEL.parse().unwrap()
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// So many seconds from now.
pub(crate) fn after(seconds: i64) -> Timestamp {
    let now = aecp_enforcer::now();
    Timestamp { seconds: now.seconds + seconds, ..now }
}

/// A module that allows requests whose `customer.region` starts with a letter, and denies all others for
/// violating all three policies. Attribute `behave` makes it trap (1), loop (2) or return nonsense (3).
pub(crate) fn core(letter: char, audit: AuditLevel) -> Vec<u8> {
    let record = |decision: u8, list: u32, length: u32| {
        let mut bytes = vec![decision, audit as u8, 0, 0];
        for word in [list, length, 0, 0, 0, 0] {
            bytes.extend(word.to_le_bytes());
        }
        escaped(&bytes)
    };
    let list = escaped(&[0u32, 1, 2].map(u32::to_le_bytes).concat());
    let (allow, deny) = (record(0, 264, 1), record(1, 256, 3));
    let letter = letter as u32;
    let text = format!(
        r#"(module
          (memory (export "memory") 17 17)
          (data (i32.const 64) "{allow}")
          (data (i32.const 128) "{deny}")
          (data (i32.const 256) "{list}")
          (func (export "aecp:policy/evaluation@0.1.0#decide") (param $slots i32) (param i32) (result i32)
            (local $behave i32)
            (local.set $behave (i32.load (i32.add (local.get $slots) (i32.const 8))))
            (if (i32.eq (local.get $behave) (i32.const 1)) (then unreachable))
            (if (i32.eq (local.get $behave) (i32.const 2)) (then (loop $l (br $l))))
            (if (i32.eq (local.get $behave) (i32.const 3)) (then (return (i32.const -4))))
            (if (i32.eq (i32.load8_u (i32.add (local.get $slots) (i32.const 24))) (i32.const 5))
              (then
                (if (i32.eq (i32.const {letter})
                      (i32.load8_u (i32.load (i32.add (local.get $slots) (i32.const 32)))))
                  (then (return (i32.const 64))))))
            (i32.const 128)))"#
    );
    wat::parse_str(text).unwrap()
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

pub(crate) fn manifest() -> Manifest {
    let policy = |name: &str, enforcement| PolicyInfo {
        name: name.to_owned(),
        module: 0,
        enforcement,
        audit: AuditLevel::Required,
        description: None,
        version: None,
        author: None,
        justification: None,
        compliance: vec![],
        break_glass: false,
        at: vec![],
        effective_from: None,
        effective_until: None,
    };
    let attribute = |path: &str, ty| AttributeDeclaration { path: path.to_owned(), ty };
    Manifest {
        abi: ABI_VERSION,
        compiler: "test".to_owned(),
        source: Digest::of(b"source"),
        attributes: vec![attribute("behave", Type::Int), attribute("customer.region", Type::String)],
        modules: vec![ModuleInfo { name: "m".to_owned(), default_deny: false }],
        policies: vec![
            policy("advice", Enforcement::Advisory),
            policy("region", Enforcement::Blocking),
            policy("silent", Enforcement::AuditOnly),
        ],
        obligations: vec![],
        proofs: vec![],
        cost: Cost { base: u64::MAX, ..Cost::default() },
        tests: TestSummary::default(),
        self_check: SelfCheckSummary::default(),
        states: BTreeMap::new(),
        components: vec![],
    }
}

pub(crate) type Artifacts = BTreeMap<String, Vec<u8>>;

/// The artifacts of a set that allows this region.
pub(crate) fn artifacts(letter: char, audit: AuditLevel) -> Artifacts {
    with_code(core(letter, audit), &manifest())
}

/// A core module, its machine code and its manifest.
pub(crate) fn with_code(core: Vec<u8>, manifest: &Manifest) -> Artifacts {
    let mut artifacts = BTreeMap::from([(MANIFEST.to_owned(), serde_json::to_vec(manifest).unwrap())]);
    if let Some(target) = this_machine() {
        let mut config = wasmtime::Config::new();
        config.target(target.triple).unwrap();
        artifacts.insert(target.artifact.to_owned(), machine_code(&mut config, &core));
    }
    artifacts.insert(CORE_MODULE.to_owned(), core);
    artifacts
}

/// What the compiler makes of a module, but for what `config` says otherwise.
pub(crate) fn machine_code(config: &mut wasmtime::Config, core: &[u8]) -> Vec<u8> {
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    wasmtime::Engine::new(config).unwrap().precompile_module(core).unwrap()
}

/// A verified release of these artifacts that never was in a store.
pub(crate) fn verified(artifacts: Artifacts) -> VerifiedRelease {
    let key = key(1);
    let root = RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial]);
    let root = TrustRoot::pinned(&root.sign(&[&key]).to_json()).unwrap();
    let named = artifacts.iter().map(|(name, bytes)| (name.clone(), Artifact::of(bytes))).collect();
    let envelope = Statement::new(&named, release(1)).sign(&[&key]).to_json();
    let artifacts = artifacts.into_iter().map(|(name, bytes)| (name, bytes.into())).collect();
    VerifiedRelease::verify(envelope.into(), artifacts, &root, &channel()).unwrap()
}

/// A release of this serial, issued a minute ago and good for an hour.
pub(crate) fn release(serial: u64) -> Release {
    Release {
        channel: channel(),
        serial,
        issued: after(-60),
        expires: after(3600),
        stale: after(7200),
        source: Digest::of(b"source"),
        compiler: "test".to_owned(),
        legislation: None,
    }
}

/// Somebody who signs releases, the store they go to, and a folder for an enforcer's state.
pub(crate) struct Publisher {
    folder: TempDir,
    pub(crate) key: SigningKey,
    pub(crate) root: RootPayload,
}

impl Publisher {
    pub(crate) fn new() -> Self {
        let key = key(1);
        let root = RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial]);
        Self { folder: tempfile::tempdir().unwrap(), key, root }
    }

    pub(crate) fn pinned(&self) -> TrustRoot {
        TrustRoot::pinned(&self.root.sign(&[&self.key]).to_json()).unwrap()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn url(&self) -> String {
        url::Url::from_directory_path(self.store()).unwrap().into()
    }

    pub(crate) fn source(&self) -> ReleaseSource<Store> {
        ReleaseSource::new(Store::open(&self.url()).unwrap(), channel())
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        put(&self.store(), key, bytes);
    }

    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.store().join(key)
    }

    /// Changes a stored object.
    pub(crate) fn change(&self, key: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let bytes = fs::read(self.path(key)).unwrap();
        self.put(key, &change(bytes));
    }

    /// Publishes a good release that allows this region.
    pub(crate) fn publish(&self, serial: u64, letter: char) -> ChannelPointer {
        self.publish_as(&self.key, &release(serial), &artifacts(letter, AuditLevel::None))
    }

    /// Publishes anything.
    pub(crate) fn publish_as(
        &self,
        key: &SigningKey,
        release: &Release,
        artifacts: &Artifacts,
    ) -> ChannelPointer {
        for bytes in artifacts.values() {
            self.put(&layout::blob(Digest::of(bytes)), bytes);
        }
        let named = artifacts.iter().map(|(name, bytes)| (name.clone(), Artifact::of(bytes))).collect();
        let envelope = Statement::new(&named, release.clone()).sign(&[key]).to_json();
        self.put(&layout::release(&channel(), release.serial), &envelope);
        let pointer = ChannelPointer {
            channel: channel(),
            serial: release.serial,
            release: Digest::of(&envelope),
        };
        self.point(&pointer);
        pointer
    }

    pub(crate) fn point(&self, pointer: &ChannelPointer) {
        self.put(&layout::channel(&channel()), &pointer.to_json());
    }

    /// The keys of all stored objects.
    pub(crate) fn keys(&self) -> Vec<String> {
        fn walk(folder: &Path, keys: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, keys) } else { keys.push(path) }
            }
        }
        let mut paths = Vec::new();
        walk(&self.store(), &mut paths);
        let key = |path: &PathBuf| path.strip_prefix(self.store()).unwrap().to_str().unwrap().to_owned();
        let mut keys: Vec<String> = paths.iter().map(key).collect();
        keys.sort();
        keys
    }

    /// An enforcer without HTTP, polled by hand.
    pub(crate) async fn enforcer(&self) -> (Arc<Enforcer>, Refresher) {
        let state = Arc::new(StateFolder::open(&self.state(), channel()).unwrap());
        let enforcer = Arc::new(Enforcer::new(channel(), None, Arc::new(Metrics::default())));
        let engine = Engine::new().unwrap();
        let stores = Store::open_all(&[self.url()]).unwrap();
        let (channel, pinned, same) = (channel(), self.pinned(), Arc::clone(&enforcer));
        let refresher = Refresher::start(stores, &channel, &pinned, state, None, engine, same);
        (enforcer, refresher.await.unwrap())
    }

    pub(crate) fn config(&self) -> SidecarConfig {
        SidecarConfig {
            audit: aecp_enforcer::AuditConfig::default(),
            point: None,
            stores: vec![self.url()],
            channel: channel(),
            root: self.pinned(),
            state: self.state(),
            listen: "127.0.0.1:0".parse().unwrap(),
            poll: Duration::from_secs(3600),
            limits: Limits::default(),
            explain: false,
        }
    }

    /// A whole sidecar, after its first poll if there is something to poll.
    pub(crate) async fn sidecar(&self) -> Sidecar {
        let sidecar = Sidecar::start(self.config()).await.unwrap();
        if self.store().exists() {
            let mut swaps = sidecar.enforcer().watch();
            within(swaps.wait_for(Option::is_some)).await.unwrap();
        }
        sidecar
    }
}

/// Writes an object as stores do: whole or not at all.
fn put(store: &Path, key: &str, bytes: &[u8]) {
    let path = store.join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let temporary = store.join("upload.tmp");
    fs::write(&temporary, bytes).unwrap();
    fs::rename(temporary, path).unwrap();
}

/// Fails the test instead of hanging it.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("done within a minute")
}

/// The entries of a state folder's decision log, without what opens them.
pub(crate) fn entries(state: &std::path::Path) -> Vec<serde_json::Value> {
    let log = std::fs::read_to_string(state.join("decisions/00000000000000000000.jsonl")).unwrap();
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let entries = whole.lines().filter(|line| !line.starts_with("{\"opening\":"));
    entries.map(|line| serde_json::from_str(line).unwrap()).collect()
}
