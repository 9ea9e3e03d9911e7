//! The first release of an environment, out of a layer: no network is needed for a cold start.

use std::{fs, io, path::Path};

use aecp_contract::layout::{self, Name};
use anyhow::Context as _;

/// Copies the release that a layer holds into a state folder that knows none. A layer's folder is laid out like a store and
/// is believed no more than one: what is in it is verified when it is loaded. An environment that already has a release, as
/// after a crash, keeps its own, which is the newer one.
///
/// # Errors
/// If the layer cannot be read, or the state folder not be written. That there is no layer is none.
pub(crate) fn from_layer(layer: &Path, state: &Path, channel: &Name) -> anyhow::Result<()> {
    let pointer = layout::channel(channel);
    if state.join(&pointer).exists() || !layer.join(&pointer).exists() {
        return Ok(());
    }
    let copied = || -> io::Result<()> {
        for folder in ["root".to_owned(), "blobs/sha256".to_owned(), format!("releases/{channel}")] {
            copy(&layer.join(&folder), &state.join(&folder))?;
        }
        // Last, so that a crash leaves no pointer to what is not there.
        fs::create_dir_all(state.join("channels"))?;
        fs::copy(layer.join(&pointer), state.join(&pointer)).map(drop)
    };
    copied().with_context(|| format!("cannot take up the release in the layer `{}`", layer.display()))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
