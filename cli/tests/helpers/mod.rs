//! What the tests of the commands share: running the program and reading what it says.

#![allow(clippy::unwrap_used, reason = "helpers of tests: what fails must fail loudly")]
#![allow(dead_code, reason = "each test program uses some of them")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use aecp_contract::trust::TrustRoot;
use aecp_enforcer::{
    AuditConfig, SidecarConfig,
    record::{Recording, Shipping},
    server::Limits,
};

/// Runs the program in a folder.
pub(crate) fn aecp(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aecp")).current_dir(folder).args(arguments).output().unwrap()
}

/// What it wrote to standard output.
pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it wrote to standard error.
pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A store in a folder.
pub(crate) fn url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

/// A sidecar of the store and the root in a folder, whose log `web-1` goes from its state folder to a store of its own.
pub(crate) fn sidecar(folder: &Path, state: &Path, audit: &Path) -> SidecarConfig {
    SidecarConfig {
        stores: vec![url(&folder.join("store"))],
        channel: "prod".parse().unwrap(),
        root: TrustRoot::pinned(&fs::read(folder.join("keys/root.json")).unwrap()).unwrap(),
        state: state.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        poll: Duration::from_secs(60),
        point: None,
        limits: Limits::default(),
        explain: false,
        audit: AuditConfig {
            store: Some(url(audit)),
            instance: Some("web-1".parse().unwrap()),
            openings: None,
            witnesses: None,
            shipping: Shipping { every: Duration::from_millis(50), spool_bytes: 1 << 20 },
            recording: Recording::default(),
        },
    }
}
