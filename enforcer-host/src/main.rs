//! The sidecar `aecp-enforcer`: its command line, its logs, and the order of starting and stopping.

#[cfg(feature = "components")]
mod serve;

use std::{
    fs,
    io::IsTerminal as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use aecp_contract::{layout::Name, manifest::Point, tlog::policy::LogPolicy, trust::TrustRoot, value};
use aecp_enforcer::{
    AuditConfig, Sidecar, SidecarConfig,
    record::{AttributeRules, PathPattern, Recording, Shipping},
    server::{self, Limits},
};
use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use tracing_subscriber::EnvFilter;

/// Decides on requests by signed policies, beside the workload that asks.
///
/// Serves OpenID AuthZEN 1.0 at /access/v1/evaluation(s), the plain form at /v1/decision(s), and /healthz and
/// /metrics. Follows one channel of a store; believes only what the pinned trust root's keys signed.
#[derive(Parser)]
#[command(version, after_help = EXAMPLE)]
struct Arguments {
    /// Stores of releases: file:///…, s3://…, gs://… or az://…; of several the highest valid serial serves. May repeat
    #[arg(long, env = "AECP_STORE", value_name = "URL", required = true)]
    store: Vec<String>,

    /// Channel to follow
    #[arg(long, env = "AECP_CHANNEL")]
    channel: Name,

    /// Trust root to pin, as `aecp keygen` wrote it
    #[arg(long, env = "AECP_ROOT", value_name = "FILE")]
    root: PathBuf,

    /// Folder of this enforcer alone: last good release, highest serial, decision log
    #[arg(long, env = "AECP_STATE", value_name = "DIR")]
    state: PathBuf,

    /// Address to serve on
    #[arg(long, env = "AECP_LISTEN", default_value = "127.0.0.1:8180", value_name = "ADDRESS")]
    listen: SocketAddr,

    /// How often to look for a newer release, such as 500ms, 5s or 1m
    #[arg(long, env = "AECP_POLL", default_value = "5s", value_name = "TIME", value_parser = interval)]
    poll: Duration,

    /// Point of enforcement where it stands, for policies that say AT: ingress, mesh, data or egress
    #[arg(long, env = "AECP_POINT")]
    point: Option<Point>,

    /// Store for the log of decisions; without it the log stays in the state folder
    #[arg(long, env = "AECP_AUDIT_STORE", value_name = "URL")]
    audit_store: Option<String>,

    /// Store for what opens the log's commitments, if not the log's own: one that may erase, without old versions
    #[arg(long, env = "AECP_AUDIT_OPENINGS", value_name = "URL")]
    audit_openings: Option<String>,

    /// How often to carry the log of decisions to its store; sooner, where a quarter of --audit-spool waits
    #[arg(long, env = "AECP_AUDIT_EVERY", default_value = "15m", value_name = "TIME", value_parser = interval)]
    audit_every: Duration,

    /// Most bytes of decisions that wait here for their store; beyond it, what must be recorded is denied
    #[arg(long, env = "AECP_AUDIT_SPOOL", default_value_t = AuditConfig::default().shipping.spool_bytes, value_name = "BYTES")]
    audit_spool: u64,

    /// File that names witnesses with their URLs, and the quorum that must cosign each checkpoint of the log before it
    /// is published (C2SP tlog-policy)
    #[arg(long, env = "AECP_AUDIT_WITNESSES", value_name = "FILE")]
    audit_witnesses: Option<PathBuf>,

    /// Attributes that are recorded in clear, such as `action.name` or `resource.*`. All others are recorded as salted
    /// commitments, whose openings can be erased; may repeat
    #[arg(long, env = "AECP_AUDIT_CLEAR", value_name = "PATH", value_delimiter = ',')]
    audit_clear: Vec<PathPattern>,

    /// Attributes of which only the last four characters are recorded; may repeat
    #[arg(long, env = "AECP_AUDIT_MASK", value_name = "PATH", value_delimiter = ',')]
    audit_mask: Vec<PathPattern>,

    /// Attributes that are not recorded at all, only counted; may repeat
    #[arg(long, env = "AECP_AUDIT_OMIT", value_name = "PATH", value_delimiter = ',')]
    audit_omit: Vec<PathPattern>,

    /// Let no decision leave unrecorded: what policies say AUDIT: OPTIONAL of waits for its record too, and is denied
    /// without it
    #[arg(long, env = "AECP_AUDIT_DENY_UNRECORDED")]
    audit_deny_unrecorded: bool,

    /// Name of this enforcer's log; without it, the machine's name and part of the log's key
    #[arg(long, env = "AECP_INSTANCE", value_name = "NAME")]
    instance: Option<Name>,

    /// Most bytes of a request's body
    #[arg(long, env = "AECP_MAX_BODY", default_value_t = Limits::default().body_bytes, value_name = "BYTES")]
    max_body: usize,

    /// Answer requests with `?explain=true` with the reasons: values of the request and text of the policies, for
    /// every caller to see
    #[arg(long, env = "AECP_EXPLAIN")]
    explain: bool,

    /// What to log: error, warn, info, debug or trace, or a filter such as `warn,aecp_enforcer=debug`
    #[arg(long, env = "AECP_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    log_level: String,
}

const EXAMPLE: &str = "\
Example:
  aecp-enforcer --store s3://policies --channel prod --root root.json --state /var/lib/aecp
  curl -s localhost:8180/v1/decision -H 'content-type: application/json' -d '{\"customer.region\":\"EU\"}'";

fn interval(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time of at least 1ms, such as 500ms, 5s or 1m".to_owned();
    let value::Duration(milliseconds) = text.parse().map_err(|_| wrong())?;
    match u64::try_from(milliseconds) {
        Ok(milliseconds @ 1..) => Ok(Duration::from_millis(milliseconds)),
        _ => Err(wrong()),
    }
}

fn log_policy(path: &Path) -> anyhow::Result<LogPolicy> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{shown}`"))?;
    text.parse().with_context(|| format!("`{shown}` is no log policy"))
}

fn main() -> anyhow::Result<()> {
    let command =
        Arguments::command().subcommand_negates_reqs(true).args_conflicts_with_subcommands(true);
    #[cfg(feature = "components")]
    let command = command.subcommand(serve::Arguments::command().name("serve"));
    let matches = command.get_matches();
    #[cfg(feature = "components")]
    if let Some((_, matches)) = matches.subcommand() {
        return serve::run(
            serve::Arguments::from_arg_matches(matches).unwrap_or_else(|error| error.exit()),
        );
    }
    run(Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

#[tokio::main]
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    start_logs(&arguments.log_level)?;
    let root = fs::read(&arguments.root)
        .with_context(|| format!("cannot read the trust root `{}`", arguments.root.display()))?;
    let root = TrustRoot::pinned(&root)
        .with_context(|| format!("`{}` is no trust root", arguments.root.display()))?;
    let config = SidecarConfig {
        stores: arguments.store,
        channel: arguments.channel,
        root,
        state: arguments.state,
        listen: arguments.listen,
        poll: arguments.poll,
        point: arguments.point,
        audit: AuditConfig {
            store: arguments.audit_store,
            openings: arguments.audit_openings,
            instance: arguments.instance,
            witnesses: arguments.audit_witnesses.as_deref().map(log_policy).transpose()?,
            shipping: Shipping { every: arguments.audit_every, spool_bytes: arguments.audit_spool },
            recording: Recording {
                attributes: AttributeRules {
                    clear: arguments.audit_clear,
                    mask: arguments.audit_mask,
                    omit: arguments.audit_omit,
                },
                deny_unrecorded: arguments.audit_deny_unrecorded,
            },
        },
        limits: Limits { body_bytes: arguments.max_body, ..Limits::default() },
        explain: arguments.explain,
    };
    let sidecar = Sidecar::start(config).await?;
    tracing::info!(address = %sidecar.address(), "serving");
    server::signalled().await?;
    tracing::info!("stopping");
    sidecar.stop().await.context("the server ended early")
}

/// JSON to a collector, plain text to a person.
fn start_logs(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("`{filter}` is no log level"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().flatten_event(true).init();
    }
    Ok(())
}
