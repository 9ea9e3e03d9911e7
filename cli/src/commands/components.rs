//! Policies that people wrote as components, beside the compiled ones.

use std::{collections::BTreeSet, fs, path::PathBuf};

use aecp_compiler::{compile::Compiled, publish::Base};
use aecp_contract::manifest::{ComponentPolicy, MAX_COMPONENT_BYTES};
use aecp_enforcer::{Artifacts, Engine};
use anyhow::{Context as _, bail};
use clap::Args;

use super::{local, read};

/// Components that a command is given.
#[derive(Debug, Args)]
pub(crate) struct Components {
    /// A policy written as a component (docs/components.md), with its declaration beside it as FILE.json; may repeat
    #[arg(long, value_name = "FILE.wasm")]
    component: Vec<PathBuf>,
}

impl Components {
    /// Each with its declaration. Whether they are policies is for an enforcer to say.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<(ComponentPolicy, Vec<u8>)>> {
        let mut names = BTreeSet::new();
        let each = self.component.iter().map(|file| {
            let shown = file.display();
            let size = fs::metadata(file).with_context(|| format!("`{shown}` cannot be read"))?.len();
            if size > MAX_COMPONENT_BYTES as u64 {
                bail!("`{shown}` has more than {MAX_COMPONENT_BYTES} bytes");
            }
            let declaration = file.with_extension("json");
            let json = read(&declaration).context("a component needs its declaration beside it")?;
            let policy: ComponentPolicy = serde_json::from_slice(&json)
                .with_context(|| format!("`{}` declares no component", declaration.display()))?;
            if !policy.is_named() {
                bail!("`{}`: a name is up to 64 of A-Z a-z 0-9 _", declaration.display());
            }
            if !names.insert(policy.name.clone()) {
                bail!("two components are named `{}`", policy.name);
            }
            Ok((policy, read(file)?))
        });
        each.collect()
    }
}

/// No component of the channel's release vanishes because somebody forgot it.
pub(crate) fn check_dropped(
    base: &Base,
    given: &[(ComponentPolicy, Vec<u8>)],
    dropped: &[String],
) -> anyhow::Result<()> {
    let is_given = |name: &String| given.iter().any(|(policy, _)| policy.name == *name);
    let left_out = |name: &&String| !is_given(name) && !dropped.contains(name);
    if let Some(name) = base.components.keys().find(left_out) {
        bail!(
            "release {} has policy `{name}`, a component: give it again with --component, \
             or end it with --drop-component {name}",
            base.serial
        );
    }
    if let Some(name) =
        dropped.iter().find(|name| is_given(name) || !base.components.contains_key(*name))
    {
        bail!("--drop-component {name}: the channel's release has no such component, or it is given");
    }
    Ok(())
}

/// Loads it all as an enforcer does, if there are components: each is a policy, imports nothing that it may not reach, and
/// decides the empty request.
pub(crate) fn try_out(compiled: &Compiled) -> anyhow::Result<()> {
    if !compiled.components.is_empty() {
        let loaded = local::load(local::sign(compiled)?, &Engine::new()?, Artifacts::Needed);
        loaded.context("no enforcer would take the components")?;
    }
    Ok(())
}
