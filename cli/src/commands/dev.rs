//! `aecp dev`: the whole road on this machine, over and over.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aecp_compiler::{
    accept::{Accepted, examine},
    language::ast::Expect,
    publish::{Reason, Roots, Store},
    set::PolicySet,
};
use aecp_contract::{layout::Name, trust::TrustRoot, value, verdict::Decision};
use aecp_enforcer::{AuditConfig, Sidecar, SidecarConfig, record::Entry, server::Limits};
use anyhow::Context as _;
use ed25519_dalek::SigningKey;
use notify::{RecursiveMode, Watcher as _};
use tokio::sync::{broadcast::error::RecvError, mpsc};

use super::{
    SetArgument, keygen, now,
    publish::{publication, read_key},
    read,
};
use crate::{
    Outcome, diagnostics,
    terminal::{BAD, CARE, FAINT, GOOD, PLAIN, count},
};

/// How long to wait after a change for the editor to finish writing.
const SETTLE: Duration = Duration::from_millis(120);

/// How long a release may take from the store into the enforcer.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(10);

/// Run everything on this machine: compile, test, sign, publish to a folder, enforce, reload on save
///
/// Starts the enforcer and watches the policy set. Each save is compiled, tested and published; what is wrong is
/// shown, and the last good release goes on serving. Every decision is printed as it comes. Ctrl-C stops it.
///
/// Example: aecp dev policies/gdpr_residency
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// Where to serve
    #[arg(long, default_value = "127.0.0.1:8180")]
    listen: SocketAddr,
    /// The folder for the development key, the store and the enforcer's state
    #[arg(long, value_name = "DIR", default_value = ".aecp-dev")]
    dir: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    super::block_on(dev(arguments))
}

async fn dev(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let workshop = Workshop::open(&arguments.dir, &arguments.set).await?;
    let (changed, mut changes) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // A full channel means that a change is waiting already.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = changed.try_send(());
        }
    })
    .context("cannot watch for changes")?;
    let set = &arguments.set.set;
    watcher
        .watch(set, RecursiveMode::Recursive)
        .with_context(|| format!("cannot watch `{}`", set.display()))?;

    let mut current = workshop.build(None).await?;
    let sidecar = Sidecar::start(workshop.sidecar(arguments.listen)).await?;
    let url = format!("http://{}", sidecar.address());
    let mut decisions = sidecar.subscribe();
    if let Some((_, serial)) = &current {
        await_release(&sidecar, *serial).await;
    }
    anstream::println!(
        "{GOOD}serving{PLAIN}   {url}/v1/decision and {url}/access/v1/evaluation (AuthZEN)"
    );
    anstream::println!("          {FAINT}health {url}/healthz, metrics {url}/metrics{PLAIN}");
    if let Some((set, _)) = &current {
        print_examples(set, &url);
    }
    anstream::println!("{FAINT}watching {}; Ctrl-C stops{PLAIN}\n", set.display());
    loop {
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => {
                stopped.context("cannot listen for Ctrl-C")?;
                break;
            }
            entry = decisions.recv() => match entry {
                Ok(entry) => print_decision(&entry),
                Err(RecvError::Lagged(missed)) => {
                    anstream::println!("{CARE}… {missed} decisions not shown{PLAIN}");
                }
                Err(RecvError::Closed) => break,
            },
            Some(()) = changes.recv() => {
                tokio::time::sleep(SETTLE).await;
                while changes.try_recv().is_ok() {}
                let started = Instant::now();
                let before = current.as_ref().map(|(set, _)| set);
                if let Some((set, serial)) = workshop.build(before).await? {
                    await_release(&sidecar, serial).await;
                    anstream::println!(
                        "{FAINT}in force {} ms after the save{PLAIN}\n",
                        (started.elapsed() + SETTLE).as_millis()
                    );
                    current = Some((set, serial));
                }
            }
        }
    }
    anstream::println!("{FAINT}stopping{PLAIN}");
    sidecar.stop().await.context("the enforcer ended early")?;
    Ok(Outcome::Good)
}

/// The folder of `aecp dev` and what is in it.
struct Workshop {
    set: PathBuf,
    folder: PathBuf,
    store_url: String,
    store: Store,
    key: SigningKey,
    root: TrustRoot,
    roots: Roots,
    channel: Name,
}

impl Workshop {
    async fn open(folder: &Path, set: &SetArgument) -> anyhow::Result<Self> {
        let failed = || format!("cannot make `{}`", folder.display());
        fs::create_dir_all(folder).with_context(failed)?;
        let folder = folder.canonicalize().with_context(failed)?;
        fs::write(folder.join(".gitignore"), "*\n").with_context(failed)?;
        let keys = folder.join("keys");
        let key = if keys.exists() {
            read_key(&keys.join(keygen::PRIVATE_KEY))?
        } else {
            keygen::generate(&keys)?
        };
        let root_json = read(&keys.join(keygen::TRUST_ROOT))?;
        let store_folder = folder.join("store");
        let store_url = url::Url::from_directory_path(&store_folder)
            .map_err(|()| anyhow::anyhow!("`{}` is no absolute path", store_folder.display()))?
            .to_string();
        fs::create_dir_all(&store_folder).with_context(failed)?;
        let store = Store::open(&store_url)?;
        Ok(Self {
            set: set.set.clone(),
            root: TrustRoot::pinned(&root_json)?,
            roots: store.roots(&root_json).await?,
            store,
            store_url,
            key,
            folder,
            channel: "dev".parse()?,
        })
    }

    fn sidecar(&self, listen: SocketAddr) -> SidecarConfig {
        SidecarConfig {
            audit: AuditConfig::default(),
            point: None,
            stores: vec![self.store_url.clone()],
            channel: self.channel.clone(),
            root: self.root.clone(),
            state: self.folder.join("state"),
            listen,
            poll: Duration::from_secs(1),
            limits: Limits::default(),
            explain: true,
        }
    }

