//! `aecp compose`: the component for the edge, put together with policies and an application.

use std::path::PathBuf;

use aecp_contract::{
    manifest::COMPONENT_PREFIX,
    refusal::{Code, Refusal},
};
use aecp_enforcer::{Artifacts, VerifiedRelease};
use anyhow::{Context as _, bail};

use super::{read, release::ReleaseArguments};
use crate::{
    Outcome,
    compose::compose,
    terminal::{BAD, GOOD, PLAIN},
};

/// Put the component for the edge together with the policies of a release, with an application, or with both
///
/// With --store, --channel and --root, the newest release of the channel is verified as an enforcer would, and its policies
/// become part of the component: there is nothing to fetch or interpret, and a newer release needs another `aecp compose`. The component
/// must be a sealed one. It verifies the release once more where it runs, and refuses one that is older than one that it ran with before.
///
/// With --app, the component becomes the middleware of an application: any component that exports `wasi:http/handler` of
/// WASI 0.3. A request that is denied never reaches it. For hosts that put middleware before applications themselves, such
/// as Spin 4.1, this is not needed.
///
/// Example: aecp compose --component aecp_gateway_sealed.wasm --store s3://bucket --channel prod --root keys/root.json
///          --out edge.wasm
/// Example: aecp compose --component aecp_middleware.wasm --app app.wasm --out protected.wasm
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The component for the edge
    #[arg(long, value_name = "FILE")]
    component: PathBuf,
    #[command(flatten)]
    release: ReleaseArguments,
    /// The application to stand before
    #[arg(long, value_name = "FILE")]
    app: Option<PathBuf>,
    /// Where to write the result
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What is composed has nothing to run policies that are components.
fn sealable(release: VerifiedRelease) -> Result<VerifiedRelease, Refusal> {
    if release.statement().artifacts().any(|(name, _)| name.starts_with(COMPONENT_PREFIX)) {
        let detail = "the release has policies that are components, which cannot be sealed in; \
                      publish the compiled ones to a channel of their own";
        return Err(Refusal::new(Code::UnsupportedAbi, detail));
    }
    Ok(release)
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    if !arguments.release.is_given() && arguments.app.is_none() {
        bail!(
            "give it the policies of a release (--store, --channel, --root), an application (--app), or both"
        );
    }
    let component = read(&arguments.component)?;
    let app = arguments.app.as_deref().map(read).transpose()?;
    let fetched = arguments.release.fetch(Artifacts::All)?;
    let release = match fetched.map(|release| release.and_then(sealable)).transpose() {
        Ok(release) => release,
        Err(refusal) => {
            anstream::println!("{BAD}refused{PLAIN} {refusal}");
            return Ok(Outcome::Bad);
        }
    };
    let composed = compose(component, release.as_ref(), app)?;
    let out = arguments.out.display();
    std::fs::write(&arguments.out, &composed).with_context(|| format!("cannot write `{out}`"))?;
    anstream::println!("{GOOD}composed{PLAIN} {out}, {} bytes", composed.len());
    if let Some(release) = &release {
        let id = release.id();
        println!("  release   {} of channel {} ({})", id.serial, release.pointer().channel, id.digest);
    }
    Ok(Outcome::Good)
}
