//! `aecp witness`: cosigns the checkpoints of logs for their auditors.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use aecp_enforcer::server::{Limits, serve, signalled};
use anyhow::{Context as _, bail};

use crate::{
    Outcome,
    audit::read_policy,
    terminal::{GOOD, PLAIN, count},
    witness::{Witness, router},
};

/// Serve a witness: cosign the checkpoints of logs, each only if it continues the last one (C2SP tlog-witness)
///
/// A log cannot show different histories to different people while it needs this cosignature. Run it away from the
/// enforcers, by other people. The first start makes the key, witness.pem in --state; keep that folder: a witness that
/// forgot what it cosigned is none. It speaks HTTP; put TLS before it.
///
/// Example: aecp witness --name audit.example/w1 --log-policy logs.txt --state /var/lib/witness
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The name of the witness, a URL without its scheme
    #[arg(long)]
    name: String,
    /// File that names the logs to cosign (C2SP tlog-policy)
    #[arg(long, value_name = "FILE")]
    log_policy: PathBuf,
    /// The folder for the key and the last checkpoint of each log
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Where to serve
    #[arg(long, default_value = "127.0.0.1:8190", value_name = "ADDRESS")]
    listen: SocketAddr,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let logs = read_policy(&arguments.log_policy)?;
    if logs.logs().is_empty() {
        bail!("`{}` names no log to cosign", arguments.log_policy.display());
    }
    let known = count(logs.logs().len(), "log", "logs");
    let witness = Witness::open(&arguments.state, &arguments.name, logs)?;
    super::block_on(async {
        let address = arguments.listen;
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        anstream::println!("{GOOD}witness{PLAIN} of {known} at http://{address}");
        println!(
            "  for the log policies of enforcers and auditors, with the URL at which they reach it:"
        );
        println!("witness {} {} http://{address}", arguments.name, witness.vkey());
        let stop = async {
            if let Err(error) = signalled().await {
                crate::terminal::error(&error.into());
            }
        };
        let limits = Limits::default();
        serve(listener, router(Arc::new(witness)), limits, stop).await.context("the server ended early")
    })?;
    Ok(Outcome::Good)
}