    /// Compiles, tests and publishes the set as it is now; shows what is wrong, or what changed against
    /// `before`. The set and its serial; `None` if nothing was published.
    async fn build(&self, before: Option<&PolicySet>) -> anyhow::Result<Option<(PolicySet, u64)>> {
        let sources = match (SetArgument { set: self.set.clone() }).sources() {
            Ok(sources) => sources,
            Err(error) => {
                crate::terminal::error(&error);
                return Ok(None);
            }
        };
        if before.is_some_and(|before| before.source == sources.digest()) {
            return Ok(None);
        }
        let started = Instant::now();
        let base = self.store.base(&self.channel, &self.roots).await?;
        // VERSIONs are for what is released to others.
        let examined = examine(&sources, &base, &BTreeMap::new(), &mut |_| ())?;
        diagnostics::print(&examined.findings, &sources);
        let (Some(set), Some(accepted)) = (examined.set, examined.accepted) else {
            anstream::println!("{BAD}not published{PLAIN}; the last good release goes on serving\n");
            return Ok(None);
        };
        let serial = self.publish(&accepted).await?;
        anstream::println!(
            "{GOOD}release {serial}{PLAIN} {}, {} passed, in {} ms",
            count(set.policies.len(), "policy", "policies"),
            count(accepted.compiled.manifest.tests.passed as usize, "test", "tests"),
            started.elapsed().as_millis()
        );
        if let Some(before) = before {
            print_changes(before, &set);
        }
        Ok(Some((set, serial)))
    }

    async fn publish(&self, accepted: &Accepted) -> anyhow::Result<u64> {
        let days = |days: i64| value::Duration(days * 86_400_000);
        let publication = publication(self.channel.clone(), now()?, days(90), days(30))?;
        let (reason, keys) = (Reason::default(), [&self.key]);
        Ok(self.store.publish(accepted, &publication, &reason, &keys, &self.roots).await?.serial)
    }
}

/// Has the enforcer look for the release that was just published, and waits until it serves it.
async fn await_release(sidecar: &Sidecar, serial: u64) {
    let mut served = sidecar.enforcer().watch();
    sidecar.poll_now();
    let taken_up = served.wait_for(|release| release.is_some_and(|release| release.serial >= serial));
    if tokio::time::timeout(TAKEN_UP_WITHIN, taken_up).await.is_err() {
        let refusal = sidecar.enforcer().status().last_refusal;
        let why = refusal.map_or_else(String::new, |refusal| format!(": {}", refusal.detail));
        anstream::println!("{BAD}the enforcer has not taken the release up{PLAIN}{why}");
    }
}

/// Which policies came, went, or say something else now.
fn print_changes(before: &PolicySet, after: &PolicySet) {
    for policy in &after.policies {
        let name = &policy.info.name;
        match before.policy(name).map(|index| &before.policies[index]) {
            None => anstream::println!("  {GOOD}+ {name}{PLAIN}"),
            Some(old) if old.scope != policy.scope || old.constraint != policy.constraint => {
                anstream::println!("  {CARE}~ {name}{PLAIN} applies or constrains differently");
            }
            Some(old) if old.info.enforcement != policy.info.enforcement => anstream::println!(
                "  {CARE}~ {name}{PLAIN} was {}, is {}",
                old.info.enforcement.as_str(),
                policy.info.enforcement.as_str()
            ),
            Some(old) if old.info != policy.info => {
                anstream::println!("  {FAINT}~ {name} is described differently{PLAIN}");
            }
            Some(_) => {}
        }
    }
    for policy in &before.policies {
        if after.policy(&policy.info.name).is_none() {
            anstream::println!("  {BAD}- {}{PLAIN}", policy.info.name);
        }
    }
}

/// Two requests to try, out of the set's own tests: one that is denied, one that is allowed.
fn print_examples(set: &PolicySet, url: &str) {
    let denied =
        set.tests.iter().find(|test| matches!(&test.expect, Expect::Deny(names) if !names.is_empty()));
    let allowed = set.tests.iter().find(|test| matches!(test.expect, Expect::Allow));
    for (what, test) in [("denied", denied), ("allowed", allowed)] {
        if let Some(test) = test {
            // A single quote inside single quotes, as shells read it.
            let request = test.request.replace('\'', r"'\''");
            anstream::println!("{FAINT}# {what}: {}{PLAIN}", test.name);
            anstream::println!(
                "curl -s {url}/v1/decision -H 'content-type: application/json' -d '{request}'"
            );
        }
    }
}

fn print_decision(entry: &Entry) {
    let decided = &entry.decided;
    let (colour, word) = match decided.decision() {
        Decision::Allow => (GOOD, "ALLOW"),
        Decision::Deny => (BAD, "DENY "),
    };
    let mut why = Vec::new();
    for policy in decided.violated() {
        why.push(format!("{} violated ({})", policy.name, policy.enforcement.as_str()));
    }
    for policy in decided.indeterminate() {
        why.push(format!("{} indeterminate ({})", policy.name, policy.enforcement.as_str()));
    }
    why.extend(decided.default_deny().map(|module| format!("nothing in {module} applies")));
    why.extend(decided.reason().map(|reason| reason.as_str().to_owned()));
    anstream::println!(
        "{FAINT}{}{PLAIN} {colour}{word}{PLAIN} {} {FAINT}{:.1} µs, release {}{PLAIN}",
        entry.time,
        why.join(", "),
        entry.latency.as_nanos() as f64 / 1000.0,
        decided.release().map_or_else(|| "none".to_owned(), |release| release.serial.to_string())
    );
}
