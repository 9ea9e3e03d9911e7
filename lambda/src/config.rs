//! What the extension needs to know, from the environment: the names of the sidecar's variables.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use aecp_contract::{layout::Name, manifest::Point, tlog::policy::LogPolicy, trust::TrustRoot, value};
use aecp_enforcer::{
    AuditConfig, SidecarConfig,
    record::{AttributeRules, PathPattern, Recording, Shipping},
    server::Limits,
};
use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use crate::{supervisor::Left, upkeep::Intervals};

/// What becomes of what cannot be decided because the enforcer itself fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fail {
    /// It is denied.
    Closed,
    /// It passes, is counted, and is noted in the log of decisions.
    Open,
}

/// Where metrics go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricsFormat {
    /// To CloudWatch, as lines of its embedded metric format on standard output.
    Emf,
    /// Nowhere.
    None,
}

/// Enforces signed policies in an AWS Lambda function. Lambda starts it; it is configured by the function's environment
/// variables.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Settings {
    /// Stores of releases: file:///…, s3://…, gs://… or az://…; of several, separated by commas or white space, the highest
    /// valid serial serves
    #[arg(long, env = "AECP_STORE", value_name = "URL", required = true)]
    pub(crate) store: Vec<String>,

    /// Channel to follow
    #[arg(long, env = "AECP_CHANNEL")]
    pub(crate) channel: Name,

    /// Trust root to pin, as `aecp keygen` wrote it
    #[arg(long, env = "AECP_ROOT", default_value = "/opt/aecp/root.json", value_name = "FILE")]
    pub(crate) root: PathBuf,

    /// Folder of this environment alone: last good release, highest serial, decision log
    #[arg(long, env = "AECP_STATE", default_value = "/tmp/aecp", value_name = "DIR")]
    pub(crate) state: PathBuf,

    /// Copy of a store in a layer, whose release serves until the store is asked
    #[arg(long, env = "AECP_LAYER_STATE", default_value = "/opt/aecp/state", value_name = "DIR")]
    pub(crate) layer_state: PathBuf,

    /// Address of the decision API
    #[arg(long, env = "AECP_LISTEN", default_value = "127.0.0.1:8180", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,

    /// Address that the function's runtime takes for the Runtime API
    #[arg(long, env = "AECP_PROXY", default_value = "127.0.0.1:9009", value_name = "ADDRESS")]
    pub(crate) proxy: SocketAddr,

    /// How old the last look for a newer release may be when an invocation ends, such as 0s, 5s or 1m
    #[arg(long, env = "AECP_POLL", default_value = "5s", value_name = "TIME", value_parser = interval)]
    pub(crate) poll: Duration,

    /// Store for the log of decisions; without it the log is lost with the environment
    #[arg(long, env = "AECP_AUDIT_STORE", value_name = "URL")]
    pub(crate) audit_store: Option<String>,

    /// Store for what opens commitments in it, if that is to be another, since one that is immutable could erase nothing
    #[arg(long, env = "AECP_AUDIT_OPENINGS", value_name = "URL")]
    pub(crate) audit_openings: Option<String>,

    /// How long ago the log of decisions may have been carried to its store when an invocation ends
    #[arg(long, env = "AECP_AUDIT_EVERY", default_value = "0s", value_name = "TIME", value_parser = interval)]
    pub(crate) audit_every: Duration,

    /// Most bytes of decisions that wait here for their store; beyond it, what must be recorded is denied
    #[arg(long, env = "AECP_AUDIT_SPOOL", default_value_t = 64 << 20, value_name = "BYTES")]
    pub(crate) audit_spool: u64,

    /// File that names witnesses with their URLs, and the quorum that must cosign each checkpoint of the log before it is
    /// published (C2SP tlog-policy)
    #[arg(long, env = "AECP_AUDIT_WITNESSES", value_name = "FILE")]
    pub(crate) audit_witnesses: Option<PathBuf>,

    /// Attributes that are recorded in clear; all others are recorded as salted commitments
    #[arg(long, env = "AECP_AUDIT_CLEAR", value_name = "PATH", value_delimiter = ',')]
    pub(crate) audit_clear: Vec<PathPattern>,

    /// Attributes of which only the last four characters are recorded
    #[arg(long, env = "AECP_AUDIT_MASK", value_name = "PATH", value_delimiter = ',')]
    pub(crate) audit_mask: Vec<PathPattern>,

    /// Attributes that are not recorded at all, only counted
    #[arg(long, env = "AECP_AUDIT_OMIT", value_name = "PATH", value_delimiter = ',')]
    pub(crate) audit_omit: Vec<PathPattern>,

    /// Deny what policies say AUDIT: OPTIONAL of, too, while records are lost
    #[arg(long, env = "AECP_AUDIT_DENY_UNRECORDED")]
    pub(crate) audit_deny_unrecorded: bool,

    /// What becomes of what cannot be decided because the enforcer itself fails
    #[arg(long, env = "AECP_FAIL", default_value = "closed", value_name = "HOW")]
    pub(crate) fail: Fail,

    /// Where metrics go
    #[arg(long, env = "AECP_METRICS", default_value = "emf", value_name = "FORMAT")]
    pub(crate) metrics: MetricsFormat,

    /// What to log: error, warn, info, debug or trace, or a filter
    #[arg(long, env = "AECP_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub(crate) log_level: String,

    /// To be the process that decides, after one that left this behind
    #[arg(long, hide = true, value_parser = |text: &str| serde_json::from_str::<Left>(text))]
    pub(crate) worker: Option<Left>,

    /// Address of Lambda's Runtime and Extensions API
    #[arg(long, env = "AWS_LAMBDA_RUNTIME_API", value_name = "ADDRESS", hide = true)]
    pub(crate) runtime_api: String,
}

impl Settings {
    /// How often what is done between invocations is done.
    pub(crate) fn intervals(&self) -> Intervals {
        Intervals { refresh: self.poll, ship: self.audit_every }
    }

    /// What the enforcer is started with.
    pub(crate) fn enforcer(self) -> anyhow::Result<SidecarConfig> {
        let shown = self.root.display();
        let root =
            fs::read(&self.root).with_context(|| format!("cannot read the trust root `{shown}`"))?;
        let root = TrustRoot::pinned(&root).with_context(|| format!("`{shown}` is no trust root"))?;
        let attributes =
            AttributeRules { clear: self.audit_clear, mask: self.audit_mask, omit: self.audit_omit };
        Ok(SidecarConfig {
            stores: self.store,
            channel: self.channel,
            root,
            state: self.state,
            listen: self.listen,
            poll: self.poll,
            point: Some(Point::Ingress),
            limits: Limits::default(),
            explain: false,
            audit: AuditConfig {
                openings: self.audit_openings,
                store: self.audit_store,
                // Each environment writes a log of its own, named by its key.
                instance: None,
                witnesses: self.audit_witnesses.as_deref().map(log_policy).transpose()?,
                shipping: Shipping { every: self.audit_every, spool_bytes: self.audit_spool },
                recording: Recording { attributes, deny_unrecorded: self.audit_deny_unrecorded },
            },
        })
    }
}

fn log_policy(path: &Path) -> anyhow::Result<LogPolicy> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{shown}`"))?;
    text.parse().with_context(|| format!("`{shown}` is no log policy"))
}

fn interval(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time such as 0s, 500ms, 5s or 1m".to_owned();
    let value::Duration(milliseconds) = text.parse().map_err(|_| wrong())?;
    u64::try_from(milliseconds).map(Duration::from_millis).map_err(|_| wrong())
}
