//! `aecp-enforcer serve`: its command line.

use std::{collections::BTreeMap, env, fs, net::SocketAddr, path::PathBuf, time::Duration};

use aecp_enforcer::{
    component::{AllowedHost, Component, ComponentConfig, ComponentServer, Limits},
    server,
};
use anyhow::Context as _;
use clap::Parser;

use crate::{interval, start_logs};

/// Serves a WebAssembly component that handles HTTP, such as the one for the edge.
///
/// The component is one of WASI 0.3 (`wasi:http/handler`) or 0.2 (`wasi:http/incoming-handler`). It finds its settings
/// (`wasi:config`), a durable key-value store (`wasi:keyvalue`), clocks and random numbers, and may ask the hosts that are
/// allowed; no files, no environment, no sockets. An instance of WASI 0.3 serves many
/// requests, 16 at the same time, one of 0.2 a single one.
#[derive(Parser)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// The component
    #[arg(long, value_name = "FILE")]
    component: PathBuf,

    /// Folder of this process alone, for the component's key-value store
    #[arg(long, env = "AECP_STATE", value_name = "DIR")]
    state: PathBuf,

    /// Address to serve on
    #[arg(long, env = "AECP_LISTEN", default_value = "127.0.0.1:8180", value_name = "ADDRESS")]
    listen: SocketAddr,

    /// A setting of the component, or @FILE for what is in a file; may repeat. Without it, SPIN_VARIABLE_NAME of the
    /// environment is the setting `name`, as in Spin
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,

    /// A host that the component may ask, with a port if it is not 443 or 80; may repeat
    #[arg(long, env = "AECP_ALLOW_OUTBOUND", value_name = "HOST[:PORT]", value_delimiter = ',')]
    allow_outbound: Vec<AllowedHost>,

    /// Most bytes of memory of one instance of the component
    #[arg(long, env = "AECP_MEMORY", default_value_t = Limits::default().memory_bytes, value_name = "BYTES")]
    memory: usize,

    /// How long a request may wait for the head of its answer
    #[arg(long, env = "AECP_REQUEST_TIME", default_value = "30s", value_name = "TIME", value_parser = interval)]
    request_time: Duration,

    /// How long a request may take until its answer has left
    #[arg(long, env = "AECP_EXCHANGE_TIME", default_value = "5m", value_name = "TIME", value_parser = interval)]
    exchange_time: Duration,

    /// Most requests at once, and most instances; more wait
    #[arg(long, env = "AECP_REQUESTS", default_value_t = Limits::default().requests as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    requests: u32,

    /// Most requests that an instance of WASI 0.3 serves in its life; it also ends once it has half of its memory
    #[arg(long, env = "AECP_MAX_INSTANCE_REUSE_COUNT", default_value_t = Limits::default().reuse as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_instance_reuse_count: u32,

    /// What to log: error, warn, info, debug or trace, or a filter such as `warn,aecp_enforcer=debug`
    #[arg(long, env = "AECP_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    log_level: String,
}

const EXAMPLE: &str = "\
Example:
  aecp-enforcer serve --component aecp_gateway.wasm --state /var/lib/aecp --set aecp_root=@root.json \\
    --set aecp_channel=prod --set aecp_store=https://policies.example.com --set aecp_upstream=http://localhost:3000 \\
    --allow-outbound policies.example.com --allow-outbound localhost:3000";

/// As Spin names variables of the environment that are settings.
const PREFIX: &str = "SPIN_VARIABLE_";

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE or NAME=@FILE")?;
    let value = match value.strip_prefix('@') {
        Some(path) => {
            fs::read_to_string(path).map_err(|error| format!("cannot read `{path}`: {error}"))?
        }
        None => value.to_owned(),
    };
    Ok((name.to_owned(), value))
}

#[tokio::main]
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    start_logs(&arguments.log_level)?;
    let of_environment = env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.strip_prefix(PREFIX)?.to_ascii_lowercase();
        Some((name, value.into_string().ok()?))
    });
    let settings: BTreeMap<_, _> = of_environment.chain(arguments.set).collect();
    let server = ComponentServer::start(ComponentConfig {
        component: Component::load(&arguments.component)?,
        settings,
        state: arguments.state,
        outbound: arguments.allow_outbound,
        listen: arguments.listen,
        limits: Limits {
            memory_bytes: arguments.memory,
            request_time: arguments.request_time,
            exchange_time: arguments.exchange_time,
            requests: arguments.requests as usize,
            reuse: arguments.max_instance_reuse_count as usize,
        },
    })
    .await?;
    tracing::info!(address = %server.address(), "serving");
    server::signalled().await?;
    tracing::info!("stopping");
    server.stop().await.context("the server ended early")
}
